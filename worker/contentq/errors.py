"""The errors that contentq raises, with their exit codes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contentq.content import GeneratedContent
    from contentq.task import Status

EXIT_RELEASED = 6
"""Exit code of a worker that was stopped and released running tasks."""

EXIT_FOUND_WARNINGS = 10
EXIT_FOUND_ERRORS = 11
"""Exit codes of contentq doctor, by the worst finding."""


LONGEST_WAIT = 3600.0
"""Maximum wait in seconds that a provider or program can request; the task is then tried again."""

MAX_REVISIONS = 2
"""Default number of revisions of a draft whose checks fail."""

LONGEST_DELAY = 100 * 365 * 24 * 3600.0
"""A hundred years, in seconds; PostgreSQL can still add it to the current time."""


class ContentQueueError(Exception):
    """The base of errors that the user can understand and act on; its text is one complete message."""

    exit_code = 1


class UnreadableDsn(ContentQueueError):
    """The DSN of the database cannot be parsed."""

    exit_code = 2


class DatabaseUnreachable(ContentQueueError):
    """The database could not be reached."""

    exit_code = 3


class SchemaMismatch(ContentQueueError):
    """The database is not migrated, or its schema is older or newer than this program."""

    exit_code = 4


class MigrationStopped(ContentQueueError):
    """PostgreSQL, or the content of the database, ended a migration; each reason is on its own line."""


class InputRefused(ContentQueueError):
    """Tasks were refused: a malformed line, a missing account, a value out of range."""

    exit_code = 5


class ReviewRefused(ContentQueueError):
    """A content was not approved or rejected: another reviewer has decided, or its task cannot be requeued."""


class AnswerLost(ContentQueueError):
    """The output could not be written, but the command has done something that must not be repeated."""

    exit_code = 7


class SelectorRefused(ContentQueueError):
    """Options select tasks that the operation cannot change."""

    exit_code = 2


class WaitTimedOut(ContentQueueError, TimeoutError):
    """Some tasks did not end in time.

    counts: the number of tasks by status.
    """

    exit_code = 8

    def __init__(self, message: str, counts: Mapping[Status, int]) -> None:
        super().__init__(message)
        self.counts = dict(counts)


class HandlerUnusable(ContentQueueError):
    """A handler cannot be loaded or used."""

    exit_code = 2


class EmbeddedServerError(ContentQueueError):
    """The embedded PostgreSQL server is not installed, not running, or did not start."""

    exit_code = 3


class NoDatabase(ContentQueueError):
    """A handler that runs without a database requested a connection from its context."""


class NotRunnable(ContentQueueError):
    """A test tried to run a task that does not exist or is not pending."""


class DidNotEnd(ContentQueueError):
    """A run of a test did not end in time."""


class HandlerError(ContentQueueError):
    """The base of errors that a handler raises to report how its attempt failed.

    usage: the usage and cost of the failed attempt; its members model, prompt_tokens, completion_tokens and cost
    are added to the usage of the task's account. state: the state that the next attempt gets as context.state, a
    JSON object of up to 8192 bytes. None keeps the existing state; an empty object removes it. The state is
    deleted when the task ends.
    """

    def __init__(
        self,
        message: str = "",
        *,
        usage: Mapping[str, Any] | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.usage = dict(usage) if usage else None
        self.state = state


class TemporaryError(HandlerError):
    """The attempt failed, but a retry may succeed: the task is retried while retries are left.

    retry_after: time until the retry, in seconds, or as a timedelta; default: a random exponential backoff.
    Seconds are limited to an hour, because they may come from a provider; a timedelta is not. The attribute is a
    timedelta or None.
    """

    def __init__(
        self,
        message: str = "",
        *,
        retry_after: float | str | timedelta | None = None,
        usage: Mapping[str, Any] | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, usage=usage, state=state)
        self.retry_after = as_timedelta(retry_after)


class ProviderUnavailable(TemporaryError):
    """The provider did not answer, or reported that it is unavailable: the task is not at fault.

    Several of these in a row close the gate of the workers; then one task at a time tries again.
    """


class PermanentError(HandlerError):
    """The task cannot succeed, even if retried: it becomes failed at once."""


class CheckFailed(HandlerError):
    """The content of the attempt failed checks: the next attempt revises it, and no retry is charged.

    message: the failed checks, one per line, as instructions for the revision. draft: the content; it is stored as
    rejected, and the next attempt gets it as context.previous_content, and the message as task.revision_note.
    max_revisions: how often a task is requeued for this; after that it fails and keeps its draft. keep_for_review:
    it is completed instead, with content that is pending even with auto_approve.
    usage: in addition to the usage in the result of the draft. Raises ValueError if max_revisions is negative.
    """

    def __init__(
        self,
        message: str = "",
        *,
        draft: GeneratedContent | None = None,
        max_revisions: int = MAX_REVISIONS,
        keep_for_review: bool = False,
        usage: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, usage=usage)
        if isinstance(max_revisions, bool) or not isinstance(max_revisions, int) or max_revisions < 0:
            raise ValueError(f"max_revisions must be a whole number of 0 or more, not {repr(max_revisions)[:100]}")
        self.draft = draft
        self.max_revisions = max_revisions
        self.keep_for_review = keep_for_review


class RateLimited(HandlerError):
    """The provider refused the call for now: the task is snoozed, and no retry is charged.

    retry_after: time until the task may be claimed again, in seconds, or as a timedelta; default: contentq
    chooses. Seconds are limited to an hour, because they may come from a provider; a timedelta is not. The
    attribute is a timedelta or None. gate: the key of the provider's gate, if it is not the worker's own gate
    (--gate). Only operators can close the gate *, which every worker has; the worker's own gate is used instead.
    nothing_left: the provider accepts no calls during this time, for example because a quota is used up; the gate
    is closed until then. Without it, a refusal delays only its own task, and many refusals slow the gate down.
    """

    def __init__(
        self,
        message: str = "",
        *,
        retry_after: float | str | timedelta | None = None,
        gate: str | None = None,
        nothing_left: bool = False,
        usage: Mapping[str, Any] | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, usage=usage, state=state)
        self.retry_after = as_timedelta(retry_after)
        self.gate = gate
        self.nothing_left = nothing_left


class Snooze(HandlerError):
    """The attempt cannot continue now: the task is snoozed, and no retry is charged.

    delay: time until the task may be claimed again, in seconds or as a timedelta; 0 lets contentq choose, starting
    with a second and longer each time. Gates are not affected. The attribute is a timedelta.
    """

    def __init__(
        self,
        message: str = "",
        *,
        delay: float | timedelta,
        usage: Mapping[str, Any] | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, usage=usage, state=state)
        self.delay = _own_delay(delay)


class NoGateHasRoom(Snooze):
    """None of the gates that the task may enter has room: it is snoozed until one may have room.

    why: the reason by gate. context.enter_gate() raises it; a handler need not catch it.
    """

    def __init__(
        self, message: str = "", *, delay: float | timedelta, why: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, delay=delay)
        self.why = dict(why or {})


def _own_delay(delay: float | timedelta) -> timedelta:
    """Converts a handler's own delay, limited to LONGEST_DELAY. Raises ValueError for other values."""
    if not isinstance(delay, timedelta):
        try:
            seconds = float(delay)
        except OverflowError:  # an integer of more than 300 digits
            seconds = math.inf if delay > 0 else 0.0
        except (TypeError, ValueError):
            seconds = math.nan
        if math.isnan(seconds):
            raise ValueError(f"delay must be seconds (a number) or a timedelta, not {repr(delay)[:100]}")
        delay = timedelta(seconds=min(max(seconds, 0.0), LONGEST_DELAY))
    return min(max(delay, timedelta(0)), timedelta(seconds=LONGEST_DELAY))


def as_timedelta(seconds: float | str | timedelta | None) -> timedelta | None:
    """Converts seconds or a timedelta to a timedelta from 0 to LONGEST_DELAY; None stays None.

    Seconds may be text, as in headers; they are limited to LONGEST_WAIT. Raises ValueError for other values.
    """
    if seconds is None:
        return None
    delay = seconds if isinstance(seconds, timedelta) else timedelta(seconds=_clipped(seconds))
    return min(max(delay, timedelta(0)), timedelta(seconds=LONGEST_DELAY))


def _clipped(seconds: float | str) -> float:
    try:
        number = float(seconds)
    except OverflowError:  # an integer of more than 300 digits
        number = -math.inf if isinstance(seconds, int) and seconds < 0 else math.inf
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        raise ValueError(f"retry_after must be seconds (a number) or a timedelta, not {repr(seconds)[:100]}")
    return min(max(number, 0.0), LONGEST_WAIT)
