"""Figures, their bounds, and the measurements that produce them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from tests.bench.bed import Bed

Series: TypeAlias = Sequence[Mapping[str, float]]
"""Values over time: one row per interval, all with the same columns."""


@dataclass(frozen=True)
class Bound:
    """The expected minimum or maximum."""

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
    """A minimum."""
    return Bound(at_least=value)


def at_most(value: float) -> Bound:
    """A maximum."""
    return Bound(at_most=value)


@dataclass(frozen=True)
class Figure:
    """A figure, and optionally its limit.

    limit: the name of the limit measured next to it. ratio, value: bounds on figure / limit and on the figure,
    both for the median over the rounds.
    """

    name: str
    unit: str
    limit: str = ""
    ratio: Bound | None = None
    value: Bound | None = None


@dataclass(frozen=True)
class Reading:
    """The measurement of a figure in one round."""

    figure: Figure
    value: float
    limit: float | None = None
    series: Series = field(default=(), compare=False)

    @property
    def ratio(self) -> float | None:
        """Figure / limit, or None without a limit."""
        return self.value / self.limit if self.limit else None


@dataclass(frozen=True)
class Measurement:
    """Measures some figures in every round. once: only in the first round, because it is slow."""

    figures: tuple[Figure, ...]
    measure: Callable[[Bed], Iterator[Reading]]
    once: bool = False

    @property
    def family(self) -> str:
        """The module that it is in."""
        return self.measure.__module__.rpartition(".")[2]

    def is_meant(self, names: Sequence[str]) -> bool:
        """Whether one of these is the family or a part of a figure's name. Without any, every figure matches."""
        return not names or any(
            name == self.family or any(name in figure.name for figure in self.figures) for name in names
        )
