"""What the provider of the tests is told: how to answer, and how many calls to take."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import Any

LONGEST_WAIT = 3600.0
"""Seconds that a refusal names at most."""


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

    raw: str | None = None
    """The whole body of an answer, in place of one that is made."""

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
    """Pieces after which something else comes: what `spoiled` says; all of `raw` is one."""

    spoiled_count: bool = False
    """Whether it comes after finish_reason, in place of the tokens and the end."""

    spoiled: str = "cut"
    """cut: the connection is dropped. end: the stream ends in good order. hang: nothing more comes.
    repeat:TEXT: this line, and a blank one, come over and over. Anything else is sent as the data of an
    event, after which the stream ends."""


@dataclass
class Limits:
    """How many calls it takes, and what it says beyond. What is None is not limited."""

    rate: float | None = None
    """Calls a second."""

    burst: float = 1.0
    """Calls that may come at once after a pause, when they are counted by a token bucket."""

    window: float | None = None
    """Seconds of the windows in which they are counted instead, strictly; the first begins with the first call."""

    in_flight: int | None = None
    """Calls at once."""

    tokens: float | None = None
    """Tokens a second, of prompts and answers, counted by a token bucket."""

    tokens_burst: float = 1.0
    """Tokens that it holds."""

    share: float = 0.0
    """The share of calls that is refused at random, with no limit behind it; the same calls in each run."""

    form: str = "milliseconds"
    """How a refusal names the time: milliseconds (retry-after-ms, beside retry-after in whole seconds), seconds
    (retry-after alone, in whole seconds), reset (x-ratelimit-reset-…), or nothing."""

    says_remaining: bool = False
    """Whether each answer and each refusal says what remains (x-ratelimit-remaining-…), as OpenAI's do."""


@dataclass(frozen=True)
class Refusal:
    """Why a call was refused, and how many seconds it should wait."""

    why: str
    wait: float


AT_ONCE_WAIT, RANDOM_WAIT = 1.0, 2.0
"""Seconds that a refusal names when there are too many calls at once, and one that is random."""


SEED = 560
"""Of the random refusals: with it, a few hundred calls have about the share that they should."""


class Bucket:
    """A token bucket; full at first."""

    def __init__(self) -> None:
        self.level: float | None = None
        self._filled_at = 0.0

    def wait(self, rate: float, burst: float, now: float, amount: float = 1.0) -> float:
        """Seconds until it holds so much; 0 when it does."""
        level = burst if self.level is None else self.level + (now - self._filled_at) * rate
        self.level, self._filled_at = min(burst, level), now
        missing = amount - self.level
        return 0.0 if missing <= 1e-9 else missing / rate if rate else math.inf

    def take(self, amount: float = 1.0) -> None:
        """Takes what wait() has found to be there."""
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
        """Takes what wait() has found to be there."""
        self._taken += 1


class Limiter:
    """Says of each call whether it passes."""

    def __init__(self) -> None:
        self._requests, self._window, self._tokens = Bucket(), Window(), Bucket()
        self._random = random.Random(SEED)

    def refuse(self, limits: Limits, now: float, running: int = 0, tokens: int = 0) -> Refusal | None:
        """None when a call of so many tokens may pass, which is then counted. running: calls under way."""
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
        """The headers that say what is left in the buckets, and in how many seconds they are full."""
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
    """The headers that name the time, rounded up."""
    wait = min(refusal.wait, LONGEST_WAIT)
    milliseconds, whole = str(math.ceil(wait * 1000)), str(math.ceil(wait))
    what = refusal.why if refusal.why == "tokens" else "requests"
    return {
        "milliseconds": {"retry-after-ms": milliseconds, "retry-after": whole},
        "seconds": {"retry-after": whole},
        "reset": {f"x-ratelimit-remaining-{what}": "0", f"x-ratelimit-reset-{what}": f"{milliseconds}ms"},
    }.get(form, {})
