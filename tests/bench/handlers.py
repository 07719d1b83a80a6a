"""Handlers of the benchmark."""

from __future__ import annotations

import asyncio
import time

from contentq import Context, Task, ThreadContext


async def nothing(task: Task, context: Context) -> None:
    """Does nothing, so that what is measured is the queue."""


async def started(task: Task, context: Context) -> dict[str, int]:
    """Says when it started, by the clock that all processes of a machine share."""
    return {"started_ns": time.monotonic_ns()}


async def sleeps(task: Task, context: Context) -> None:
    """Waits for a second, as for an answer of a model."""
    await asyncio.sleep(1)


def blocks(task: Task, context: ThreadContext) -> None:
    """Blocks its thread for a tenth of a second."""
    time.sleep(0.1)
