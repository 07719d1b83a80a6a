"""Measurements of the fault suite by name, for the report at its end."""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Any


class Figures:
    """Seconds and counts by subject, and lines of figures."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._lines: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._seconds or self._counts or self._lines)

    def as_sent(self) -> list[Any]:
        """All of them, for another process."""
        return [dict(self._seconds), dict(self._counts), self._lines]

    def add(self, sent: list[Any]) -> None:
        """Adds the figures of another process."""
        seconds, counts, lines = sent
        for what, each in seconds.items():
            self.took(what, *each)
        for what, number in counts.items():
            self.counted(what, number)
        self._lines += lines

    def took(self, what: str, *seconds: float) -> None:
        """Records a duration."""
        self._seconds[what] += seconds

    def counted(self, what: str, number: int) -> None:
        """Adds to a count."""
        self._counts[what] += number

    def found(self, what: str, line: str) -> None:
        """Adds a line of figures."""
        self._lines.append(f"{what}: {line}")

    def lines(self) -> list[str]:
        """The report, line by line."""
        counts = [f"{what}: {number}" for what, number in self._counts.items()]
        times = [
            f"{what}: median {statistics.median(seconds):.1f} s, worst {max(seconds):.1f} s, {len(seconds)} times"
            for what, seconds in self._seconds.items()
            if seconds  # a short torture run may not kill any worker
        ]
        return counts + times + self._lines


FIGURES = Figures()
"""The figures of this run."""
