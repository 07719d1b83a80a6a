"""A worker at work while something is measured of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from contentq.bench.scratch import APPLICATION
from contentq.database.connect import connect_async
from contentq.worker.worker import Worker


async def work(dsn: str, worker: Worker, seconds: float, beside: Coroutine[Any, Any, None] | None = None) -> None:
    """Lets the worker work until it has ended, or what is done beside it has, or the time is over.

    Raises OperationalError as soon as the database is lost: the worker itself would wait until it is back.
    """
    running = asyncio.create_task(worker.run())
    others = [asyncio.create_task(each) for each in (_until_lost(dsn), beside) if each is not None]
    everything: set[asyncio.Task[Any]] = {running, *others}
    try:
        await asyncio.wait(everything, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for each in others:
            if each.done():
                each.result()
        worker.stop()
        worker.stop()
        await running
    finally:
        for each in everything:
            each.cancel()
        await asyncio.gather(*everything, return_exceptions=True)


async def _until_lost(dsn: str) -> None:
    async with await connect_async(dsn, APPLICATION) as connection:
        async for _ in connection.notifies():
            pass
