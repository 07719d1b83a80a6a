"""Handlers of the benchmark."""

from __future__ import annotations

import asyncio
import time

from contentq import Context, GeneratedContent, Task, ThreadContext

BODY = "A sentence of some length that says nothing at all. " * 16


async def nothing(task: Task, context: Context) -> None:
    """Does nothing, to measure the queue alone."""


async def writes(task: Task, _context: Context) -> GeneratedContent:
    """Returns constant content, to measure storing it."""
    return GeneratedContent(title=task.topic or "", body=BODY, word_count=160)


async def started(_task: Task, _context: Context) -> dict[str, int]:
    """Reports its start time by the clock that all processes of a machine share."""
    return {"started_ns": time.monotonic_ns()}


async def sleeps(_task: Task, _context: Context) -> None:
    """Waits for a second, like the answer of a model."""
    await asyncio.sleep(1)


async def sleeps_long(_task: Task, _context: Context) -> None:
    """Waits for five seconds, like a long answer."""
    await asyncio.sleep(5)


async def naps(_task: Task, _context: Context) -> None:
    """Waits for a twentieth of a second, like a quick answer."""
    await asyncio.sleep(0.05)


def blocks(_task: Task, _context: ThreadContext) -> None:
    """Blocks its thread for a tenth of a second."""
    time.sleep(0.1)
