"""How long a provider that refuses a call asks to wait, and whether it refuses all, by the headers it sends."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from contentq.errors import LONGEST_WAIT

LONGEST_HEADER = 500
"""Characters: a time is shorter, and to look for parts of one in a long text takes the square of its length."""

_NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+")
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_UNIX_SECONDS, _UNIX_MILLISECONDS = 1e9, 1e12
"""A number above these is no wait, but a time since 1970: the first is in 2001, the second as milliseconds too."""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until the provider takes calls again, as far as it says so, and LONGEST_WAIT at most; names of
    headers in lower case.

    In this order: `retry-after-ms` (as OpenAI and Azure send it); `retry-after` in seconds, also fractions of
    them, or as an HTTP date (RFC 9110, 10.2.3); the longest reset of what is used up (see nothing_left()). A time,
    which some send as a Unix time, is compared with the answer's own `date`, so that this machine's clock does not
    matter. A header that cannot be understood, that is longer than LONGEST_HEADER, or that names no time to come,
    is as good as none.
    """
    headers = {name: value for name, value in headers.items() if len(value) <= LONGEST_HEADER}
    wait = next((seconds for seconds in _waits(headers) if seconds is not None and seconds > 0), None)
    return None if wait is None else min(wait, LONGEST_WAIT)


def nothing_left(headers: Mapping[str, str]) -> bool:
    """Whether the provider says that a limit is used up, so that it refuses whoever calls; names in lower case.

    It says so with a 0 in `x-ratelimit-remaining-requests`, `…-tokens` and others of OpenAI and Azure, in
    `anthropic-ratelimit-requests-remaining`, or in plain `ratelimit-remaining`. When the limit begins anew is in
    the header with `reset` in place of `remaining`.
    """
    return bool(_used_up(headers))


def _used_up(headers: Mapping[str, str]) -> list[str]:
    return [
        name
        for name, left in headers.items()
        if "ratelimit-" in name and "remaining" in name and len(left) <= LONGEST_HEADER and _number(left) == 0
    ]


def _waits(headers: Mapping[str, str]) -> Iterator[float | None]:
    """What each header asks for, the most precise first; zero or less is in the past."""
    now = headers.get("date")
    milliseconds = _number(headers.get("retry-after-ms"))
    yield None if milliseconds is None else milliseconds / 1000
    named = headers.get("retry-after")
    yield _left(_number(named), now)
    yield _until(_date(named), now)
    resets = [headers.get(name.replace("remaining", "reset")) for name in _used_up(headers)]
    times = [(_left(duration(reset), now), _until(_date(reset), now)) for reset in resets]
    yield max((seconds for both in times for seconds in both if seconds is not None), default=None)


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


def _left(seconds: float | None, now: str | None) -> float | None:
    """Seconds as they are, unless there are so many that they are a Unix time: then those until it."""
    if seconds is None or seconds <= _UNIX_SECONDS:
        return seconds
    return _until(seconds / 1000 if seconds > _UNIX_MILLISECONDS else seconds, now)


def _until(then: float | None, now: str | None) -> float | None:
    """Seconds from an HTTP date to a time since 1970, from the present when there is no date; less than 0 when it
    is past."""
    if then is None:
        return None
    since = _date(now)
    return then - (time.time() if since is None else since)


def _date(text: str | None) -> float | None:
    """Seconds since 1970, of an HTTP date or one of RFC 3339; without a zone it is in UTC, as HTTP has it."""
    try:
        is_rfc_3339 = re.match(r"\d{4}-\d\d-\d\d[Tt]", text or "")
        date: datetime = (
            datetime.fromisoformat((text or "").strip().upper().replace("Z", "+00:00"))
            if is_rfc_3339
            else parsedate_to_datetime(text or "")
        )
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
