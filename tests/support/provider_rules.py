"""What the provider of the tests is told: how to answer, and how many calls to take."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Rule:
    """How certain calls are answered; the first rule that fits counts."""

    contains: str = ""
    """Only calls whose messages have this text in them."""

    times: int | None = None
    """How often it is used, None for always."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    """Of another status than 200: JSON, or a text that is sent as it is."""

    text: str | None = None
    """What the model writes; without it, a short article on the topic."""

    pieces: int = 8
    """In how many pieces."""

    seconds: float | None = None
    """How long that takes; None: what the server was told."""

    finish_reason: str | None = "stop"
    refusal: str | None = None
    counts_tokens: bool = True

    spoiled_after: int | None = None
    """Pieces after which something else comes: what `spoiled` says."""

    spoiled_count: bool = False
    """Whether it comes after finish_reason, in place of the tokens and the end."""

    spoiled: str = "cut"
    """cut: the connection is dropped. end: the stream ends in good order. hang: nothing more comes. Anything else
    is sent as the data of an event, after which the stream ends."""


@dataclass
class Limits:
    """How many calls it takes, and what it says beyond."""

    rate: float | None = None
    """Calls a second; None for any number."""

    burst: float = 1.0
    """Calls that may come at once after a pause, when they are counted by a token bucket."""

    windows: bool = False
    """Whether they are counted in windows of one second each instead, strictly."""

    form: str = "milliseconds"
    """How a refusal names the time: milliseconds (retry-after-ms, beside retry-after in whole seconds), seconds
    (retry-after alone, in whole seconds), reset (x-ratelimit-reset-requests), or nothing."""


class Bucket:
    """Lets `rate` calls a second through."""

    def __init__(self) -> None:
        self._tokens = 0.0
        self._filled_at: float | None = None
        self._window, self._in_window = -1, 0

    def wait(self, limits: Limits, now: float) -> float:
        """0 when a call may pass, which is then counted; else the seconds until one may."""
        if limits.rate is None:
            return 0.0
        if limits.windows:
            window = int(now)
            if window != self._window:
                self._window, self._in_window = window, 0
            if self._in_window < limits.rate:
                self._in_window += 1
                return 0.0
            return window + 1 - now
        since = limits.burst / limits.rate if self._filled_at is None else now - self._filled_at
        self._tokens = min(limits.burst, self._tokens + since * limits.rate)
        self._filled_at = now
        if self._tokens >= 1 - 1e-9:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / limits.rate


def asked_to_wait(form: str, seconds: float) -> dict[str, str]:
    """The headers that name this time, rounded up."""
    milliseconds, whole = str(math.ceil(seconds * 1000)), str(math.ceil(seconds))
    return {
        "milliseconds": {"retry-after-ms": milliseconds, "retry-after": whole},
        "seconds": {"retry-after": whole},
        "reset": {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": f"{milliseconds}ms"},
    }.get(form, {})
