"""Tasks and contexts for handlers, without a queue. They are constant except for a test's changes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from contentq import Task
from contentq.content import PreviousContent
from contentq.engine.context import Context, Progress
from contentq.testing.fakes import FakeContext, make_task

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def task(topic: str | None = "Lentil soup", **changes: Any) -> Task:
    """A task in its first attempt with only a topic, except for these changes."""
    made = make_task(topic, task_id="task-1")
    return made._replace(**{"submitted_at": NOW, "started_at": NOW, **changes})


def context(
    of: Task, previous_content: PreviousContent | None = None, progress: Progress | None = None
) -> Context:
    """The context of a task, without a database."""
    return FakeContext(of, previous_content, progress=progress)
