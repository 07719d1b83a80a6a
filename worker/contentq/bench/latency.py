"""Measures the time from an INSERT to the start of its handler, on an idle worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from contentq.bench.scratch import APPLICATION
from contentq.database.database import Database
from contentq.engine.context import Context
from contentq.engine.options import WorkerOptions
from contentq.engine.run_for import run_for
from contentq.engine.tally import Observer
from contentq.engine.worker import Worker
from contentq.handlers.loading import wrap
from contentq.queue.outcomes import Outcome
from contentq.task import Task

WARM_UP = 3
"""Warm-up tasks, not measured: the worker starts, statements are prepared."""

PAUSE = 0.01
"""Seconds between a completion and the next INSERT, so that the worker is idle again."""

_INSERT = "INSERT INTO public.content_generation_tasks (account_id, topic) VALUES (1, 'A topic')"


def measure_starts(
    database: Database, samples: int, seconds: float, options: WorkerOptions, tell: Callable[[int], None]
) -> list[float]:
    """Milliseconds from the start of an INSERT to the start of its handler, for this number of tasks.

    Returns fewer if the time is up. tell: called with the number measured so far.
    """
    return asyncio.run(_measure(database, samples, seconds, options, tell))


async def _measure(
    database: Database, samples: int, seconds: float, options: WorkerOptions, tell: Callable[[int], None]
) -> list[float]:
    taken: list[float] = []
    started = 0.0
    completed = asyncio.Event()

    async def start(_task: Task, _context: Context) -> None:
        nonlocal started
        started = time.perf_counter()

    def report(_outcome: Outcome, _status: str | None) -> None:
        completed.set()

    async def insert() -> None:
        async with await database.connect_async(APPLICATION, prepare=True) as connection:
            for number in range(WARM_UP + samples):
                completed.clear()
                begun = time.perf_counter()
                await connection.execute(_INSERT)
                await completed.wait()
                if number >= WARM_UP:
                    taken.append(1000 * (started - begun))
                    tell(len(taken))
                await asyncio.sleep(PAUSE)

    worker = Worker(database, wrap(start), options, observer=Observer(reported=report))
    await run_for(database, worker, seconds, insert(), application=APPLICATION)
    return taken
