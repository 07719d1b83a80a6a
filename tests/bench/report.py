"""The readings of a run: a table for people, JSON for programs, and whether every bound was met."""

from __future__ import annotations

import os
import platform
import statistics
from dataclasses import asdict
from typing import Any

from contentq import __version__
from rich.table import Table

from tests.bench.figures import Bound, Figure, Reading, Series


class Report:
    """Collects readings, round by round. quick: the sizes are too small to check bounds."""

    def __init__(self, *, quick: bool) -> None:
        self.postgresql = "?"
        self.interrupted = False
        self._quick = quick
        self._readings: dict[Figure, list[Reading]] = {}
        self.failures: list[str] = []

    def add(self, reading: Reading) -> None:
        """Adds a reading."""
        self._readings.setdefault(reading.figure, []).append(reading)

    @property
    def kept(self) -> bool:
        """Whether every measurement succeeded and met its bounds."""
        missed = any(not _holds(figure, readings) for figure, readings in self._readings.items())
        return not self.failures and (self._quick or not missed)

    def table(self) -> Table:
        """The medians, each with its limit."""
        sizes = "; a twentieth of the sizes" if self._quick else ""
        sizes += "; interrupted" if self.interrupted else ""
        title = f"contentq {__version__}, PostgreSQL {self.postgresql}, {os.cpu_count()} cores; medians{sizes}"
        table = Table(title=title)
        for heading in ("figure", "contentq", "limit", "", "ratio", "lowest, highest", "expected"):
            right = heading in ("contentq", "limit", "ratio")
            table.add_column(heading, justify="right" if right else "left", no_wrap=heading != "expected")
        for figure, readings in self._readings.items():
            value, limit, ratio = _medians(readings)
            spread = sorted(reading.value if ratio is None else reading.ratio or 0 for reading in readings)
            table.add_row(
                figure.name,
                shown(value, figure.unit),
                "" if limit is None else shown(limit, figure.unit),
                figure.limit,
                "" if ratio is None else f"{ratio:.2f}",
                f"{shown(spread[0])}, {shown(spread[-1])}" if len(spread) > 1 else "",
                "" if self._quick else _verdict(figure, readings),
            )
        return table

    def series(self) -> list[Table]:
        """Values over time, for figures that have them."""
        return [
            _over_time(figure.name, reading.series)
            for figure, readings in self._readings.items()
            for reading in readings
            if reading.series
        ]

    def json(self) -> dict[str, Any]:
        """All readings of every round."""
        return {
            "contentq": __version__,
            "postgresql": self.postgresql,
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "quick": self._quick,
            "interrupted": self.interrupted,
            "failures": self.failures,
            "figures": [self._json(figure, readings) for figure, readings in self._readings.items()],
        }

    def _json(self, figure: Figure, readings: list[Reading]) -> dict[str, Any]:
        ratio = _medians(readings)[2]
        return {
            "name": figure.name,
            "unit": figure.unit,
            "contentq": [reading.value for reading in readings],
            "limit": [reading.limit for reading in readings if reading.limit is not None],
            "limit_name": figure.limit,
            "ratio": None if ratio is None else round(ratio, 3),
            "expected_ratio": _bound(figure.ratio),
            "expected_value": _bound(figure.value),
            "holds": None if self._quick else _holds(figure, readings),
            "series": [list(reading.series) for reading in readings if reading.series],
        }


def shown(value: float, unit: str = "") -> str:
    """A formatted value."""
    digits = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"
    return f"{digits} {unit}".strip()


def _medians(readings: list[Reading]) -> tuple[float, float | None, float | None]:
    """Medians of the values, of the limits, and of the ratios."""
    limits = [reading.limit for reading in readings if reading.limit is not None]
    ratios = [reading.ratio for reading in readings if reading.ratio is not None]
    return (
        statistics.median(reading.value for reading in readings),
        statistics.median(limits) if limits else None,
        statistics.median(ratios) if ratios else None,
    )


def _judged(figure: Figure, readings: list[Reading]) -> list[tuple[str, bool]]:
    """The bound, and whether it was met."""
    value, _, ratio = _medians(readings)
    judged = []
    if figure.ratio is not None:
        judged.append((str(figure.ratio), ratio is not None and figure.ratio.holds(ratio)))
    if figure.value is not None:
        judged.append((f"{figure.value} {figure.unit}".strip(), figure.value.holds(value)))
    return judged


def _holds(figure: Figure, readings: list[Reading]) -> bool:
    return all(holds for _, holds in _judged(figure, readings))


def _verdict(figure: Figure, readings: list[Reading]) -> str:
    return ", ".join(f"{bound} {'ok' if holds else 'MISSED'}" for bound, holds in _judged(figure, readings))


def _over_time(name: str, series: Series) -> Table:
    table = Table(title=name)
    for heading in series[0]:
        table.add_column(heading, justify="right")
    for row in series:
        table.add_row(*map(shown, row.values()))
    return table


def _bound(bound: Bound | None) -> dict[str, float | None] | None:
    return None if bound is None else asdict(bound)
