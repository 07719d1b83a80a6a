"""Tasks and contexts without a queue, to call a handler directly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from contentq.content import PreviousContent, count_words
from contentq.engine.context import Context, Progress, ThreadContext
from contentq.errors import NoDatabase
from contentq.task import Task
from contentq.titles import title_of

Reports = list[tuple[float | None, str | None]]
"""The calls of context.progress(), in order: (fraction, note)."""

_NO_DATABASE = (
    "context.connection() needs a database, and this context has none; run the task on one with "
    "contentq.testing.run_task(), or give make_context() or make_thread_context() a connection"
)


def make_task(
    topic: str | None = None,
    *,
    timeout: float | timedelta | None = None,
    previous_error: str | None = None,
    state: Mapping[str, Any] | None = None,
    **columns: Any,
) -> Task:
    """A task as if it had just been claimed.

    timeout: seconds (or a timedelta) until its deadline. previous_error: the error_message. state: what
    an earlier attempt stored (Snooze). columns: fields of Task by name. Without a retry_count, each earlier
    attempt that was not a revision counts as a retry.
    Raises TypeError for a field that Task does not have.
    """
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    now = datetime.now(UTC)
    attempt, max_retries = columns.get("attempt", 1), columns.get("max_retries", 3)
    revisions = columns.get("revision_count", 0)
    fields: dict[str, Any] = {
        **dict.fromkeys(Task._fields),
        "id": 1,
        "attempt": attempt,
        "task_id": "task-fake",
        "account_id": 1,
        "topic": topic,
        "priority": 5,
        "retry_count": min(max(attempt - 1 - revisions, 0), max_retries),
        "max_retries": max_retries,
        "revision_count": revisions,
        "submitted_at": now,
        "started_at": now,
        "timeout_at": None if seconds is None else now + timedelta(seconds=seconds),
        "auto_approve": True,
        "error_message": previous_error,
        "handler_state": None if not state else json.dumps(dict(state)),
        "seconds_left": seconds,
    }
    unknown = columns.keys() - fields.keys()
    if unknown:
        raise TypeError(f"a task has no field {', '.join(sorted(unknown))}; it has {', '.join(Task._fields)}")
    return Task(**{**fields, **columns})


def previous_content_of(markdown: str) -> PreviousContent:
    """Represents a Markdown text as the content of an earlier attempt that a reviewer rejected.

    Its first heading is the title.
    """
    return PreviousContent(1, title_of(markdown), markdown, count_words(markdown), "rejected")


class FakeContext(Context):
    """The context of an `async def` handler that is called directly. `reported` has its progress reports."""

    __slots__ = ("reported",)

    def __init__(
        self,
        task: Task,
        previous_content: PreviousContent | None = None,
        connection: psycopg.AsyncConnection[TupleRow] | None = None,
        progress: Progress | None = None,
    ) -> None:
        async def open_connection() -> psycopg.AsyncConnection[TupleRow]:
            if connection is None:
                raise NoDatabase(_NO_DATABASE)
            return connection

        self.reported: Reports = []
        super().__init__(task, open_connection, previous_content, _record_to(self.reported, progress))


class FakeThreadContext(ThreadContext):
    """The same for a plain function."""

    __slots__ = ("reported",)

    def __init__(
        self,
        task: Task,
        previous_content: PreviousContent | None = None,
        connection: psycopg.Connection[TupleRow] | None = None,
        progress: Progress | None = None,
    ) -> None:
        def open_connection() -> psycopg.Connection[TupleRow]:
            if connection is None:
                raise NoDatabase(_NO_DATABASE)
            return connection

        self.reported: Reports = []
        super().__init__(task, open_connection, previous_content, _record_to(self.reported, progress))


def make_context(
    task: Task,
    *,
    previous_content: PreviousContent | str | None = None,
    connection: psycopg.AsyncConnection[Any] | None = None,
) -> FakeContext:
    """The context to call an `async def` handler with.

    previous_content: the content of an earlier attempt; a text is treated as Markdown. connection: the connection
    that context.connection() returns; commit or roll it back yourself. Without one, context.connection() raises
    NoDatabase.
    """
    return FakeContext(task, _content(previous_content), connection)


def make_thread_context(
    task: Task,
    *,
    previous_content: PreviousContent | str | None = None,
    connection: psycopg.Connection[Any] | None = None,
) -> FakeThreadContext:
    """The context to call a plain function with; see make_context()."""
    return FakeThreadContext(task, _content(previous_content), connection)


def _content(given: PreviousContent | str | None) -> PreviousContent | None:
    return previous_content_of(given) if isinstance(given, str) else given


def _record_to(reports: Reports, progress: Progress | None) -> Progress:
    def record(fraction: float | None, note: str | None) -> None:
        reports.append((fraction, note))
        if progress is not None:
            progress(fraction, note)

    return record
