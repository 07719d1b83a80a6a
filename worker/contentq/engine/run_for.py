"""Runs a worker for a limited time, for measurements and tests."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from contentq.database.database import Database
from contentq.engine.worker import Worker


async def run_for(
    database: Database,
    worker: Worker,
    seconds: float,
    beside: Coroutine[Any, Any, None] | None = None,
    application: str = "contentq",
) -> bool:
    """Runs the worker until it ends, the parallel work ends, or the time is up.

    Returns whether the worker ended first. application: the name of a connection that watches the database. Raises
    OperationalError as soon as the database is lost; the worker itself would wait for it.
    """
    running = asyncio.create_task(worker.run())
    others = [
        asyncio.create_task(each) for each in (_wait_until_lost(database, application), beside) if each is not None
    ]
    everything: set[asyncio.Task[Any]] = {running, *others}
    try:
        await asyncio.wait(everything, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        by_itself = running.done()
        for each in others:
            if each.done():
                each.result()
        await _leave(worker, running)
        return by_itself
    except asyncio.CancelledError:
        await _leave(worker, running)
        raise
    finally:
        for each in everything:
            each.cancel()
        await asyncio.gather(*everything, return_exceptions=True)


async def _leave(worker: Worker, running: asyncio.Task[Any]) -> None:
    """Makes the worker release its tasks and leave."""
    worker.stop()
    worker.stop()
    await running


async def _wait_until_lost(database: Database, application: str) -> None:
    async with await database.connect_async(application) as connection:
        async for _ in connection.notifies():
            pass
