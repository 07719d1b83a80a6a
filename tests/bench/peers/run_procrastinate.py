"""Runs procrastinate with the Python that has it: python run_procrastinate.py DSN fill|drain|listen [options]."""

from __future__ import annotations

import argparse
import asyncio
import logging
import time

from procrastinate import App, PsycopgConnector


async def nothing() -> None:
    """Does nothing, to measure the queue alone."""


async def started() -> None:
    """Reports its start time by the clock that all processes of a machine share."""
    print(time.monotonic_ns(), flush=True)


async def fill(app: App, jobs: int) -> None:
    """Installs the schema and inserts this many jobs of all priorities."""
    task = app.task(name="nothing")(nothing)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for priority in range(1, 11) if jobs else ():
            await task.configure(priority=priority).batch_defer_async(*({} for _ in range(jobs // 10)))


async def work(app: App, *, until_empty: bool, concurrency: int) -> None:
    """Works as `procrastinate worker` does."""
    app.task(name="nothing")(nothing if until_empty else started)
    async with app.open_async():
        await app.run_worker_async(wait=not until_empty, concurrency=concurrency)


def main() -> None:
    """Runs the action."""
    parser = argparse.ArgumentParser()
    parser.add_argument("dsn")
    parser.add_argument("command", choices=("fill", "drain", "listen"))
    parser.add_argument("--jobs", type=int, default=0, help="a multiple of ten")
    parser.add_argument("--concurrency", type=int, default=1, help="procrastinate's own default is 1")
    given = parser.parse_args()
    # It warns about an app in the main module, because other processes would not find its tasks. Here there are
    # none.
    logging.getLogger("procrastinate").setLevel(logging.ERROR)
    app = App(connector=PsycopgConnector(conninfo=given.dsn))
    if given.command == "fill":
        asyncio.run(fill(app, given.jobs))
    else:
        asyncio.run(work(app, until_empty=given.command == "drain", concurrency=given.concurrency))


if __name__ == "__main__":
    main()
