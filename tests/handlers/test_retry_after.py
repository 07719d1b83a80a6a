"""A provider's time to wait is parsed in every form in use."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from contentq.handlers.openai.retry_after import duration, hinted_wait, nothing_left, retry_after

DATE = "Wed, 21 Oct 2026 07:28:00 GMT"
UNIX_DATE = 1_792_567_680
ANTHROPIC = {"anthropic-ratelimit-requests-remaining": "0"}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 1.25 "}, 1.25),
        ({"retry-after": "0"}, None),
        ({"retry-after": "0.0", "retry-after-ms": "0"}, None),
        ({"retry-after-ms": "0", "retry-after": "2"}, 2),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "1500.5", "retry-after": "2"}, 1.5005),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:29:30 GMT", "date": DATE}, 90),
        ({"retry-after": "Wednesday, 21-Oct-26 07:28:05 GMT", "date": DATE}, 5),
        ({"retry-after": "Wed Oct 21 07:28:05 2026", "date": DATE}, 5),
        ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": DATE}, None),
        ({"retry-after": DATE, "date": DATE}, None),
        ({"retry-after": "Wed, 41 Oct 2026 07:27:00 GMT", "date": DATE}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20ms"}, 0.02),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360),
        ({"x-ratelimit-remaining-tokens": "1", "x-ratelimit-reset-tokens": "6m0s"}, None),
        ({"x-ratelimit-reset-tokens": "6m0s"}, None),
        ({"x-ratelimit-remaining-tokens": "0"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "later"}, None),
        ({"retry-after": "3", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "9s"}, 3),
        ({"retry-after": "0", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "9s"}, 9),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "0s"}, None),
        ({"x-ratelimit-remaining-tokens": "-1", "x-ratelimit-reset-tokens": "9s"}, None),
        ({"x-ratelimit-remaining-tokens-minute": "0", "x-ratelimit-reset-tokens-minute": "11.5"}, 11.5),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{(UNIX_DATE + 30) * 1000}", "date": DATE}, 30),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "40"}, 40),
        ({**ANTHROPIC, "anthropic-ratelimit-requests-reset": "2026-10-21T07:28:40Z", "date": DATE}, 40),
        ({**ANTHROPIC, "anthropic-ratelimit-requests-reset": "2026-10-21T09:28:40+02:00", "date": DATE}, 40),
        ({**ANTHROPIC, "anthropic-ratelimit-requests-reset": "2026-10-21T25:00:00Z", "date": DATE}, None),
    ],
)
def test_headers_name_a_time_or_none(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, False),
        ({"retry-after": "30"}, False),
        ({"x-ratelimit-remaining-requests": "0"}, True),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-remaining-tokens": "0"}, True),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-remaining-tokens": "12"}, False),
        ({"x-ratelimit-remaining-tokens": "-1"}, False),
        ({"x-ratelimit-limit-requests": "0", "x-ratelimit-reset-requests": "0"}, False),
        ({"anthropic-ratelimit-tokens-remaining": "0"}, True),
        ({"ratelimit-remaining": "0"}, True),
        ({"ratelimit-remaining": "0" * 501}, False),
        ({"x-remaining-credit": "0"}, False),
    ],
)
def test_nothing_is_left_when_a_limit_is_used_up(headers: dict[str, str], expected: bool) -> None:
    assert nothing_left(headers) == expected


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "31536000"},
        {"retry-after": "1000000000"},
        {"retry-after": "9" * 400},
        {"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT", "date": DATE},
        {"retry-after-ms": "9" * 400},
        {"retry-after-ms": "1792567680000"},
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2d"},
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "9" * 400},
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "9" * 400 + "ns"},
    ],
)
def test_provider_is_asked_again_after_an_hour_whatever_it_says(headers: dict[str, str]) -> None:
    assert retry_after(headers) == 3600


@pytest.mark.parametrize("form", ["retry-after", "x-ratelimit-reset-requests"])
@pytest.mark.parametrize(
    ("unix_time", "seconds"),
    [
        (f"{UNIX_DATE + 90}", 90),
        (f"{UNIX_DATE + 90}.5", 90.5),
        (f"{(UNIX_DATE + 90) * 1000}", 90),
        (f"{UNIX_DATE - 1}", None),
        (f"{(UNIX_DATE - 1) * 1000}", None),
        (f"{UNIX_DATE + 86_400}", 3600),
    ],
)
def test_large_number_is_a_unix_time(form: str, unix_time: str, seconds: float | None) -> None:
    named = retry_after({form: unix_time, "x-ratelimit-remaining-requests": "0", "date": DATE})

    assert named == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(("requests", "tokens", "seconds"), [("0", "5", 1.5), ("5", "0", 60), ("0", "0", 60)])
def test_reset_counts_whose_remainder_is_used_up_and_the_longest_of_two(
    requests: str, tokens: str, seconds: float
) -> None:
    headers = {
        "x-ratelimit-remaining-requests": requests,
        "x-ratelimit-reset-requests": "1.5s",
        "x-ratelimit-remaining-tokens": tokens,
        "x-ratelimit-reset-tokens": "1m",
    }
    assert retry_after(headers) == seconds


def test_date_without_a_date_of_the_answer_is_compared_with_the_clock() -> None:
    named = retry_after({"retry-after": formatdate(time.time() + 100, usegmt=True)})

    assert named is not None
    assert 90 < named <= 101


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360),
        ("20ms", 0.02),
        ("1.5s", 1.5),
        ("1h2m3.5s", 3723.5),
        ("1d", 86_400),
        ("12µs", 12e-6),
        ("7", 7),
        ("", None),
        (None, None),
        ("m", None),
        ("1s later", None),
        ("-1s", None),
    ],
)
def test_durations(text: str | None, seconds: float | None) -> None:
    assert duration(text) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Limit reached. Please try again in 6.5s. Visit us.", 6.5),
        ("Limit reached. Please try again in 20ms.", 0.02),
        ("Please try again in 7m12.48s.", 432.48),
        ("Please try again in 59m3s.", 3543),
        ("Please retry after 26 seconds.", 26),
        ("Please retry in 36.183059241s.", 36.183059241),
        ("Try again in about 2 minutes", 120),
        ("Retrying in 5 s", 5),
        ("wait 1m 20s before the next call", 80),
        ("Quota resets in 3 hours", 3600),
        ("wait 5 requests", None),
        ("try again later", None),
        ("try again in 5", None),
        ("try again in 1.2.3s", None),
        ("try again in 0s", None),
        ("the model waits 5 seconds", None),
        ("", None),
    ],
)
def test_message_names_a_time_or_none(message: str, seconds: float | None) -> None:
    assert hinted_wait(None, message) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"details": [{"retryDelay": "36s"}]}, 36),
        ([{"error": {"details": [{"retryDelay": "0.5s"}]}}], 0.5),
        ({"message": '{"details": [{"retryDelay": "7s"}]}'}, 7),
        ({"retry_after": 3}, 3),
        ({"error": {"retry_after_ms": 1500}}, 1.5),
        ({"metadata": {"retry_after_seconds": 2.5}}, 2.5),
        ({"retry_after": float("inf")}, None),
        ({"retry_after": -3}, None),
        ({"retry_after": 10**400}, 3600),
        ({"retry_after_ms": 10**400}, 3600),
        ({"retry_after": -(10**400)}, None),
        ({"retry_after": float("nan")}, None),
        ({"retry_after": "soon"}, None),
        ({"retryDelay": "1e9s"}, None),
        ({"retryDelay": "99999s"}, 3600),
        (3, None),
    ],
)
def test_body_names_a_time_or_none(body: object, seconds: float | None) -> None:
    assert hinted_wait(body, "") == seconds
