"""Programs as handlers: runs one on a task as a worker would, and records its progress."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from contentq import Context, Task
from contentq.content import PreviousContent

from tests.support import tasks
from tests.support.tasks import task

Heard = list[tuple[float | None, str | None]]
"""Progress that a context received."""

Script = Callable[[str], str]
"""Writes a Bash script and returns its path."""


def context(of: Task, previous_content: PreviousContent | None = None, heard: Heard | None = None) -> Context:
    """A context without a database. heard: collects reported progress."""

    def hear(fraction: float | None, note: str | None) -> None:
        if heard is not None:
            heard.append((fraction, note))

    return tasks.context(of, previous_content, hear)


def run(call: Callable[..., Awaitable[Any]], of: Task | None = None, heard: Heard | None = None) -> Any:
    """The result of a handler for a task."""
    given = of or task()

    async def main() -> Any:
        return await asyncio.wait_for(call(given, context(given, heard=heard)), 30)

    return asyncio.run(main())
