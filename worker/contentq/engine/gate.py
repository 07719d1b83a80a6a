"""What a worker makes of a provider's refusals and outages: when to close the gate, and when to try again.

The gate is the database's (contentq.close_gate): one worker that is refused stops every worker that has it. How
fast each begins again is a matter of its pace.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import replace
from datetime import timedelta

from contentq.engine.pace import Pace
from contentq.queue.contract import ClosedGate
from contentq.queue.outcomes import CANCELLED, Closing, Completed, Failed, Outcome, Snoozed, Stored
from contentq.task import Task

log = logging.getLogger("contentq.worker")

FIRST_DELAY = 1.0
"""Seconds until the next try when a provider refuses a call and does not say for how long."""

LONGEST_DELAY = 60.0
"""Seconds that this grows to, doubled at each further refusal while nothing succeeds."""

SHORTEST_DELAY = 0.05
"""Seconds: who is refused for less, and has no pace to keep to, waits as if nothing had been said."""

LONGEST_CLOSING = 3600.0
"""Seconds that a gate is closed at most: then one task is to show whether what the provider has said was true."""

JITTER = 0.2
"""The part of its delay by which a snoozed task is later at most, so that not all come back at the same moment."""

OUTAGE = 3
"""Calls without an answer, one after the other, that make an outage."""

UNANSWERED_SHARE = 0.33
"""So many for each call from before them that ends well meanwhile: a few among many that are answered are none,
however long calls take."""

OUTAGE_SHARE = 0.25
"""Until the next try passes this part of the time that the outage has lasted."""

SHORTEST_OUTAGE = 1.0
"""Seconds until the first try."""

LONGEST_OUTAGE = 30.0
"""Seconds between tries in a long outage."""

SPREAD = 10.0
"""Seconds over which the retries of tasks are spread that an outage has struck, times the retries already used: of
the few that are tried meanwhile, each should be another."""

FORGOTTEN = 120.0
"""Seconds without a sign of it after which an outage is taken to be over, though nothing has succeeded since: the
queue was empty."""

LOGGED = 300
"""Characters of a reason that go to the log."""

_NEVER, _UNKNOWN = float("-inf"), float("inf")


class Gate:
    """The provider's gate as one worker knows it. key: None for a worker without one: it only snoozes."""

    def __init__(self, key: str | None) -> None:
        self.key = key
        self._pace = None if key is None else Pace(time.monotonic())
        self._closed: str | None = None
        self._known_at = _NEVER
        self._refusals = 0
        self._unanswered = 0
        self._answered = 0
        self._outage_began: float | None = None
        self._trouble_at = _NEVER
        self._waiting: asyncio.Future[None] | None = None

    @property
    def pace(self) -> Pace | None:
        """How fast tasks may begin; None without a gate."""
        return self._pace

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be claimed now, as far as the last claim was told."""
        return self._closed is not None

    def allows(self, free: int) -> int:
        """How many of so many tasks may be claimed now.

        While it is closed the database is asked all the same, for one: someone may have opened it. Not before it
        was told of the closing, though: it would take the gate to be open.
        """
        if self._pace is None:
            return free
        now = time.monotonic()
        if self._pace.is_closed(now) and now >= self._known_at:
            return min(1, free)
        return min(free, self._pace.allows(now))

    async def wait(self, at_most: float) -> None:
        """Waits until more may be claimed, as far as is known; at most so many seconds, or until there is news."""
        assert self._pace is not None
        seconds = min(at_most, self._pace.wait(time.monotonic()))
        # Not asyncio.wait_for(): until Python 3.12 it may lose a cancellation.
        self._waiting = waiting = asyncio.get_running_loop().create_future()
        timer = waiting.get_loop().call_later(seconds, self._end_wait)
        try:
            await waiting
        finally:
            timer.cancel()
            self._waiting = None

    def confirm_closing(self, closing: Closing) -> None:
        """The database has been told that a gate is closed."""
        if closing.key == self.key:
            self._known_at = time.monotonic()
            self._end_wait()

    def learn_closed(self, gate: ClosedGate) -> None:
        """A claim was told that the gate, or every worker's, is closed."""
        was_open, self._closed = self._closed is None, gate.key
        if was_open:
            log.info(
                "gate closed key=%s %s reason=%s", gate.key, _duration_text(gate.seconds), _one_line(gate.reason)
            )
        if self._pace is None:
            return
        now = time.monotonic()
        self._known_at = min(self._known_at, now)
        if gate.half_open and gate.key == self.key:
            self._trouble_at = now
            if self._outage_began is None:
                self._outage_began = now
        elif was_open and gate.seconds is not None and gate.key == self.key and not self._pace.is_closed(now):
            # Another worker was refused. Without an end, it is an operator who has closed it.
            self._pace.record_refusal(now, now)
        seconds = LONGEST_DELAY if gate.seconds is None else gate.seconds
        self._pace.close(now + seconds, now, half_open=gate.half_open)

    def learn_open(self, asked_at: float) -> None:
        """A claim that was made then (time.monotonic()) was let through."""
        if self._closed is not None:
            log.info("gate open key=%s", self._closed)
            self._closed = None
        # The answer may be older than what has closed it since.
        if self._pace is not None and asked_at >= self._known_at:
            self._pace.open(time.monotonic())

    def judge(self, outcome: Outcome, task: Task, began: float) -> Outcome:
        """The outcome of an attempt that began then (time.monotonic()), with what it means for the gate."""
        if isinstance(outcome, Snoozed):
            return self._judge_refusal(outcome, began)
        if isinstance(outcome, Failed) and outcome.is_outage:
            return self._judge_no_answer(outcome, task, began)
        if isinstance(outcome, Completed | Stored) or (
            isinstance(outcome, Failed) and outcome.error_class != CANCELLED
        ):
            self.record_success(began)
        elif self._pace is not None and self._pace.record_undecided(began):
            self._end_wait()
        return outcome

    def record_success(self, began: float) -> None:
        """An attempt that began then has ended, in a way that the provider is not to blame for.

        What began before the trouble says nothing about its end: a stream that was open goes on.
        """
        if began < self._trouble_at:
            self._answered += 1
            return
        self._refusals = self._unanswered = self._answered = 0
        if self._pace is None:
            return
        now = time.monotonic()
        if self._outage_began is not None:
            log.info("the provider is back gate=%s after=%.1fs", self.key, now - self._outage_began)
            self._outage_began = None
        if self._pace.record_success(began, now):
            self._end_wait()

    def _judge_refusal(self, outcome: Snoozed, began: float) -> Outcome:
        now = time.monotonic()
        self._unanswered = 0
        if began >= self._trouble_at:
            self._refusals += 1
        self._trouble_at = now
        key = outcome.gate or self.key
        is_paced = key == self.key and self._pace is not None
        delay = outcome.delay
        if delay is None or (not is_paced and delay.total_seconds() < SHORTEST_DELAY):
            longest = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(max(self._refusals - 1, 0), 10))
            delay = timedelta(seconds=longest * random.uniform(0.8, 1.2))
        seconds = min(delay.total_seconds(), LONGEST_CLOSING)
        is_cut_short = seconds < delay.total_seconds()
        closing = None if key is None else Closing(key, now + seconds, outcome.message, half_open=is_cut_short)
        if is_paced and self._pace is not None:
            self._pace.record_refusal(began, now)
            self._close(now, seconds, half_open=is_cut_short)
        else:
            # Nothing else keeps them from coming back at the same moment.
            delay *= random.uniform(1, 1 + JITTER)
        return replace(outcome, delay=delay, closing=closing)

    def _judge_no_answer(self, outcome: Failed, task: Task, began: float) -> Outcome:
        if self._pace is None or self.key is None:
            return outcome
        now = time.monotonic()
        if self._outage_began is not None and now - self._trouble_at > FORGOTTEN:
            self._outage_began, self._unanswered = None, 0
        is_news = not self._pace.is_closed(now)
        if self._outage_began is not None:
            is_news = is_news and began >= self._trouble_at
        elif self._unanswered == 0:
            self._trouble_at, self._answered = now, 0
        self._unanswered += 1
        is_outage = self._unanswered >= OUTAGE and self._unanswered >= UNANSWERED_SHARE * self._answered
        if self._outage_began is None and not is_outage:
            return outcome
        if self._outage_began is None:
            self._outage_began = now
            log.warning(
                "the provider does not answer, closing gate=%s error=%s", self.key, _one_line(outcome.message)
            )
        wanted = (outcome.retry_after or timedelta(0)).total_seconds()
        delay = min(LONGEST_OUTAGE, max(SHORTEST_OUTAGE, OUTAGE_SHARE * (now - self._outage_began)))
        delay = max(delay * random.uniform(0.9, 1.1), min(wanted, LONGEST_OUTAGE))
        spread = delay + SPREAD * (task.retry_count + 1) * random.uniform(0.5, 1.0)
        outcome = replace(outcome, retry_after=timedelta(seconds=max(min(wanted, LONGEST_CLOSING), spread)))
        if not is_news:
            return outcome
        self._trouble_at = now
        self._close(now, delay, half_open=True)
        return replace(outcome, closing=Closing(self.key, now + delay, outcome.message, half_open=True))

    def _close(self, now: float, seconds: float, *, half_open: bool) -> None:
        """Closes it for this worker, and until the database is told, whatever that says."""
        assert self._pace is not None
        self._pace.close(now + seconds, now, half_open=half_open)
        if seconds > 0:
            self._known_at = _UNKNOWN
        self._end_wait()

    def _end_wait(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())[:LOGGED]


def _duration_text(seconds: float | None) -> str:
    return "until someone opens it" if seconds is None else f"for={seconds:.1f}s"
