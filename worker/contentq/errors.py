"""Every error that contentq raises on purpose, and the exit code of the command line for each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contentq.content import GeneratedContent
    from contentq.task import Status

EXIT_RELEASED = 6
"""Exit code of a worker that was stopped and gave running tasks back."""

EXIT_FOUND_WARNINGS = 10
EXIT_FOUND_ERRORS = 11
"""Exit codes of contentq doctor, by the worst that it has found."""


LONGEST_WAIT = 3600.0
"""Seconds: a number is what a provider or a program says; whatever that is, it is asked again after an hour."""

MAX_REVISIONS = 2
"""How often a draft goes back when its checks fail, unless something else is said."""

LONGEST_DELAY = 100 * 365 * 24 * 3600.0
"""Seconds: a hundred years, which PostgreSQL can still add to the time of day."""


class ContentQueueError(Exception):
    """Something went wrong that the user can understand and act on; its text is one clear message."""

    exit_code = 1


class UnreadableDsn(ContentQueueError):
    """The DSN of the database cannot be parsed."""

    exit_code = 2


class DatabaseUnreachable(ContentQueueError):
    """No connection to the database could be made."""

    exit_code = 3


class SchemaMismatch(ContentQueueError):
    """The database is not migrated, or its schema is older or newer than this program."""

    exit_code = 4


class MigrationStopped(ContentQueueError):
    """PostgreSQL, or what is in the database, has ended a migration; each reason is on a line of its own."""


class InputRefused(ContentQueueError):
    """Tasks could not be taken in as they are: a broken line, a missing account, a value out of range."""

    exit_code = 5


class ReviewRefused(ContentQueueError):
    """A content was not approved or rejected: another reviewer has decided, or its task cannot go back."""


class AnswerLost(ContentQueueError):
    """Something was done that must not be done twice, and the answer that says so could not be written."""

    exit_code = 7


class SelectorRefused(ContentQueueError):
    """Options select tasks to which an operation cannot be done."""

    exit_code = 2


class WaitTimedOut(ContentQueueError, TimeoutError):
    """Tasks that were waited for have not all ended in time.

    counts: how many of them have which status.
    """

    exit_code = 8

    def __init__(self, message: str, counts: Mapping[Status, int]) -> None:
        super().__init__(message)
        self.counts = dict(counts)


class HandlerUnusable(ContentQueueError):
    """A handler path does not lead to a handler."""

    exit_code = 2


class EmbeddedServerError(ContentQueueError):
    """The embedded PostgreSQL server is not installed, not running, or did not start."""

    exit_code = 3


class NoDatabase(ContentQueueError):
    """A handler that is tried without a database asked its context for a connection."""


class NotRunnable(ContentQueueError):
    """A test wants to run a task that does not exist, or that is not pending."""


class DidNotEnd(ContentQueueError):
    """What a test has run did not end in time."""


class HandlerError(ContentQueueError):
    """The base of what a handler raises to say how its attempt failed.

    usage: what the attempt has cost all the same; its members model, prompt_tokens, completion_tokens and cost are
    added to the usage of the task's account.
    state: what the next attempt finds as context.state, a JSON object of up to 8192 bytes; None leaves what is
    there, an empty one removes it. It is kept until the task ends.
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
    """The attempt failed, but the next may succeed: it is retried while retries are left.

    retry_after: seconds until the retry, for an hour at most, since they may be a provider's; a timedelta is the
    handler's own, and kept. Without it, a random exponential backoff. The attribute is a timedelta, or None.
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
    """The provider did not answer, or said that it cannot work at the moment: it is no fault of the task.

    Several in a row close the gate of the workers that call it; then one task at a time tries again.
    """


class PermanentError(HandlerError):
    """The task cannot succeed, however often it is tried: it becomes failed at once."""


class CheckFailed(HandlerError):
    """What the attempt has produced is not good enough: the next one revises it, and no retry is charged.

    message: what is wrong, one failed check a line, as whoever revises it must know. draft: what was produced; it
    is stored as rejected content, and the next attempt finds it in context.previous_content and the message in
    task.revision_note. max_revisions: how often a task goes back for this. After that it fails, with its draft;
    keep_for_review: it is completed instead, with content that is pending whatever auto_approve says.
    usage: beside what the result of the draft says of it. Raises ValueError when max_revisions is negative.
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

    retry_after: seconds until the task may be claimed again, for an hour at most, since they may be a provider's;
    a timedelta is the handler's own, and kept. Without it, contentq chooses. The attribute is a timedelta, or
    None.
    gate: key of the gate of the provider, when it is another than the worker's own (--gate). The gate *, which is
    every worker's, is an operator's to close: the worker's own counts instead.
    nothing_left: the provider said that it takes no call at all for so long, as when a quota is used up: the gate
    closes until then. Without it, the refusal puts off its own task, and many of them slow the gate down.
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
    """The attempt cannot go on now, and it is nobody's fault: the task is put off, and no retry is charged.

    delay: seconds, or a timedelta, until the task may be claimed again, by the database's clock; none at all lets
    contentq choose, a second at first and longer each time. No gate hears of it. The attribute is a timedelta.
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
    """None of the gates that a task may enter has room: it is put off until one may have.

    why: of each gate, why it has none. Raised by context.enter_gate(); a handler need not catch it.
    """

    def __init__(
        self, message: str = "", *, delay: float | timedelta, why: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, delay=delay)
        self.why = dict(why or {})


def _own_delay(delay: float | timedelta) -> timedelta:
    """A delay that is the handler's own, and kept up to LONGEST_DELAY. Raises ValueError for what is no delay."""
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
    """Seconds or a timedelta, as a timedelta that is not negative and not too long; None stays None.

    Seconds may be a text, as headers have them; they count up to LONGEST_WAIT. Raises ValueError for what is no
    time.
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
