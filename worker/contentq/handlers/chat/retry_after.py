"""How long a provider that refuses a call asks to wait, out of the headers of its answer."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

_NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+")
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_REMAINING = "x-ratelimit-remaining-"
_RESET = "x-ratelimit-reset-"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until the provider takes calls again, as far as it says so; names of headers in lower case.

    In this order: `retry-after-ms` (as OpenAI and Azure send it); `retry-after` in seconds, also fractions of
    them, or as an HTTP date (RFC 9110, 10.2.3), which is compared with the answer's own `date`, so that this
    machine's clock does not matter; the longest `x-ratelimit-reset-…` whose `x-ratelimit-remaining-…` is 0. A
    header that cannot be understood is as good as none.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    named = headers.get("retry-after")
    for seconds in (_number(named), _until(named, headers.get("date"))):
        if seconds is not None:
            return seconds
    used_up = [
        name.removeprefix(_REMAINING)
        for name, left in headers.items()
        if name.startswith(_REMAINING) and _number(left) == 0
    ]
    resets = (duration(headers.get(_RESET + what)) for what in used_up)
    return max((seconds for seconds in resets if seconds is not None), default=None)


def duration(text: str | None) -> float | None:
    """Seconds of a duration such as `6m0s`, `20ms`, `1.5s` or `2` (seconds); None when it is none."""
    text = (text or "").strip()
    plain = _number(text)
    if plain is not None:
        return plain
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _number(text: str | None) -> float | None:
    """A number that is not negative."""
    text = (text or "").strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def _until(text: str | None, now: str | None) -> float | None:
    """Seconds from one HTTP date to another, from the present when there is no other; 0 when it is past."""
    then = _date(text)
    if then is None:
        return None
    since = _date(now)
    return max(then - (time.time() if since is None else since), 0.0)


def _date(text: str | None) -> float | None:
    """Seconds since 1970; a date without a zone is in UTC, as HTTP has it."""
    try:
        date: datetime = parsedate_to_datetime(text or "")
        return (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
