"""Tasks as a handler gets them, without a queue."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

from contentq import Task
from contentq.content import PreviousContent
from contentq.worker.context import Context

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def task(
    topic: str | None = "Lentil soup",
    *,
    keywords: str | None = None,
    category: str | None = None,
    requirements: str | None = None,
    tone: str | None = None,
    account_id: int = 1,
    attempt: int = 1,
    error_message: str | None = None,
) -> Task:
    """A task in its first attempt, of which nothing but this is known."""
    return Task(
        id=1,
        attempt=attempt,
        task_id="task-1",
        account_id=account_id,
        topic=topic,
        keywords=keywords,
        category=category,
        requirements=requirements,
        tone=tone,
        priority=5,
        retry_count=0,
        max_retries=3,
        submitted_at=NOW,
        started_at=NOW,
        timeout_at=None,
        auto_approve=True,
        content_id=None,
        error_message=error_message,
        seconds_left=None,
    )


def context(
    of: Task,
    previous_content: PreviousContent | None = None,
    progress: Callable[[float | None, str | None], None] = lambda fraction, note: None,
) -> Context:
    """The context of a task, without a database."""

    async def no_connection() -> None:
        raise AssertionError("this test has no database")

    return Context(of, no_connection, previous_content, progress)  # type: ignore[arg-type]
