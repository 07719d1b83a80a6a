"""eventually() waits until its condition holds."""

from __future__ import annotations

import pytest

from tests.support.waiting import eventually


def test_value_that_the_condition_comes_to_is_returned() -> None:
    values = iter([0, None, "", 3])

    assert eventually(lambda: next(values)) == 3


def test_assertion_that_fails_counts_as_not_yet() -> None:
    values = iter([1, 2, 3])

    def condition() -> bool:
        assert next(values) == 3
        return True

    assert eventually(condition)


def test_condition_that_never_holds_fails_with_its_source_and_its_last_value() -> None:
    found = ["pending"]

    with pytest.raises(AssertionError, match=r"not within 0.05 seconds: .*\"completed\" in found.* it was False"):
        eventually(lambda: "completed" in found, within=0.05)


def test_other_errors_are_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        eventually(lambda: 1 / 0)
