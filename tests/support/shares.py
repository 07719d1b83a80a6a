"""The order of tests in a parallel run: each process starts with the longest."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def in_shares(long: Sequence[T], others: Sequence[T], processes: int, group: Callable[[T], Hashable]) -> list[T]:
    """All tests, ordered so that each process starts with a share of the long ones.

    pytest-xdist's `worksteal` cuts the list into equal parts, one per process. Long tests of one group stay
    together.
    """
    shares: list[list[T]] = [[] for _ in range(processes)]
    groups = dict.fromkeys(map(group, long))
    for number, name in enumerate(groups):
        shares[number % processes] += [each for each in long if group(each) == name]
    ordered: list[T] = []
    left = len(long) + len(others)
    rest = iter(others)
    for number, share in enumerate(shares):
        part = left // (processes - number)
        left -= part
        ordered += [*share, *islice(rest, max(0, part - len(share)))]
    return [*ordered, *rest]
