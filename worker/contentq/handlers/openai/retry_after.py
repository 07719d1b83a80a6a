"""How long a refusing provider asks to wait, and whether it refuses all calls, from its headers and messages."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from contentq.errors import LONGEST_WAIT

READ_LENGTH = 10_000
"""Characters of a body that are searched for a time."""

LONGEST_HEADER = 500
"""Maximum length of a time, in characters: longer texts would take quadratic time to search."""

_NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+")
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_HINTED = re.compile(
    r"\b(?:try again|retry|retrying|wait|available|resets?)(?: again)?(?: in| after| for)?(?: about| at least)? "
    r"(\d[\d.]{0,20})( ?[a-zµμ]{1,12})((?: ?\d[\d.]{0,20} ?[a-zµμ]{1,12}){0,3})",
    re.IGNORECASE,
)
"""Such as `try again in 6.5s`, `retry after 20 seconds` or `wait 1m 20s` in a message."""

_HINTED_PART = re.compile(r"(\d[\d.]{0,20}) ?([a-zµμ]{1,12})", re.IGNORECASE)
_DELAY = re.compile(r"""retryDelay\\*["']\s*:\s*\\*["'](\d+(?:\.\d*)?)s""")
"""Google's RetryInfo, also as JSON inside a JSON string."""

_WORDS: dict[str, float] = {
    "second": 1,
    "sec": 1,
    "minute": 60,
    "min": 60,
    "hour": 3600,
    "hr": 3600,
    "day": 86_400,
}
_WORDS |= {"millisecond": 1e-3, "msec": 1e-3}
_DELAYS = {"retry_after": 1.0, "retry_after_seconds": 1.0, "retry_after_ms": 1e-3}
"""Members of an error that name a time, with their unit in seconds."""

_UNIX_SECONDS, _UNIX_MILLISECONDS = 1e9, 1e12
"""Numbers above these are Unix times, not waits.

The first is in 2001, in seconds; the second is the same in milliseconds.
"""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until the provider accepts calls again, by its headers; at most LONGEST_WAIT.

    Names of headers are in lower case. In this order: `retry-after-ms` (of OpenAI and Azure); `retry-after` in
    seconds, also fractions, or as an HTTP date (RFC 9110, 10.2.3); the longest reset of the used-up limits (see
    nothing_left()). A time, also a Unix time, is compared with the answer's `date`, so that the clock of this
    machine does not matter. Ignores headers that cannot be parsed, are longer than LONGEST_HEADER, or name a time
    in the past.
    """
    headers = {name: value for name, value in headers.items() if len(value) <= LONGEST_HEADER}
    wait = next((seconds for seconds in _waits(headers) if seconds is not None and seconds > 0), None)
    return None if wait is None else min(wait, LONGEST_WAIT)


def hinted_wait(body: Any, message: str) -> float | None:
    """Seconds until the provider accepts calls again, by the body of an error; at most LONGEST_WAIT.

    In this order: Google's `retryDelay`, a member such as `retry_after_seconds`, a time in the message. None if
    there is none.
    """
    wait = next((seconds for seconds in _hints(body, message) if seconds is not None and seconds > 0), None)
    return None if wait is None else min(wait, LONGEST_WAIT)


def _hints(body: Any, message: str) -> Iterator[float | None]:
    try:
        text = message[:READ_LENGTH] + json.dumps(body, ensure_ascii=False)[: 2 * READ_LENGTH]
    except (TypeError, ValueError, RecursionError):
        text = message[:READ_LENGTH]
    found = _DELAY.search(text)
    yield float(found[1]) if found else None
    for error in (body, body.get("error"), body.get("metadata")) if isinstance(body, Mapping) else ():
        for name, unit in _DELAYS.items():
            said = error.get(name) if isinstance(error, Mapping) else None
            if isinstance(said, int | float) and 0 < said < math.inf:
                yield min(said, LONGEST_WAIT / unit) * unit  # an int may be larger than any float
    hint = _HINTED.search(message[:READ_LENGTH])
    yield _in_words(hint[1] + hint[2] + hint[3]) if hint else None


def _in_words(text: str) -> float | None:
    """Seconds of a duration such as `1m20.5s` or `2 minutes`; None if a unit is not one of time."""
    seconds = 0.0
    for number, unit in _HINTED_PART.findall(text):
        word = unit.lower()
        of = _SECONDS.get(word) or _WORDS.get(word.removesuffix("s"))
        if of is None:
            return seconds or None
        try:
            seconds += float(number.rstrip(".")) * of
        except ValueError:
            return seconds or None
    return seconds or None


def nothing_left(headers: Mapping[str, str]) -> bool:
    """Whether the provider reports that a limit is used up, so that it refuses every call; names in lower case.

    The sign is a 0 in `x-ratelimit-remaining-requests`, `…-tokens` and others of OpenAI and Azure, in
    `anthropic-ratelimit-requests-remaining`, or in plain `ratelimit-remaining`. The header with `reset` in place
    of `remaining` has the end of the limit's period.
    """
    return bool(_used_up(headers))


def _used_up(headers: Mapping[str, str]) -> list[str]:
    return [
        name
        for name, left in headers.items()
        if "ratelimit-" in name and "remaining" in name and len(left) <= LONGEST_HEADER and _number(left) == 0
    ]


def _waits(headers: Mapping[str, str]) -> Iterator[float | None]:
    """The wait of each header, most precise first; zero or less is in the past."""
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
    """Seconds of a duration such as `6m0s`, `20ms`, `1.5s` or `2` (seconds); None if it is not a duration."""
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
    """The seconds; if they are a Unix time, the seconds until then."""
    if seconds is None or seconds <= _UNIX_SECONDS:
        return seconds
    return _until(seconds / 1000 if seconds > _UNIX_MILLISECONDS else seconds, now)


def _until(then: float | None, now: str | None) -> float | None:
    """Seconds from an HTTP date (or from now if there is none) to a Unix time; negative if it is past."""
    if then is None:
        return None
    since = _date(now)
    return then - (time.time() if since is None else since)


def _date(text: str | None) -> float | None:
    """The Unix time of an HTTP date or an RFC 3339 date; without a zone it is UTC, as HTTP specifies."""
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
