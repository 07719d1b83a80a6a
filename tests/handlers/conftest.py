"""Programs to run as handlers, and what a handler gets."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from contentq import Context, Task
from contentq.content import PreviousContent

from tests.support.traces import Trace

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)

Heard = list[tuple[float | None, str | None]]
"""What a context was told of progress."""


def task(**changes: Any) -> Task:
    """A task with a topic and nothing else, but for these changes."""
    return Task(
        id=1,
        attempt=1,
        task_id="task-1",
        account_id=1,
        topic="Lentil soup",
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


def context(of: Task, previous_content: PreviousContent | None = None, heard: Heard | None = None) -> Context:
    """A context without a database. heard: takes what is said of progress."""

    async def no_connection() -> Any:
        raise AssertionError("there is no database")

    def hear(fraction: float | None, note: str | None) -> None:
        if heard is not None:
            heard.append((fraction, note))

    return Context(of, no_connection, previous_content, hear)


def run(call: Callable[..., Awaitable[Any]], of: Task | None = None, heard: Heard | None = None) -> Any:
    """What a handler returns for a task."""
    given = of or task()

    async def main() -> Any:
        return await asyncio.wait_for(call(given, context(given, heard=heard)), 30)

    return asyncio.run(main())


Script = Callable[[str], str]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Writes a Bash script; returns its path."""

    def write(text: str) -> str:
        path = tmp_path / "write.sh"
        path.write_text(f"#!/usr/bin/env bash\n{textwrap.dedent(text)}", encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    return write


@pytest.fixture
def trace(tmp_path: Path) -> Iterator[Trace]:
    """Tells whether processes are alive."""
    made = Trace(tmp_path / "trace")
    yield made
    made.close()
