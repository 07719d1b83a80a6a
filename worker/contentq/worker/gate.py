"""What a worker makes of a provider's refusals and outages: when to close the gate, and when to try again.

The gate is the database's (contentq.close_gate): one worker that is refused stops every worker that has it. How
fast each begins again is a matter of its pace.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import replace
from datetime import timedelta

from contentq.queue.contract import ClosedGate
from contentq.queue.outcomes import CANCELLED, Closing, Completed, Failed, Outcome, Snoozed, Stored
from contentq.queue.task import Task
from contentq.worker.pace import Pace

log = logging.getLogger("contentq.worker")

FIRST_DELAY = 1.0
"""Seconds until the next try when a provider refuses a call and does not say for how long."""

LONGEST_DELAY = 60.0
"""Seconds that this grows to, doubled at each further refusal while nothing succeeds."""

JITTER = 0.2
"""The part of its delay by which a snoozed task is later at most, so that not all come back at the same moment."""

OUTAGE = 3
"""Calls without an answer, one after the other, that make an outage."""

OUTAGE_SHARE = 0.25
"""Until the next try passes this part of the time that the outage has lasted."""

SHORTEST_OUTAGE = 1.0
"""Seconds until the first try."""

LONGEST_OUTAGE = 30.0
"""Seconds between tries in a long outage."""

SPREAD = 10.0
"""Seconds over which the retries of tasks are spread that an outage has struck, times the retries already used: of
the few that are tried meanwhile, each should be another."""


class Gate:
    """The provider's gate as one worker knows it. key: None for a worker without one: it only snoozes."""

    def __init__(self, key: str | None) -> None:
        self.key = key
        self._pace = None if key is None else Pace(time.monotonic())
        self._is_closed = False
        self._refusals = 0
        self._unanswered = 0
        self._outage_began: float | None = None
        self._trouble_at = 0.0

    @property
    def pace(self) -> Pace | None:
        """How fast tasks may begin; None without a gate."""
        return self._pace

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be claimed now, as far as the last claim was told."""
        return self._is_closed

    def found_closed(self, gate: ClosedGate) -> None:
        """A claim was told that the gate, or every worker's, is closed."""
        if not self._is_closed:
            self._is_closed = True
            log.info("gate closed key=%s %s reason=%s", gate.key, _said(gate.seconds), gate.reason)
        if self._pace is not None:
            now = time.monotonic()
            if not self._pace.is_closed(now) and not gate.probe and gate.key == self.key:
                self._pace.refused(now, now)
            seconds = LONGEST_DELAY if gate.seconds is None else gate.seconds
            self._pace.closed(now + seconds, now, probe=gate.probe)

    def found_open(self) -> None:
        """A claim was let through."""
        self._is_closed = False
        if self._pace is not None:
            self._pace.opened(time.monotonic())

    def judge(self, outcome: Outcome, task: Task, began: float) -> Outcome:
        """The outcome of an attempt that began then (time.monotonic()), with what it means for the gate."""
        if isinstance(outcome, Snoozed):
            return self._refused(outcome, began)
        if isinstance(outcome, Failed) and outcome.is_outage:
            return self._no_answer(outcome, task)
        if isinstance(outcome, Completed | Stored) or (
            isinstance(outcome, Failed) and outcome.error_class != CANCELLED
        ):
            self.went_well(began)
        return outcome

    def went_well(self, began: float) -> None:
        """An attempt that began then has ended, in a way that the provider is not to blame for.

        What began before the trouble says nothing about its end.
        """
        if began < self._trouble_at:
            return
        self._refusals = self._unanswered = 0
        if self._outage_began is not None:
            log.info("the provider is back gate=%s after=%.1fs", self.key, time.monotonic() - self._outage_began)
            self._outage_began = None
        if self._pace is not None:
            self._pace.went_well(began, time.monotonic())

    def _refused(self, outcome: Snoozed, began: float) -> Outcome:
        now = self._trouble_at = time.monotonic()
        self._unanswered = 0
        delay = outcome.delay
        if delay is None:
            longest = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(self._refusals, 10))
            delay = timedelta(seconds=longest * random.uniform(0.8, 1.2))
        key = outcome.gate or self.key
        if key == self.key and self._pace is not None:
            if not self._pace.is_closed(now):
                self._refusals += 1
            self._pace.refused(began, now)
            self._pace.closed(now + delay.total_seconds(), now, probe=False)
        if key is None:
            return replace(outcome, delay=delay * random.uniform(1, 1 + JITTER))
        return replace(outcome, delay=delay, closing=Closing(key, delay, outcome.message, probe=False))

    def _no_answer(self, outcome: Failed, task: Task) -> Outcome:
        if self._pace is None or self.key is None:
            return outcome
        now = time.monotonic()
        if self._unanswered == 0 or self._outage_began is not None:
            self._trouble_at = now
        self._unanswered += 1
        if self._unanswered < OUTAGE and self._outage_began is None:
            return outcome
        if self._outage_began is None:
            self._outage_began = now
            log.warning("the provider does not answer, closing gate=%s error=%s", self.key, outcome.message)
        wanted = (outcome.retry_after or timedelta(0)).total_seconds()
        delay = min(LONGEST_OUTAGE, max(SHORTEST_OUTAGE, OUTAGE_SHARE * (now - self._outage_began)))
        delay = max(delay * random.uniform(0.9, 1.1), min(wanted, LONGEST_OUTAGE))
        spread = delay + SPREAD * (task.retry_count + 1) * random.uniform(0.5, 1.0)
        outcome = replace(outcome, retry_after=timedelta(seconds=max(wanted, spread)))
        if self._pace.is_closed(now):
            return outcome  # it began before
        self._pace.closed(now + delay, now, probe=True)
        return replace(outcome, closing=Closing(self.key, timedelta(seconds=delay), outcome.message, probe=True))


def _said(seconds: float | None) -> str:
    return "until someone opens it" if seconds is None else f"for={seconds:.1f}s"
