"""Handlers of the benchmark."""

from __future__ import annotations

import time

from contentq import Context, Task


async def nothing(task: Task, context: Context) -> None:
    """Does nothing, so that what is measured is the queue."""


async def started(task: Task, context: Context) -> dict[str, int]:
    """Says when it started, by the clock that all processes of a machine share."""
    return {"started_ns": time.monotonic_ns()}
