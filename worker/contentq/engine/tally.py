"""Counts and logs the work of a worker, and passes it to an observer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from contentq.queue.outcomes import (
    CANCELLED,
    Completed,
    Failed,
    Outcome,
    Overdue,
    Released,
    Returned,
    Revised,
    Snoozed,
    Stored,
)
from contentq.task import Task

log = logging.getLogger("contentq.worker")

LOGGED_MESSAGE = 300
"""Maximum length of an error in the log, in characters; the row has all of it."""

GATHERING = 1.0
"""Seconds in which outcomes of one kind, after the first, are counted for one log line."""

FURTHER = {
    "refused": "outcomes refused tasks=%d: no longer held by this worker in these attempts",
    "cancelled": "attempts cancelled tasks=%d",
}
"""Log messages for counted outcomes, by kind: there may be thousands at once."""


def _ignore(*_values: object) -> None:
    """An observer's method that does nothing."""


@dataclass
class Counts:
    """Counts of a worker's claims and outcomes."""

    claimed: int = 0
    completed: int = 0
    failed: int = 0
    retried: int = 0
    revised: int = 0
    """Tasks whose draft failed its checks and went back for revision, without a retry charged."""
    snoozed: int = 0
    """Tasks delayed because a provider refused a call, without a retry charged."""
    timed_out: int = 0
    released: int = 0
    """Tasks released unfinished."""
    refused: int = 0
    """Outcomes that did not count: the task was rescued, cancelled or past its deadline."""

    def __str__(self) -> str:
        return " ".join(f"{name}={number}" for name, number in asdict(self).items() if number)


@dataclass
class Observer:
    """Receives the events of a worker. Every method may be left out."""

    claimed: Callable[[list[Task]], None] = _ignore
    reported: Callable[[Outcome, str | None], None] = _ignore


def observe_all(observers: Sequence[Observer]) -> Observer:
    """Combines several observers into one."""
    if len(observers) < 2:
        return observers[0] if observers else Observer()

    def claimed(tasks: list[Task]) -> None:
        for each in observers:
            each.claimed(tasks)

    def reported(outcome: Outcome, status: str | None) -> None:
        for each in observers:
            each.reported(outcome, status)

    return Observer(claimed, reported)


class Tally:
    """Counts claims and answered reports."""

    def __init__(self, observer: Observer) -> None:
        self.counts = Counts()
        self._observer = observer
        self._further: dict[str, int] = {}
        """By kind, the outcomes since the first one was logged."""

    def add_claimed(self, tasks: list[Task]) -> None:
        """Records claimed tasks."""
        self.counts.claimed += len(tasks)
        self._observer.claimed(tasks)

    def add_reported(self, outcome: Outcome, status: str | None) -> None:
        """Records the answer to the report of an outcome. status: None if it did not count."""
        counter = _counter(outcome, status)
        if counter is not None:
            setattr(self.counts, counter, getattr(self.counts, counter) + 1)
        if isinstance(outcome, Failed) and outcome.error_class == CANCELLED and status == "failed":
            self._log_first("cancelled", "attempt cancelled task=%s attempt=%d", outcome)
        elif isinstance(outcome, Failed | Revised) and status is not None:
            log.log(
                logging.INFO if status == "pending" else logging.WARNING,
                "checks failed task=%s attempt=%d status=%s error=%s"
                if isinstance(outcome, Revised)
                else "attempt failed task=%s attempt=%d status=%s error=%s",
                outcome.held.task_id,
                outcome.held.attempt,
                status,
                " ".join(outcome.message[:LOGGED_MESSAGE].split()),
            )
        elif counter == "refused" and isinstance(outcome, Completed | Stored):
            message = "outcome refused task=%s attempt=%d: no longer held by this worker in this attempt"
            self._log_first("refused", message, outcome)
        self._observer.reported(outcome, status)

    def _log_first(self, kind: str, message: str, outcome: Outcome) -> None:
        """Logs the first outcome of a kind and counts the following ones: thousands may be cancelled at once."""
        if kind in self._further:
            self._further[kind] += 1
            return
        self._further[kind] = 0
        log.warning(message, outcome.held.task_id, outcome.held.attempt)
        asyncio.get_running_loop().call_later(GATHERING, self._log_further, kind)

    def _log_further(self, kind: str) -> None:
        further = self._further.pop(kind)
        if further:
            log.warning(FURTHER[kind], further)


def _counter(outcome: Outcome, status: str | None) -> str | None:
    """The field of Counts that an answered report increments; None for a task released before it started."""
    if isinstance(outcome, Overdue):
        return "timed_out" if status is None else "retried"
    if status is None:
        return "refused"
    if isinstance(outcome, Returned):
        return None
    if isinstance(outcome, Released):
        return "released"
    if status == "pending":
        return (
            "snoozed" if isinstance(outcome, Snoozed) else "revised" if isinstance(outcome, Revised) else "retried"
        )
    return {"completed": "completed", "failed": "failed", "timeout": "timed_out"}.get(status, "refused")
