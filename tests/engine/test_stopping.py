"""Deadlines, cancellation, lost tasks, and the graceful stop."""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contentq import Context, Task, ThreadContext
from contentq.engine.worker import Ending
from contentq.queue import contract

from tests.engine.conftest import Database, Insert, Row, StartWorker
from tests.support.waiting import eventually


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


class Endless:
    """A handler that runs until stopped and records how it ended."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.cancelled = threading.Event()

    async def __call__(self, _task: Task, _context: Context) -> None:
        self.running.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


class Deaf:
    """A plain handler that runs until it is released."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.let_go = threading.Event()
        self.context: ThreadContext | None = None

    def __call__(self, _task: Task, context: ThreadContext) -> dict[str, bool]:
        self.context = context
        self.running.set()
        assert self.let_go.wait(30)
        return {"late": True}


@pytest.mark.slow
def test_async_handler_is_cancelled_at_the_deadline(start_worker: StartWorker, insert: Insert, row: Row) -> None:
    handler = Endless()
    start_worker(handler)
    id_ = insert(timeout_at=soon(1))
    eventually(lambda: row(id_).status == "timeout", within=10)
    task = row(id_)
    assert handler.cancelled.wait(1)
    assert task.error_message == "Task execution timeout"
    assert task.updated_at - task.timeout_at < timedelta(seconds=1)


def test_late_outcome_of_a_plain_handler_is_refused(start_worker: StartWorker, insert: Insert, row: Row) -> None:
    handler = Deaf()
    running = start_worker(handler)
    id_ = insert(timeout_at=soon(0.7))
    eventually(lambda: row(id_).status == "timeout", within=10)
    assert running.worker._runner.busy == 1  # a thread keeps its slot until it ends
    context = handler.context
    assert context is not None
    eventually(context.should_stop, within=1)
    assert (context.seconds_left() or 0) <= 0
    handler.let_go.set()
    eventually(lambda: running.worker._runner.busy == 0, within=10)
    assert (row(id_).status, row(id_).result) == ("timeout", None)


@pytest.mark.slow
def test_handler_that_blocks_the_event_loop_starves_neither_heartbeat_nor_deadline(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "contentq.worker")
    let_go = threading.Event()

    async def handler(_task: Task, _context: Context) -> None:
        let_go.wait(30)  # blocks the loop on purpose

    start_worker(handler)
    id_ = insert(task_id="task-blocker", timeout_at=soon(2.5))
    try:
        eventually(lambda: row(id_).status == "timeout", within=15)
        ages = database.execute("SELECT max(clock_timestamp() - heartbeat_at) FROM contentq.workers").fetchone()
        assert ages is not None
        assert ages[0] < timedelta(seconds=5)
        assert row(id_).updated_at - row(id_).timeout_at < timedelta(seconds=1.5)
    finally:
        let_go.set()
    assert "event loop blocked" in caplog.text
    assert "task task-blocker" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
def test_cancelled_task_is_stopped_and_not_retried(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, plain: bool
) -> None:
    handler = Deaf() if plain else Endless()
    start_worker(handler)
    id_ = insert()
    assert handler.running.wait(10)
    asked = database.execute("SELECT contentq.cancel(task_id) FROM content_generation_tasks").fetchone()
    assert asked == ("processing",)
    eventually(lambda: row(id_).status == "failed", within=10)
    assert (row(id_).error_message, row(id_).retry_count) == ("Task cancelled", 0)
    if isinstance(handler, Deaf):
        handler.let_go.set()
    else:
        assert handler.cancelled.wait(5)


