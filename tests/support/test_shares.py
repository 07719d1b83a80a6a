"""The order of the tests of a parallel run."""

from __future__ import annotations

import pytest

from tests.support.shares import in_shares


def group(name: str) -> str:
    return name[0]


@pytest.mark.parametrize("number", [9, 10, 11, 100])
def test_each_process_begins_with_a_share_of_the_long_ones(number: int) -> None:
    others = [f"x{each}" for each in range(number)]

    ordered = in_shares(["a1", "a2", "b1", "c1", "d1", "c2"], others, 3, group)

    assert [each for each in ordered if each in others] == others
    first = len(ordered) // 3
    second = first + (len(ordered) - first) // 2
    assert ordered[:3] == ["a1", "a2", "d1"]
    assert ordered[first : first + 2] == ["b1", others[first - 3]]
    assert ordered[second : second + 2] == ["c1", "c2"]


def test_long_ones_come_first_in_a_single_process() -> None:
    assert in_shares(["a1", "b1", "a2"], ["x1"], 1, group) == ["a1", "a2", "b1", "x1"]


def test_no_test_is_lost_where_there_are_few() -> None:
    ordered = in_shares(["a1", "a2", "a3", "b1"], ["x1"], 4, group)

    assert sorted(ordered) == ["a1", "a2", "a3", "b1", "x1"]
    assert in_shares([], ["x1"], 4, group) == ["x1"]
