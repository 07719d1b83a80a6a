"""Draws charts as SVG, without scripts and styles, which the page's policy forbids.

Colours are classes of the stylesheet. Each point has a title, which browsers show as a tooltip. Screen readers
read the title of the chart; a table next to it has the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

WIDTH, HEIGHT = 640, 200

LEFT, RIGHT, TOP, BOTTOM = 56, 8, 10, 24
"""Margins, in units of the SVG."""


@dataclass(frozen=True)
class Series:
    """A line or a set of columns: its name, and a value for each label; None for a missing value."""

    name: str
    values: Sequence[float | None]


def bar(value: float, most: float, what: str = "") -> Markup:
    """Draws a bar in a table, for value as a part of most."""
    share = 0.0 if most <= 0 else min(max(value / most, 0.0), 1.0)
    title = Markup("<title>{}</title>").format(what) if what else ""
    return Markup(
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">{}'
        '<rect class="bar-all" width="100" height="8"/><rect class="bar-part" width="{}" height="8"/></svg>'
    ).format(title, f"{100 * share:.1f}")


def columns(title: str, labels: Sequence[str], series: Sequence[Series], unit: str = "") -> Markup:
    """Draws columns; the columns of several series are stacked."""
    totals = [sum(each.values[place] or 0 for each in series) for place in range(len(labels))]
    frame = _Frame(title, labels, max([*totals, 0]), unit)
    width = frame.step * 0.8
    below = [0.0] * len(labels)
    for number, each in enumerate(series, 1):
        for place, value in enumerate(each.values):
            if not value:
                continue
            bottom, top = frame.y(below[place]), frame.y(below[place] + value)
            frame.add(
                f'<rect class="series-{number}" x="{frame.x(place) - width / 2:.1f}" y="{top:.1f}" '
                f'width="{width:.1f}" height="{max(bottom - top, 0.5):.1f}">'
                f"<title>{escape(labels[place])}: {escape(each.name)} {value:.4g}{escape(unit)}</title></rect>"
            )
            below[place] += value
    return frame.svg([each.name for each in series])


def lines(title: str, labels: Sequence[str], series: Sequence[Series], unit: str = "") -> Markup:
    """Draws lines, with gaps for missing values."""
    known = [value for each in series for value in each.values if value is not None]
    frame = _Frame(title, labels, max([*known, 0]), unit)
    for number, each in enumerate(series, 1):
        points = [
            None if value is None else (frame.x(place), frame.y(value)) for place, value in enumerate(each.values)
        ]
        path = "".join(
            f"M{now[0]:.1f} {now[1]:.1f}" if before is None else f"L{now[0]:.1f} {now[1]:.1f}"
            for before, now in pairwise([None, *points])
            if now is not None
        )
        frame.add(f'<path class="line-{number}" d="{path}"/>')
        for place, (point, value) in enumerate(zip(points, each.values, strict=True)):
            if point is not None:
                frame.add(
                    f'<circle class="series-{number}" cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="2.5">'
                    f"<title>{escape(labels[place])}: {escape(each.name)} {value:.4g}{escape(unit)}</title>"
                    "</circle>"
                )
    return frame.svg([each.name for each in series])


class _Frame:
    """The axes and content of a chart."""

    def __init__(self, title: str, labels: Sequence[str], most: float, unit: str) -> None:
        self._title = title
        self._labels = labels
        self._unit = unit
        self._tick = _nice(most / 4)
        self._top = self._tick * max(1, math.ceil(most / self._tick))
        self._parts: list[str] = []
        self.step = (WIDTH - LEFT - RIGHT) / max(len(labels), 1)

    def x(self, place: int) -> float:
        """The horizontal middle of a label."""
        return LEFT + (place + 0.5) * self.step

    def y(self, value: float) -> float:
        """The vertical position of a value."""
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / self._top

    def add(self, part: str) -> None:
        """Adds a part of the drawing."""
        self._parts.append(part)

    def svg(self, names: Sequence[str]) -> Markup:
        """Returns the chart, with a legend if it has several series."""
        axes = []
        for number in range(round(self._top / self._tick) + 1):
            value = number * self._tick
            y = self.y(value)
            axes.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
            axes.append(
                f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}{escape(self._unit)}</text>'
            )
        every = max(1, math.ceil(len(self._labels) / 6))
        for place in range(0, len(self._labels), every):
            axes.append(
                f'<text x="{self.x(place):.1f}" y="{HEIGHT - 6}" text-anchor="middle">'
                f"{escape(self._labels[place])}</text>"
            )
        drawn = (
            f'<svg class="chart" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" aria-label="{escape(self._title)}">'
            f"{''.join(axes)}{''.join(self._parts)}</svg>"
        )
        if len(names) > 1:
            keys = "".join(
                f'<li><svg class="key" viewBox="0 0 10 10" aria-hidden="true"><rect class="series-{number}" '
                f'width="10" height="10"/></svg> {escape(name)}</li>'
                for number, name in enumerate(names, 1)
            )
            drawn += f'<ul class="legend">{keys}</ul>'
        return Markup(drawn)


def _nice(step: float) -> float:
    """Rounds up to the next of 1, 2, 5, 10, 20, 50 and so on, for readable axes."""
    if step <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= step * 0.999999)
