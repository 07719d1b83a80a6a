"""Runs pgqueuer with the Python that has it: python run_pgqueuer.py DSN fill|drain|listen [options]."""

from __future__ import annotations

import argparse
import time
from contextlib import AsyncExitStack

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode


async def nothing(job: Job) -> None:
    """Does nothing, to measure the queue alone."""


async def started(_job: Job) -> None:
    """Reports its start time by the clock that all processes of a machine share."""
    print(time.monotonic_ns(), flush=True)


async def fill(dsn: str, jobs: int, autovacuum: bool) -> None:
    """Installs the schema, durable by default, and inserts this many jobs of all priorities."""
    connection = await asyncpg.connect(dsn)
    queries = Queries(AsyncpgDriver(connection))
    await queries.install()
    if autovacuum:
        await queries.optimize_autovacuum()
    if jobs:
        await queries.enqueue(["nothing"] * jobs, [None] * jobs, [1 + n % 10 for n in range(jobs)])
    await connection.close()


async def work(dsn: str, *, until_empty: bool, batch: int, pool: int) -> None:
    """Works as `pgq run` does, with one connection or a pool of this size."""
    async with AsyncExitStack() as opened:
        if pool:
            connections = await opened.enter_async_context(asyncpg.create_pool(dsn, min_size=pool, max_size=pool))
            worker = PgQueuer.from_asyncpg_pool(connections)
        else:
            connection = await asyncpg.connect(dsn)
            opened.push_async_callback(connection.close)
            worker = PgQueuer.from_asyncpg_connection(connection)
        worker.entrypoint("nothing")(nothing if until_empty else started)
        mode = QueueExecutionMode.drain if until_empty else QueueExecutionMode.continuous
        await worker.run(batch_size=batch, mode=mode)


def main() -> None:
    """Runs the action in uvloop, as `pgq run` does."""
    parser = argparse.ArgumentParser()
    parser.add_argument("dsn")
    parser.add_argument("command", choices=("fill", "drain", "listen"))
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--autovacuum", action="store_true", help="the settings that `pgq autovac` makes")
    parser.add_argument("--batch", type=int, default=10, help="pgqueuer's own default is 10")
    parser.add_argument("--pool", type=int, default=0, help="connections")
    given = parser.parse_args()
    if given.command == "fill":
        uvloop.run(fill(given.dsn, given.jobs, given.autovacuum))
    else:
        uvloop.run(work(given.dsn, until_empty=given.command == "drain", batch=given.batch, pool=given.pool))


if __name__ == "__main__":
    main()
