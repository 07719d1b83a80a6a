"""What the fault suite measures, by name, for the report at its end."""

from __future__ import annotations

import statistics
from collections import defaultdict


class Figures:
    """Seconds, by what they are the seconds of."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        self._counts: defaultdict[str, int] = defaultdict(int)

    def __bool__(self) -> bool:
        return bool(self._seconds or self._counts)

    def took(self, what: str, *seconds: float) -> None:
        """Notes how long something took."""
        self._seconds[what] += seconds

    def counted(self, what: str, number: int) -> None:
        """Adds to a count."""
        self._counts[what] += number

    def lines(self) -> list[str]:
        """The report, a line each."""
        counts = [f"{what}: {number}" for what, number in self._counts.items()]
        return counts + [
            f"{what}: median {statistics.median(seconds):.1f} s, worst {max(seconds):.1f} s, {len(seconds)} times"
            for what, seconds in self._seconds.items()
            if seconds  # a short torture may not have killed anyone
        ]


FIGURES = Figures()
"""Those of this run."""