@pytest.mark.slow
def test_task_taken_away_by_hand_is_stopped(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    handler = Endless()
    running = start_worker(handler)
    id_ = insert()
    assert handler.running.wait(10)
    database.execute("UPDATE content_generation_tasks SET status = 'failed', error_message = 'by hand'")
    assert handler.cancelled.wait(10)
    eventually(lambda: len(running.worker._reporter) == 0, within=5)
    assert (row(id_).status, row(id_).error_message) == ("failed", "by hand")


@pytest.mark.slow
def test_worker_that_was_given_up_stops_its_handlers_and_registers_anew(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    handler = Endless()
    start_worker(handler)
    id_ = insert()
    assert handler.running.wait(10)
    before = row(id_).worker_id
    handler.running.clear()
    database.execute("UPDATE contentq.workers SET heartbeat_at = '2001-01-01'")
    assert database.execute("SELECT contentq.rescue_dead_workers()").fetchone() == (1,)
    assert handler.cancelled.wait(10)
    assert handler.running.wait(10)  # claimed again by the same process under another id
    task = row(id_)
    assert (task.status, task.attempt, task.retry_count) == ("processing", 2, 1)
    assert task.worker_id != before


def test_graceful_stop_lets_running_tasks_end(start_worker: StartWorker, insert: Insert, row: Row) -> None:
    handler = Deaf()
    running = start_worker(handler, grace=20, concurrency=1)
    id_ = insert(priority=10)
    assert handler.running.wait(10)
    waiting = insert()
    running.stop()
    handler.let_go.set()
    assert running.ending() is Ending.DONE
    assert (row(id_).status, row(waiting).status, row(waiting).attempt) == ("completed", "pending", 0)


def test_worker_stopped_while_it_registers_leaves_no_row_behind(
    monkeypatch: pytest.MonkeyPatch, start_worker: StartWorker, database: Database
) -> None:
    registered, let_go = threading.Event(), threading.Event()
    register = contract.register_worker

    async def slowly(*values: Any) -> int:
        worker_id = await register(*values)
        registered.set()
        await asyncio.get_running_loop().run_in_executor(None, let_go.wait, 10)
        return worker_id

    monkeypatch.setattr(contract, "register_worker", slowly)
    worker = start_worker(Endless())
    assert registered.wait(10)

    worker.stop()
    threading.Timer(0.5, let_go.set).start()  # the answer arrives long after the stop

    assert worker.ending() is Ending.DONE
    assert database.execute("SELECT count(*) FROM contentq.workers").fetchone() == (0,)


@pytest.mark.parametrize("signals", [1, 2])
def test_what_does_not_end_in_time_is_released_and_not_charged(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, signals: int
) -> None:
    handler = Endless()
    running = start_worker(handler, grace=0.3 if signals == 1 else 60)
    id_ = insert()
    assert handler.running.wait(10)
    for _ in range(signals):
        running.stop()
    assert running.ending() is Ending.RELEASED
    task = row(id_)
    assert (task.status, task.retry_count, task.attempt, task.worker_id) == ("pending", 0, 1, None)
    assert database.execute("SELECT count(*) FROM contentq.workers").fetchone() == (0,)


@pytest.mark.slow
def test_deaf_plain_handler_is_released_too(start_worker: StartWorker, insert: Insert, row: Row) -> None:
    handler = Deaf()
    running = start_worker(handler, grace=0.1)
    id_ = insert()
    assert handler.running.wait(10)
    running.stop()
    assert running.ending() is Ending.RELEASED
    assert row(id_).status == "pending"
    handler.let_go.set()
    assert row(id_).status == "pending"


@pytest.mark.slow
def test_stop_at_full_load_leaves_nothing_held(
    start_worker: StartWorker, database: Database, account: int, caplog: pytest.LogCaptureFixture
) -> None:
    database.execute(
        "INSERT INTO content_generation_tasks (account_id) SELECT %s FROM generate_series(1, 5000)", [account]
    )

    async def handler(_task: Task, _context: Context) -> None:
        await asyncio.sleep(0)

    running = start_worker(handler, concurrency=100)
    eventually(lambda: running.worker.counts.completed > 500, within=20)
    running.stop()
    assert running.ending() is Ending.DONE
    statuses: dict[str, int] = dict(
        database.execute("SELECT status, count(*) FROM content_generation_tasks GROUP BY 1").fetchall()
    )
    assert set(statuses) <= {"pending", "completed"}
    assert statuses["completed"] == running.worker.counts.completed
    # A worker that was stalled releases tasks that it has not begun, and claims them again.
    if "event loop blocked" not in caplog.text:
        assert database.execute("SELECT max(attempt) FROM content_generation_tasks").fetchone() == (1,)


def test_handler_that_returns_when_it_is_cancelled_has_ended_well(
    start_worker: StartWorker, insert: Insert, row: Row
) -> None:
    started = threading.Event()

    async def handler(_task: Task, context: Context) -> dict[str, str]:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            assert context.should_stop()
        return {"text": "as far as it came"}

    running = start_worker(handler, grace=0.1)
    id_ = insert()
    assert started.wait(10)
    running.stop()
    running.ending()
    assert (row(id_).status, row(id_).result) == ("completed", {"text": "as far as it came"})
