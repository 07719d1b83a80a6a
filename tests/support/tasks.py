"""Tasks as a handler gets them, without a queue."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from contentq import Task
from contentq.content import PreviousContent
from contentq.worker.context import Context

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def task(topic: str | None = "Lentil soup", **changes: Any) -> Task:
    """A task in its first attempt, of which nothing but its topic is known, but for these changes."""
    return Task(
        id=1,
        attempt=1,
        task_id="task-1",
        account_id=1,
        topic=topic,
        keywords=None,
        category=None,
        requirements=None,
        tone=None,
        priority=5,
        retry_count=0,
        max_retries=3,
        submitted_at=NOW,
        started_at=NOW,
        timeout_at=None,
        auto_approve=True,
        content_id=None,
        error_message=None,
        seconds_left=None,
    )._replace(**changes)


def context(
    of: Task,
    previous_content: PreviousContent | None = None,
    progress: Callable[[float | None, str | None], None] = lambda fraction, note: None,
) -> Context:
    """The context of a task, without a database."""

    async def no_connection() -> None:
        raise AssertionError("this test has no database")

    return Context(of, no_connection, previous_content, progress)  # type: ignore[arg-type]
