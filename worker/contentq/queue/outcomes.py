"""What can become of one attempt at a task, as a worker reports it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple


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
    """The attempt failed. permanent: no retry. retry_after: delay of the retry; None for the backoff."""

    held: Held
    message: str
    error_class: str
    permanent: bool = False
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Snoozed:
    """The task is to be claimed again after a delay, with no retry charged."""

    held: Held
    message: str
    delay: timedelta


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


Outcome = Completed | Stored | Failed | Snoozed | Released
