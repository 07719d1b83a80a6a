"""What a figure is, what is expected of it, and what measures it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from tests.bench.bed import Bed

Series: TypeAlias = Sequence[Mapping[str, float]]
"""How something went over time: one row an interval, all with the same columns."""


@dataclass(frozen=True)
class Bound:
    """The least or the most that is expected."""

    at_least: float | None = None
    at_most: float | None = None

    def holds(self, value: float) -> bool:
        """Whether a value is within it."""
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )

    def __str__(self) -> str:
        return f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"


def at_least(value: float) -> Bound:
    """No less than this."""
    return Bound(at_least=value)


def at_most(value: float) -> Bound:
    """No more than this."""
    return Bound(at_most=value)


@dataclass(frozen=True)
class Figure:
    """A figure, and its limit where it has one.

    limit: name of what is measured beside it. ratio, value: what is expected of figure / limit, and of the figure
    itself; both of the median over the rounds.
    """

    name: str
    unit: str
    limit: str = ""
    ratio: Bound | None = None
    value: Bound | None = None


@dataclass(frozen=True)
class Reading:
    """What one round has found for a figure."""

    figure: Figure
    value: float
    limit: float | None = None
    series: Series = field(default=(), compare=False)

    @property
    def ratio(self) -> float | None:
        """Figure / limit; None without a limit."""
        return self.value / self.limit if self.limit else None


@dataclass(frozen=True)
class Measurement:
    """Measures some figures, all of them in every round. once: in the first round only, since it is long."""

    figures: tuple[Figure, ...]
    measure: Callable[[Bed], Iterator[Reading]]
    once: bool = False

    @property
    def family(self) -> str:
        """The module that it is in."""
        return self.measure.__module__.rpartition(".")[2]

    def is_meant(self, names: Sequence[str]) -> bool:
        """Whether one of these is the family or a part of a figure's name; without any, everything is meant."""
        return not names or any(
            name == self.family or any(name in figure.name for figure in self.figures) for name in names
        )
