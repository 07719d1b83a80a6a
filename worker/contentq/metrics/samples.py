"""The values of metrics at one moment, under their declared names and labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from contentq.metrics.families import Family

MOST_VALUES = 200
"""Values of a label that a counter keeps apart: handlers name them."""

OTHER = "other"


@dataclass
class Histogram:
    """Seconds, counted by bucket. counts: of each bound, and of what is above the last."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, bucket: int, number: int, seconds: float) -> None:
        """So many more in a bucket, which took so long together."""
        self.counts[bucket] += number
        self.total += seconds

    def copy(self) -> Histogram:
        """As it is now."""
        other = Histogram(self.bounds)
        other.counts, other.total = list(self.counts), self.total
        return other

    def cumulative(self) -> list[tuple[str, int]]:
        """(upper bound, how many are not above it), the last one +Inf."""
        names = [repr(float(bound)) for bound in self.bounds]
        found, running = [], 0
        for name, number in zip([*names, "+Inf"], self.counts, strict=True):
            running += number
            found.append((name, running))
        return found


class Counter:
    """What only grows, by one label. most: values of the label that are kept apart; further ones are other."""

    def __init__(self, most: int = MOST_VALUES) -> None:
        self._most = most
        self._values: dict[str, float] = {}

    def add(self, label: str, amount: float) -> None:
        """Adds to one value."""
        if label not in self._values and len(self._values) >= self._most:
            label = OTHER
        self._values[label] = self._values.get(label, 0.0) + amount

    def __iter__(self) -> Iterator[tuple[str, float]]:
        return iter(list(self._values.items()))


Value = float | Histogram


class Samples:
    """What is exported: by family, by the values of its labels."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = {family.name: family for family in families}
        self._values: dict[str, dict[tuple[str, ...], Value]] = {}

    def set(self, name: str, value: Value, *labels: str) -> None:
        """Sets one value. Raises KeyError or ValueError for what is not declared."""
        family = self._families[name]
        if len(labels) != len(family.labels):
            raise ValueError(f"{name} has the labels {family.labels}, not {labels}")
        self._values.setdefault(name, {})[labels] = value

    def __iter__(self) -> Iterator[tuple[Family, dict[tuple[str, ...], Value]]]:
        for name, family in self._families.items():
            if name in self._values:
                yield family, self._values[name]
