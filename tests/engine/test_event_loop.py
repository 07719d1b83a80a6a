"""An async handler that blocks the event loop is named in a warning, and the worker stays alive."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contentq import Context, Task, ThreadContext

from tests.engine.conftest import Database, Insert, Row, StartWorker
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow


class Blocking:
    """A handler that blocks the event loop without awaiting until it is released."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.let_go = threading.Event()

    async def __call__(self, task: Task, _context: Context) -> dict[str, Any]:
        if task.topic == "blocks":
            self.running.set()
            assert self.let_go.wait(30)
            self.let_go.clear()
        return {"success": True}


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Any:
    """The warnings so far about a blocked event loop."""
    caplog.set_level(logging.WARNING, "contentq.worker")
    return lambda: [message for message in caplog.messages if "event loop blocked" in message]


def heard_at(database: Database) -> Any:
    row = database.execute("SELECT heartbeat_at FROM contentq.workers").fetchone()
    assert row is not None
    return row[0]


def test_task_that_blocks_the_event_loop_is_named_and_completes(
    start_worker: StartWorker, insert: Insert, row: Row, warnings: Any
) -> None:
    handler = Blocking()
    start_worker(handler)
    waiting, blocking = insert(task_id="post-1"), insert(task_id="post-2", topic="blocks")
    assert handler.running.wait(10)

    eventually(warnings)
    handler.let_go.set()

    eventually(lambda: (row(waiting).status, row(blocking).status) == ("completed", "completed"))
    assert row(blocking).attempt == 1
    (warning,) = warnings()
    assert re.match(r"event loop blocked for \d+\.\d s by task post-2: no other task ", warning)


def test_each_time_that_the_event_loop_is_blocked_is_warned_of(
    start_worker: StartWorker, insert: Insert, warnings: Any
) -> None:
    handler = Blocking()
    start_worker(handler, concurrency=1, blocked_warning=0.5)
    for number in (1, 2):
        insert(task_id=f"post-{number}", topic="blocks")
        eventually(lambda number=number: len(warnings()) == number)  # type: ignore[misc]
        handler.let_go.set()

    assert ["post-1" in warnings()[0], "post-2" in warnings()[1]] == [True, True]


def test_heart_goes_on_beating_while_the_event_loop_is_blocked_and_one_warning_is_enough(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, warnings: Any
) -> None:
    handler = Blocking()
    start_worker(handler, heartbeat=0.2, blocked_warning=0.5)
    id_ = insert(topic="blocks")
    assert handler.running.wait(10)
    blocked_since = database.execute("SELECT clock_timestamp()").fetchone()
    assert blocked_since is not None

    eventually(lambda: (heard_at(database) - blocked_since[0]).total_seconds() > 1.5)
    assert database.execute("SELECT contentq.rescue_dead_workers('1 second')").fetchone() == (0,)
    handler.let_go.set()

    eventually(lambda: row(id_).status == "completed")
    assert (row(id_).attempt, row(id_).retry_count) == (1, 0)
    assert len(warnings()) == 1


def test_deadline_of_a_task_that_blocks_the_event_loop_passes_all_the_same(
    start_worker: StartWorker, insert: Insert, row: Row
) -> None:
    handler = Blocking()
    id_ = insert(topic="blocks", timeout_at=datetime.now(UTC) + timedelta(seconds=1))
    running = start_worker(handler, heartbeat=0.2)
    assert handler.running.wait(10)

    eventually(lambda: row(id_).status == "timeout")
    handler.let_go.set()

    eventually(lambda: running.worker.counts.refused == 1)
    assert (row(id_).status, row(id_).result) == ("timeout", None)


@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
def test_handler_that_awaits_or_runs_in_a_thread_is_not_warned_of(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, warnings: Any, plain: bool
) -> None:
    let_go = threading.Event()

    def plainly(_task: Task, _context: ThreadContext) -> None:
        assert let_go.wait(30)

    async def async_(_task: Task, _context: Context) -> None:
        await asyncio.to_thread(let_go.wait, 30)

    start_worker(plainly if plain else async_, heartbeat=0.2)
    id_ = insert()
    eventually(lambda: row(id_).status == "processing")
    started = row(id_).started_at

    eventually(lambda: (heard_at(database) - started).total_seconds() > 1.5)
    let_go.set()

    eventually(lambda: row(id_).status == "completed")
    assert warnings() == []
