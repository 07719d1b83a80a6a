"""A worker inside a test: it runs one task, or all waiting tasks, on the test's own database, and then ends.

It is the worker of `contentq worker`, with the same claims (except for their order), fencing and reports. It does
not handle signals or set up logging, and does not report refusals to gates, because gates would outlive the test.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from psycopg.rows import TupleRow

from contentq.content import PreviousContent
from contentq.database.database import Database
from contentq.database.dsn import normalise
from contentq.engine.claimer import Source
from contentq.engine.options import WorkerOptions
from contentq.engine.run_for import run_for
from contentq.engine.tally import Counts
from contentq.engine.timings import Timings
from contentq.engine.worker import Worker
from contentq.errors import DatabaseUnreachable, DidNotEnd, NotRunnable
from contentq.handlers.loading import Handler, load, wrap
from contentq.queue import contract, inspection, operations
from contentq.testing import sources
from contentq.testing.sources import AtOnce, OneTask

T = TypeVar("T")

APPLICATION = "contentq testing"
"""The name of its connections in pg_stat_activity."""

TIMEOUT = 60.0
"""Default time limit of a test, in seconds."""

POLL = 0.5
"""Seconds between checks for tasks that other sessions have locked."""

SHOWN = 3
"""Maximum number of unfinished tasks that an error names."""

_UNFINISHED = """
    SELECT task_id, status, attempt, error_message, count(*) OVER ()
    FROM contentq.tasks
    WHERE status = 'processing'
       OR (status = 'pending' AND (scheduled_at IS NULL OR attempt > 0))
    ORDER BY id
    LIMIT %s"""


@dataclass(frozen=True)
class RanTask:
    """A task's row after its attempt."""

    id: int
    task_id: str

    status: str
    """pending if the task was requeued for a retry or a revision, or snoozed."""

    attempt: int
    retry_count: int

    revision_count: int
    """How often its draft was revised because its checks failed."""

    result: Any
    """The parsed JSON result; None if there is none."""

    content: PreviousContent | None
    """The row of contents that the task refers to."""

    error_message: str | None

    scheduled_at: datetime | None
    """When a retried or snoozed task may be claimed again; None if at once."""

    state: dict[str, Any]
    """The state for the next attempt (Snooze); empty if there is none."""


def run_task(dsn: str, handler: Any, task_id: str | int, *, timeout: float = TIMEOUT) -> RanTask:
    """Makes one attempt at one pending task, regardless of other tasks, and returns its row afterwards.

    handler: a function, an object with __call__, or a name as for `contentq worker`. task_id: its task_id, or its
    id as a number. A task scheduled for later is claimed as well, so that a second call makes the retry. timeout:
    seconds.

    Raises DatabaseUnreachable, SchemaMismatch, HandlerUnusable; NotRunnable if the task does not exist or is not
    pending; DidNotEnd if the handler exceeds the timeout.
    """
    return _run("run_task", run_task_async, dsn, handler, task_id, timeout=timeout)


async def run_task_async(dsn: str, handler: Any, task_id: str | int, *, timeout: float = TIMEOUT) -> RanTask:
    """run_task() for tests that are coroutines."""
    database, found = Database(normalise(dsn), listen=False), _handler(handler)
    database.check(APPLICATION)
    with database.connect(APPLICATION) as connection:
        task = _pending(connection, task_id)
        if task.is_overdue:
            # As in any queue, maintenance precedes the claim.
            operations.sweep_timeouts(connection)
            return _read_row(connection, task.task_id)
    source = OneTask(task.id)
    worker = _worker(database, found, source, concurrency=1)
    ended = await _work(database, worker, timeout)
    with database.connect(APPLICATION) as connection:
        if not ended and worker.counts.claimed and not _was_reported(worker.counts):
            raise DidNotEnd(
                f"task {task.task_id} did not end within {timeout:g} s, and was released; {_describe_stop(found)}"
            )
        if not worker.counts.claimed:
            now = _pending(connection, task.id)
            raise NotRunnable(f"task {now.task_id} could not be claimed: another session has locked its row")
        return _read_row(connection, task.task_id)


