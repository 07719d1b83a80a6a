"""Rules of the test provider: its answers and its limits."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import Any

LONGEST_WAIT = 3600.0
"""Maximum seconds that a refusal names."""


@dataclass
class Rule:
    """How to answer certain calls; the first matching rule applies."""

    contains: str = ""
    """Matches only calls with this text in their messages."""

    times: int | None = None
    """How often the rule applies; None for always."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    """For a status other than 200: JSON, or a text that is sent unchanged."""

    raw: str | None = None
    """The whole body of an answer, instead of a generated one."""

    text: str | None = None
    """The text of the model; without it, a short article on the topic."""

    pieces: int = 8
    """Number of pieces."""

    seconds: float | None = None
    """Seconds per answer; None for the server's setting."""

    finish_reason: str | None = "stop"
    refusal: str | None = None
    counts_tokens: bool = True

    spoiled_after: int | None = None
    """Number of pieces before the action in `spoiled`. All of `raw` is one piece."""

    spoiled_count: bool = False
    """Whether the action follows finish_reason, in place of the tokens and the end."""

    spoiled: str = "cut"
    """The action after those pieces.

    cut: close the connection. end: end the stream properly. hang: send nothing more. repeat:TEXT: repeat this line
    and a blank line endlessly. Any other value is sent as the data of an event, after which the stream ends.
    """


@dataclass
class Limits:
    """Limits, and their announcement in answers. None means unlimited."""

    rate: float | None = None
    """Calls per second."""

    burst: float = 1.0
    """Capacity of the token bucket of calls: the burst after a pause."""

    window: float | None = None
    """Seconds of strict fixed windows, instead of a bucket. The first begins with the first call."""

    in_flight: int | None = None
    """Concurrent calls."""

    tokens: float | None = None
    """Tokens per second of prompts and answers, from a token bucket."""

    tokens_burst: float = 1.0
    """Capacity of the bucket of tokens."""

    share: float = 0.0
    """The share of calls refused at random, unrelated to a limit. The same calls in each run."""

    form: str = "milliseconds"
    """How a refusal names the time.

    milliseconds (retry-after-ms, and retry-after in whole seconds), seconds (only retry-after, in whole seconds),
    reset (x-ratelimit-reset-…), or nothing.
    """

    says_remaining: bool = False
    """Whether each answer and each refusal names what remains (x-ratelimit-remaining-…), as OpenAI does."""


@dataclass(frozen=True)
class Refusal:
    """Why a call was refused, and the seconds to wait."""

    why: str
    wait: float


AT_ONCE_WAIT, RANDOM_WAIT = 1.0, 2.0
"""Seconds named by a refusal for concurrency, and by a random refusal."""


SEED = 560
"""The seed of random refusals, chosen so that a few hundred calls have about the right share."""


class Bucket:
    """A token bucket, initially full."""

    def __init__(self) -> None:
        self.level: float | None = None
        self._filled_at = 0.0

    def wait(self, rate: float, burst: float, now: float, amount: float = 1.0) -> float:
        """Seconds until it contains this amount; 0 if it does."""
        level = burst if self.level is None else self.level + (now - self._filled_at) * rate
        self.level, self._filled_at = min(burst, level), now
        missing = amount - self.level
        return 0.0 if missing <= 1e-9 else missing / rate if rate else math.inf

    def take(self, amount: float = 1.0) -> None:
        """Takes an amount that wait() has found available."""
        assert self.level is not None
        self.level -= amount


class Window:
    """Counts calls in windows of a fixed length."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._number, self._taken = 0, 0

    def wait(self, rate: float, length: float, now: float) -> float:
        """Seconds until the next window; 0 while this one has room."""
        self._began = now if self._began is None else self._began
        number = int((now - self._began) / length)
        if number != self._number:
            self._number, self._taken = number, 0
        return 0.0 if self._taken < rate * length else self._began + (number + 1) * length - now

    def take(self) -> None:
        """Takes an amount that wait() has found available."""
        self._taken += 1


class Limiter:
    """Decides whether a call passes."""

    def __init__(self) -> None:
        self._requests, self._window, self._tokens = Bucket(), Window(), Bucket()
        self._random = random.Random(SEED)

    def refuse(self, limits: Limits, now: float, running: int = 0, tokens: int = 0) -> Refusal | None:
        """None if a call of this many tokens may pass; it is then counted. running: concurrent calls."""
        is_unlucky = self._random.random() < limits.share
        if limits.in_flight is not None and running >= limits.in_flight:
            return Refusal("concurrency", AT_ONCE_WAIT)
        wait = self._wait_for_request(limits, now)
        if wait:
            return Refusal("requests", wait)
        if limits.tokens is not None:
            wait = self._tokens.wait(limits.tokens, limits.tokens_burst, now, tokens)
            if wait:
                return Refusal("tokens", wait)
        if is_unlucky:
            return Refusal("random", RANDOM_WAIT)
        self._take(limits, tokens)
        return None

    def remaining(self, limits: Limits) -> dict[str, str]:
        """Headers with the remaining amounts of the buckets and the seconds until they are full."""
        buckets = [
            ("requests", self._requests, None if limits.window else limits.rate, limits.burst),
            ("tokens", self._tokens, limits.tokens, limits.tokens_burst),
        ]
        said = {}
        for what, bucket, rate, burst in buckets:
            if rate and bucket.level is not None:
                said[f"x-ratelimit-limit-{what}"] = f"{burst:.0f}"
                said[f"x-ratelimit-remaining-{what}"] = str(int(bucket.level))
                said[f"x-ratelimit-reset-{what}"] = f"{(burst - bucket.level) / rate:.3f}s"
        return said

    def _wait_for_request(self, limits: Limits, now: float) -> float:
        if limits.rate is None:
            return 0.0
        if limits.window is not None:
            return self._window.wait(limits.rate, limits.window, now)
        return self._requests.wait(limits.rate, limits.burst, now)

    def _take(self, limits: Limits, tokens: int) -> None:
        if limits.window is not None:
            self._window.take()
        elif limits.rate is not None:
            self._requests.take()
        if limits.tokens is not None:
            self._tokens.take(tokens)


def asked_to_wait(form: str, refusal: Refusal) -> dict[str, str]:
    """Headers that name the time, rounded up."""
    wait = min(refusal.wait, LONGEST_WAIT)
    milliseconds, whole = str(math.ceil(wait * 1000)), str(math.ceil(wait))
    what = refusal.why if refusal.why == "tokens" else "requests"
    return {
        "milliseconds": {"retry-after-ms": milliseconds, "retry-after": whole},
        "seconds": {"retry-after": whole},
        "reset": {f"x-ratelimit-remaining-{what}": "0", f"x-ratelimit-reset-{what}": f"{milliseconds}ms"},
    }.get(form, {})
