"""A worker in a thread of the test, on the test's own database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import fields
from typing import Any, Protocol

import psycopg
import pytest
from contentq.database import database as databases
from contentq.engine.options import WorkerOptions
from contentq.engine.timings import Timings
from contentq.engine.worker import Ending, Worker
from contentq.handlers.loading import Handler, wrap
from psycopg.rows import TupleRow

Database = psycopg.Connection[TupleRow]


class RunningWorker:
    """A worker on its own event loop."""

    def __init__(self, dsn: str, handler: Any, **options: Any) -> None:
        self._ended: Future[Ending] = Future()
        self._ready = threading.Event()
        self._handler = handler
        options = {"concurrency": 10, "grace": 5.0, **options}
        self._database = databases.Database(dsn, **_take(databases.Database, options))
        self._timings = Timings(**_take(Timings, options))
        self._options = WorkerOptions(**options)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        with suppress(RuntimeError):  # its event loop is closed: the worker has just ended
            self._loop.call_soon_threadsafe(self.worker.stop)

    def ending(self, within: float = 20) -> Ending:
        """How it ended: after stop(), or when the worker stopped on its own."""
        ending = self._ended.result(within)
        self._thread.join(within)
        return ending

    def leave(self) -> None:
        if not self._ended.done():
            self.stop()
            self.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _handlers(self) -> Handler:
        return self._handler if isinstance(self._handler, Handler) else wrap(self._handler, "tests:handler")

    def _run(self) -> None:
        async def main() -> Ending:
            self._loop = asyncio.get_running_loop()
            self.worker = Worker(self._database, self._handlers(), self._options, timings=self._timings)
            self._ready.set()
            return await self.worker.run()

        try:
            self._ended.set_result(asyncio.run(main()))
        except BaseException as error:
            self._ended.set_exception(error)


def _take(kind: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Removes the options that are fields of this class."""
    return {field.name: options.pop(field.name) for field in fields(kind) if field.name in options}


class StartWorker(Protocol):
    """options: fields of WorkerOptions, of Timings, and of contentq's Database."""

    def __call__(self, handler: Any, **options: Any) -> RunningWorker: ...


@pytest.fixture
def start_worker(dsn: str) -> Iterator[StartWorker]:
    """Starts workers, which are stopped at the end of the test."""
    started: list[RunningWorker] = []

    def start(handler: Any, **options: Any) -> RunningWorker:
        started.append(RunningWorker(dsn, handler, **options))
        return started[-1]

    yield start
    for running in started:
        running.leave()


@pytest.fixture
def work_off(start_worker: StartWorker) -> Callable[..., RunningWorker]:
    """Runs a worker with this handler until no task is pending."""

    def work(handler: Any, **options: Any) -> RunningWorker:
        running = start_worker(handler, until_empty=True, **options)
        running.ending()
        return running

    return work


@pytest.fixture
def account(database: Database) -> int:
    """The id of an account."""
    row = database.execute("INSERT INTO accounts (name) VALUES ('Test') RETURNING id").fetchone()
    assert row is not None
    return int(row[0])


class Insert(Protocol):
    def __call__(self, **columns: Any) -> int: ...


@pytest.fixture
def insert(database: Database, account: int) -> Insert:
    """Inserts a task with these columns; returns its id."""

    def insert_one(**columns: Any) -> int:
        values = {"account_id": account, "topic": "A topic", **columns}
        names, places = ", ".join(values), ", ".join(["%s"] * len(values))
        row = database.execute(
            f"INSERT INTO content_generation_tasks ({names}) VALUES ({places}) RETURNING id", list(values.values())
        ).fetchone()
        assert row is not None
        return int(row[0])

    return insert_one


class Row(Protocol):
    def __call__(self, id_: int) -> Any: ...


@pytest.fixture
def row(database: Database) -> Row:
    """The current row of a task, as a dictionary by column name."""

    def read(id_: int) -> Any:
        with database.cursor(row_factory=psycopg.rows.namedtuple_row) as cursor:
            return cursor.execute("SELECT * FROM content_generation_tasks WHERE id = %s", [id_]).fetchone()

    return read