def run_until_empty(
    dsn: str,
    handler: Any,
    *,
    concurrency: int = 10,
    at_once: bool = True,
    timeout: float = TIMEOUT,
) -> Counts:
    """Processes all waiting tasks, including retries and snoozed tasks; returns the number of attempts by outcome.

    handler: as for run_task(). concurrency: tasks that run at once. at_once: whether retries and snoozed tasks run
    without delay. Tasks that were submitted with a later scheduled_at stay. timeout: seconds.

    Raises DatabaseUnreachable, SchemaMismatch, HandlerUnusable; DidNotEnd if a task still waits or runs after the
    timeout.
    """
    return _run(
        "run_until_empty",
        run_until_empty_async,
        dsn,
        handler,
        concurrency=concurrency,
        at_once=at_once,
        timeout=timeout,
    )


async def run_until_empty_async(
    dsn: str,
    handler: Any,
    *,
    concurrency: int = 10,
    at_once: bool = True,
    timeout: float = TIMEOUT,
) -> Counts:
    """run_until_empty() for tests that are coroutines."""
    database, found = Database(normalise(dsn), listen=False), _handler(handler)
    worker = _worker(database, found, AtOnce() if at_once else contract, concurrency)
    database.check(APPLICATION)
    if not await _work(database, worker, timeout):
        with database.connect(APPLICATION) as connection:
            unfinished = _describe_unfinished(connection)
        if unfinished:
            raise DidNotEnd(f"the queue was not empty after {timeout:g} s: {unfinished}")
    return worker.counts


def _run(name: str, twin: Callable[..., Coroutine[Any, Any, T]], *values: Any, **options: Any) -> T:
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        raise TypeError(f"{name}() blocks, and this is a coroutine: await {name}_async() instead")
    return asyncio.run(twin(*values, **options))


def _handler(handler: Any) -> Handler:
    return load(handler) if isinstance(handler, str) else wrap(handler)


def _worker(database: Database, handler: Handler, source: Source, concurrency: int) -> Worker:
    options = WorkerOptions(concurrency=concurrency, until_empty=True, tells_gates=False)
    return Worker(database, handler, options, timings=Timings(poll=POLL), source=source)


async def _work(database: Database, worker: Worker, timeout: float) -> bool:
    """Runs the worker; returns whether it ended in time. Raises DatabaseUnreachable."""
    try:
        return await run_for(database, worker, timeout, application=APPLICATION)
    except psycopg.OperationalError as error:
        said = " ".join(str(error).split())
        raise DatabaseUnreachable(f"the connection to the database was lost: {said}") from None


def _pending(connection: psycopg.Connection[TupleRow], task_id: str | int) -> sources.Found:
    task = sources.find(connection, task_id)
    if task is None:
        raise NotRunnable(
            f"there is no task {task_id}; if the test has inserted it, the transaction is to be committed first"
        )
    if task.status != "pending":
        raise NotRunnable(f"task {task.task_id} is {task.status}; only a pending task can be run")
    return task


def _read_row(connection: psycopg.Connection[TupleRow], task_id: str) -> RanTask:
    row = inspection.task(connection, task_id)
    if row is None:
        raise NotRunnable(f"task {task_id} was deleted while it ran")
    content = inspection.content(connection, task_id)
    return RanTask(
        id=row["id"],
        task_id=row["task_id"],
        status=row["status"],
        attempt=row["attempt"],
        retry_count=row["retry_count"],
        revision_count=row["revision_count"],
        result=None if row["result"] is None else json.loads(row["result"]),
        content=None if content is None else PreviousContent(**content),
        error_message=row["error_message"],
        scheduled_at=row["scheduled_at"],
        state=row["handler_state"] or {},
    )


def _was_reported(counts: Counts) -> bool:
    """Whether the attempt has ended after all.

    A handler that blocks the event loop may end while the worker stops.
    """
    others = (counts.failed, counts.retried, counts.revised, counts.snoozed, counts.timed_out, counts.refused)
    return any((counts.completed, *others))


def _describe_stop(handler: Handler) -> str:
    return (
        "its handler was cancelled"
        if handler.is_async
        else "its handler continues in its thread, which cannot be interrupted"
    )


def _describe_unfinished(connection: psycopg.Connection[TupleRow]) -> str:
    """The tasks that still wait or run; empty if the last handlers blocked the event loop but then ended."""
    rows = connection.execute(_UNFINISHED, [SHOWN]).fetchall()
    tasks = [
        f"{task_id} is {status} after {attempt} attempts" + (f" ({error})" if error else "")
        for task_id, status, attempt, error, _ in rows
    ]
    more = rows[0][-1] - len(rows) if rows else 0
    return "; ".join([*tasks, *([f"and {more} more"] if more else [])])
