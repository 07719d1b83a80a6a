"""Tasks and contexts without a queue: what a handler is called with when it is called directly."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from contentq.content import PreviousContent, count_words
from contentq.engine.context import Context, Progress, ThreadContext
from contentq.errors import NoDatabase
from contentq.queue.task import Task

Reports = list[tuple[float | None, str | None]]
"""What a handler has told context.progress(), in order: (fraction, note)."""

_NO_DATABASE = (
    "context.connection() needs a database, and this context has none; run the task on one with "
    "contentq.testing.run_task(), or give make_context() or make_thread_context() a connection"
)


def make_task(  # noqa: PLR0913 (its arguments are the columns of a task)
    topic: str | None = None,
    *,
    keywords: str | None = None,
    category: str | None = None,
    requirements: str | None = None,
    tone: str | None = None,
    account_id: int = 1,
    priority: int = 5,
    timeout: float | timedelta | None = None,
    attempt: int = 1,
    retry_count: int | None = None,
    max_retries: int = 3,
    previous_error: str | None = None,
    content_id: int | None = None,
    auto_approve: bool = True,
    id: int = 1,
    task_id: str = "task-made-up",
) -> Task:
    """A task as if it had just been claimed.

    timeout: seconds (or a timedelta) until its deadline. retry_count: left out, each attempt before this one was
    a retry. previous_error: the error_message.
    """
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    now = datetime.now(UTC)
    return Task(
        id=id,
        attempt=attempt,
        task_id=task_id,
        account_id=account_id,
        topic=topic,
        keywords=keywords,
        category=category,
        requirements=requirements,
        tone=tone,
        priority=priority,
        retry_count=min(attempt - 1, max_retries) if retry_count is None else retry_count,
        max_retries=max_retries,
        submitted_at=now,
        started_at=now,
        timeout_at=None if seconds is None else now + timedelta(seconds=seconds),
        auto_approve=auto_approve,
        content_id=content_id,
        error_message=previous_error,
        seconds_left=seconds,
    )


def previous_content_of(markdown: str) -> PreviousContent:
    """A Markdown text as what an earlier attempt has produced and a reviewer has rejected; its first line is the
    title."""
    title = re.sub(r"^#+\s*", "", markdown.strip().partition("\n")[0]).strip()
    return PreviousContent(1, title or "Untitled", markdown, count_words(markdown), "rejected")


class FakeContext(Context):
    """The context of an `async def` handler that is called directly; reported is what it told of its progress."""

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
        super().__init__(task, open_connection, previous_content, _recorded(self.reported, progress))


class FakeThreadContext(ThreadContext):
    """The same of a plain function."""

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
        super().__init__(task, open_connection, previous_content, _recorded(self.reported, progress))


def make_context(
    task: Task,
    *,
    previous_content: PreviousContent | str | None = None,
    connection: psycopg.AsyncConnection[Any] | None = None,
) -> FakeContext:
    """The context to call an `async def` handler with.

    previous_content: what an earlier attempt has produced; a text is taken as Markdown. connection: what
    context.connection() gives; it is yours to commit or roll back. Without one, that raises NoDatabase.
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


def _recorded(reports: Reports, progress: Progress | None) -> Progress:
    def record(fraction: float | None, note: str | None) -> None:
        reports.append((fraction, note))
        if progress is not None:
            progress(fraction, note)

    return record
