"""The outcomes of an attempt that a worker reports."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

SPREAD = 0.2
"""Maximum extra delay of a snoozed task, as a share of its delay."""

CANCELLED = "Cancelled"
"""The error class of an attempt that was stopped because its task was cancelled."""


class Held(NamedTuple):
    """Names an attempt. A report on it is valid only while this worker has this attempt of the task."""

    worker_id: int
    id: int
    attempt: int
    task_id: str


@dataclass(frozen=True, slots=True)
class Completed:
    """The handler succeeded; result is JSON as text."""

    held: Held
    result: str


@dataclass(frozen=True, slots=True)
class Stored:
    """The handler produced content, which is stored when the task is completed.

    extra: members to add to the result, a JSON object as text, or None.
    """

    held: Held
    title: str
    body: str
    word_count: int
    extra: str | None


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed. permanent: no retry. retry_after: delay of the retry; None for the backoff.

    unanswered: the provider did not answer. usage: its usage and cost, a JSON object as text. state: the state for
    the next attempt, a JSON object as text; None keeps the existing state.
    """

    held: Held
    message: str
    error_class: str
    permanent: bool = False
    retry_after: timedelta | None = None
    unanswered: bool = False
    usage: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Revised:
    """Checks of the content failed: message names them, one per line; the draft is stored.

    draft: None if there is none. extra: as in Stored, with usage and cost of the attempt. max_revisions: how often
    the task is requeued for this. keep_for_review: the last draft completes the task and waits for a review.
    """

    held: Held
    message: str
    draft: Stored | None
    extra: str | None
    max_revisions: int
    keep_for_review: bool


@dataclass(frozen=True, slots=True)
class Snoozed:
    """The task should be claimed again after a delay, with no retry charged.

    delay: None if it is not known. is_refusal: a provider has refused the call, which a gate records; otherwise
    the handler has snoozed the task for its own reason. refused_by: the gate of that provider. nothing_left: the
    provider accepts no calls during the delay. state: the state for the next attempt, a JSON object as text; None
    keeps the existing state. usage: its usage and cost, a JSON object as text.
    """

    held: Held
    message: str
    delay: timedelta | None
    is_refusal: bool = True
    refused_by: str | None = None
    nothing_left: bool = False
    state: str | None = None
    usage: str | None = None
    refused_at: float = field(default_factory=time.monotonic)

    @property
    def delay_left(self) -> timedelta | None:
        """Returns the rest of the delay, because the report may be late.

        Tasks that were refused at the same moment should not be ready at the same moment: snooze() spreads them if
        a gate records the refusal. A delay that the handler chose is not changed.
        """
        if self.delay is None:
            return None
        spread = 1.0 if self.refused_by or not self.is_refusal else random.uniform(1.0, 1.0 + SPREAD)
        since = timedelta(seconds=time.monotonic() - self.refused_at)
        return max(self.delay * spread - since, timedelta(0))


@dataclass(frozen=True, slots=True)
class Released:
    """The task is released unfinished, with nothing charged."""

    held: Held


@dataclass(frozen=True, slots=True)
class Returned(Released):
    """The task is released before its handler has started: it was claimed ahead, and other workers can take it."""


@dataclass(frozen=True, slots=True)
class Overdue(Released):
    """The deadline has passed: the task ends as timeout, or is released if its deadline was moved."""


@dataclass(frozen=True, slots=True)
class LeftGate:
    """A call behind a gate has ended; the attempt continues.

    gate: None if the worker does not have several gates; then only the usage is recorded. outcome: answered,
    refused, exhausted or unanswered. delay: the time that the provider named. usage: usage and cost of the call, a
    JSON object as text.
    """

    gate: str | None
    outcome: str
    delay: timedelta | None = None
    message: str | None = None
    usage: str | None = None


@dataclass(frozen=True, slots=True)
class Progressed:
    """The progress of an attempt, which continues: the fraction done, from 0 to 1, and a note."""

    held: Held
    fraction: float | None
    note: str | None


Outcome = Completed | Stored | Failed | Revised | Snoozed | Released
