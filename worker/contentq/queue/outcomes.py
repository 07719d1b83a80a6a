"""What can become of one attempt at a task, as a worker reports it."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

SPREAD = 0.2
"""The part of its delay by which a snoozed task is later at most."""

CANCELLED = "Cancelled"
"""The error class of an attempt that was stopped because its task was cancelled."""


class Held(NamedTuple):
    """Names the attempt that an outcome belongs to: it counts only while (worker, id, attempt) holds."""

    worker_id: int
    id: int
    attempt: int
    task_id: str


@dataclass(frozen=True, slots=True)
class Completed:
    """The handler ended well; result is JSON as text."""

    held: Held
    result: str


@dataclass(frozen=True, slots=True)
class Stored:
    """The handler produced content, to be stored with the completion.

    extra: a JSON object as text, whose members are added to the result; None for none.
    """

    held: Held
    title: str
    body: str
    word_count: int
    extra: str | None


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed. permanent: no retry. retry_after: delay of the retry; None for the backoff.

    unanswered: the provider did not answer. usage: what it has cost all the same, a JSON object as text.
    state: what the next attempt finds, a JSON object as text; None leaves what is there.
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
    """Checks of what the handler has produced failed: message says which, one a line, and draft is kept.

    draft: None when there is none. extra: as in Stored, with what the attempt has cost. max_revisions: how often
    the task goes back for this. keep_for_review: the last draft completes it, and waits for its review.
    """

    held: Held
    message: str
    draft: Stored | None
    extra: str | None
    max_revisions: int
    keep_for_review: bool


@dataclass(frozen=True, slots=True)
class Snoozed:
    """The task is to be claimed again after a delay, with no retry charged.

    delay: None when no one has said how long. is_refusal: a provider has refused the call, and a gate hears of it;
    otherwise the handler has put the task off for a reason of its own. refused_by: the gate of that provider.
    nothing_left: it said that it takes no call for so long. state: what the next attempt finds, a JSON object as
    text; None leaves what is there. usage: what the attempt has cost all the same, a JSON object as text.
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
        """What is left of the delay: the report may have been long in coming.

        Tasks that are refused at the same moment are not to come back at the same moment: snooze() sees to it when
        it knows of the refusal. A delay of the handler's own is kept.
        """
        if self.delay is None:
            return None
        spread = 1.0 if self.refused_by or not self.is_refusal else random.uniform(1.0, 1.0 + SPREAD)
        since = timedelta(seconds=time.monotonic() - self.refused_at)
        return max(self.delay * spread - since, timedelta(0))


@dataclass(frozen=True, slots=True)
class Released:
    """The task is given back unfinished, with nothing charged."""

    held: Held


@dataclass(frozen=True, slots=True)
class Returned(Released):
    """The task is given back before its handler has begun: it was claimed ahead, and others can have it."""


@dataclass(frozen=True, slots=True)
class Overdue(Released):
    """The deadline passed: the task ends as timeout, or goes back should someone have moved the deadline."""


@dataclass(frozen=True, slots=True)
class LeftGate:
    """A call behind a gate has ended, and the attempt goes on. None of it ends the attempt.

    gate: None when the worker has not several, and only the usage counts. outcome: answered, refused, exhausted or
    unanswered. delay: the time that the provider has named. usage: what the call has cost, a JSON object as text.
    """

    gate: str | None
    outcome: str
    delay: timedelta | None = None
    message: str | None = None
    usage: str | None = None


@dataclass(frozen=True, slots=True)
class Progressed:
    """How far an attempt is: the fraction done, from 0 to 1, and a note. None of it ends the attempt."""

    held: Held
    fraction: float | None
    note: str | None


Outcome = Completed | Stored | Failed | Revised | Snoozed | Released
