"""Errors of handlers accept the time to wait in any form, and report what they cannot accept."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from contentq import ProviderUnavailable, RateLimited, TemporaryError
from contentq.errors import LONGEST_DELAY, LONGEST_WAIT, as_timedelta


@pytest.mark.parametrize("error", [RateLimited, TemporaryError, ProviderUnavailable])
@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (5, 5.0),
        (0.25, 0.25),
        (timedelta(minutes=2), 120.0),
        ("5", 5.0),
        (" 1.5 ", 1.5),
        (Decimal("2.5"), 2.5),
        (-1, 0.0),
        ("-1", 0.0),
        (timedelta(seconds=-1), 0.0),
        (3600, 3600.0),
        (1e12, LONGEST_WAIT),
        (float("inf"), LONGEST_WAIT),
        ("1e30", LONGEST_WAIT),
        pytest.param(10**400, LONGEST_WAIT, id="huge"),
        (timedelta(days=7), 7 * 24 * 3600.0),
        (timedelta.max, LONGEST_DELAY),
        pytest.param(-(10**5000), 0.0, id="hugely negative"),
    ],
)
def test_time_to_wait_is_seconds_or_a_timedelta_and_then_a_timedelta(
    error: Any, given: Any, seconds: float
) -> None:
    assert error("busy", retry_after=given).retry_after == timedelta(seconds=seconds)


def test_no_time_to_wait_stays_none() -> None:
    assert RateLimited("busy").retry_after is as_timedelta(None) is None


@pytest.mark.parametrize("given", ["soon", "", "Wed, 21 Oct 2026 07:28:00 GMT", [5], float("nan"), "nan", b"x"])
def test_what_is_no_time_is_refused_with_what_is_wanted(given: Any) -> None:
    with pytest.raises(
        ValueError, match=r"^retry_after must be seconds \(a number\) or a timedelta, not "
    ) as caught:
        RateLimited("busy", retry_after=given)

    assert str(caught.value).endswith(repr(given))
