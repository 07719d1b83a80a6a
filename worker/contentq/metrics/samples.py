"""The values of metrics at one moment, by declared name and labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from contentq.metrics.families import Family

MOST_VALUES = 200
"""Maximum number of values of a label in a counter, because handlers choose them."""

OTHER = "other"


@dataclass
class Histogram:
    """A histogram of seconds. counts: one for each bound, and one above the last bound."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, bucket: int, number: int, seconds: float) -> None:
        """Adds a number of observations to a bucket. seconds: their sum."""
        self.counts[bucket] += number
        self.total += seconds

    def copy(self) -> Histogram:
        """Returns a copy."""
        other = Histogram(self.bounds)
        other.counts, other.total = list(self.counts), self.total
        return other

    def cumulative(self) -> list[tuple[str, int]]:
        """Returns (upper bound, number of observations up to it); the last bound is +Inf."""
        names = [repr(float(bound)) for bound in self.bounds]
        found, running = [], 0
        for name, number in zip([*names, "+Inf"], self.counts, strict=True):
            running += number
            found.append((name, running))
        return found


class Counter:
    """A counter with one label. most: number of label values that are kept apart; others count as `other`."""

    def __init__(self, most: int = MOST_VALUES) -> None:
        self._most = most
        self._values: dict[str, float] = {}

    def add(self, label: str, amount: float) -> None:
        """Adds to the value of a label."""
        if label not in self._values and len(self._values) >= self._most:
            label = OTHER
        self._values[label] = self._values.get(label, 0.0) + amount

    def __iter__(self) -> Iterator[tuple[str, float]]:
        return iter(list(self._values.items()))


Value = float | Histogram


class Samples:
    """Exported values, by family and by the values of its labels."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = {family.name: family for family in families}
        self._values: dict[str, dict[tuple[str, ...], Value]] = {}

    def set(self, name: str, value: Value, *labels: str) -> None:
        """Sets a value. Raises KeyError or ValueError if it is not declared."""
        family = self._families[name]
        if len(labels) != len(family.labels):
            raise ValueError(f"{name} has the labels {family.labels}, not {labels}")
        self._values.setdefault(name, {})[labels] = value

    def __iter__(self) -> Iterator[tuple[Family, dict[tuple[str, ...], Value]]]:
        for name, family in self._families.items():
            if name in self._values:
                yield family, self._values[name]
