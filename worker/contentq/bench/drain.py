"""Measures how fast one worker with default settings drains tasks that do nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from contentq.bench.scratch import APPLICATION, Connection
from contentq.database.database import Database
from contentq.engine.context import Context
from contentq.engine.options import WorkerOptions
from contentq.engine.run_for import run_for
from contentq.engine.tally import Observer
from contentq.engine.worker import Worker
from contentq.handlers.loading import wrap
from contentq.queue.outcomes import Outcome
from contentq.task import Task

CHUNK = 2_000
"""Number of tasks per INSERT."""

_EMPTY = "DELETE FROM public.content_generation_tasks"
_FILL = """
    INSERT INTO public.content_generation_tasks (account_id, topic, priority)
    SELECT 1, 'Topic ' || n, 1 + n %% 10 FROM generate_series(1, %s) AS n"""
# Rows that were completed together were written by one transaction.
_DONE = """
    SELECT count(*), coalesce(extract(epoch FROM max(completed_at) - min(started_at)), 0)::float8,
           count(DISTINCT xmin::text)
    FROM public.content_generation_tasks
    WHERE status = 'completed'"""


@dataclass(frozen=True)
class Drained:
    """The outcomes of the tasks."""

    completed: int

    seconds: float
    """From the first start to the last completion, by the database's clock."""

    claims: int
    """Calls over the connection that claims; each is a round trip and a commit."""

    reports: int
    """The same over the connection that reports."""

    computing: float
    """Share of this time in which the worker's process used a processor."""

    @property
    def rate(self) -> float:
        """Tasks per second."""
        return self.completed / self.seconds


def fill(connection: Connection, tasks: int, seconds: float) -> int:
    """Submits this number of tasks, of all priorities, or fewer if the time is up; returns their number."""
    give_up = time.monotonic() + seconds
    connection.execute(_EMPTY)
    filled = 0
    while filled < tasks and (filled == 0 or time.monotonic() < give_up):
        filled += connection.execute(_FILL, [min(CHUNK, tasks - filled)]).rowcount
    return filled


def drain(
    database: Database, connection: Connection, seconds: float, options: WorkerOptions, tell: Callable[[int], None]
) -> Drained:
    """Processes the submitted tasks, for this number of seconds at most.

    tell: called with the number of tasks claimed so far.
    """
    claims = claimed = 0
    begun = computed = ended = computed_in_all = 0.0

    def observe_claim(batch: list[Task]) -> None:
        nonlocal claims, claimed, begun, computed
        if not claims:
            begun, computed = time.monotonic(), time.process_time()
        claims += 1
        claimed += len(batch)
        tell(claimed)

    def observe_report(_outcome: Outcome, _status: str | None) -> None:
        nonlocal ended, computed_in_all
        ended, computed_in_all = time.monotonic(), time.process_time()

    observer = Observer(observe_claim, observe_report)
    worker = Worker(database, wrap(_nothing), options, observer=observer)
    asyncio.run(run_for(database, worker, seconds, application=APPLICATION))
    completed, taken, reports = connection.execute(_DONE).fetchone() or (0, 0.0, 0)
    computing = (computed_in_all - computed) / (ended - begun) if ended > begun else 0.0
    return Drained(completed, taken, claims, reports, min(1.0, computing))


async def _nothing(_task: Task, _context: Context) -> None:
    """A handler that does nothing, so that only the queue is measured."""
