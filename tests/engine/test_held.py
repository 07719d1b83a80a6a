"""Heartbeats list the tasks of a worker completely: running, newly claimed and being reported."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from contentq import Context, Task
from contentq.engine.held import HeldTasks
from contentq.queue import contract
from contentq.queue.outcomes import Held
from contentq.testing import make_task

from tests.engine.conftest import Database, Insert, Row, StartWorker
from tests.support.waiting import eventually

HEARD = "SELECT heartbeat_at FROM contentq.workers"


def wait_for_heartbeats(database: Database, number: int) -> None:
    seen = set()

    def have_been_made() -> bool:
        seen.add(database.execute(HEARD).fetchone())
        return len(seen) > number

    eventually(have_been_made)


def test_task_is_kept_whose_claim_has_taken_effect_and_is_not_answered_yet(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, has_claimed, go = contract.claim, threading.Event(), threading.Event()

    async def answer_late(*arguments: Any) -> Any:
        claimed = await claim(*arguments)
        if claimed.tasks:
            has_claimed.set()
            await asyncio.to_thread(go.wait, 30)
        return claimed

    async def handler(_task: Task, _context: Context) -> None:
        return None

    monkeypatch.setattr(contract, "claim", answer_late)
    start_worker(handler, heartbeat=0.1)
    id_ = insert()
    assert has_claimed.wait(10)

    wait_for_heartbeats(database, 5)
    go.set()

    eventually(lambda: row(id_).status == "completed")
    assert row(id_).attempt == 1


def test_running_task_that_someone_has_put_back_is_stopped(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    stopped = threading.Event()

    async def handler(task: Task, _context: Context) -> None:
        if task.attempt == 1:
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

    start_worker(handler, heartbeat=0.2)
    id_ = insert()
    eventually(lambda: row(id_).status == "processing")

    database.execute("UPDATE content_generation_tasks SET status = 'pending', worker_id = NULL")

    assert stopped.wait(10)
    eventually(lambda: row(id_).status == "completed")
    assert row(id_).attempt == 2


def test_list_is_not_complete_while_a_claim_from_before_is_under_way() -> None:
    held = HeldTasks()
    before = time.monotonic()
    with held.claiming():
        after = time.monotonic()
        assert held.list(claimed_before=before) == ([], True)
        assert held.list(claimed_before=after + 1) == ([], False)
    assert held.list(claimed_before=after + 1) == ([], True)


def test_what_is_held_is_known_by_its_attempt() -> None:
    held = HeldTasks()
    for attempt in (1, 2):
        held.add(make_task(attempt=attempt))
    assert sorted(held.list(claimed_before=0)[0]) == [(1, 1), (1, 2)]

    held.discard(Held(7, 1, 1, "task"))
    assert held.list(claimed_before=0)[0] == [(1, 2)]
    assert len(held) == 1

    held.clear()
    assert len(held) == 0


def test_maintenance_that_fails_does_not_stop_the_heartbeat_and_is_tried_again(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(_task: Task, _context: Context) -> None:
        await asyncio.Event().wait()

    database.execute("ALTER FUNCTION contentq.maintain RENAME TO maintain_later")
    id_ = insert(timeout_at="2001-01-01")
    start_worker(handler, heartbeat=0.1, maintenance_retry=0.1)

    eventually(lambda: "maintenance failed error=UndefinedFunction" in caplog.text)
    wait_for_heartbeats(database, 3)
    assert "database connection lost" not in caplog.text
    assert "database call failed" not in caplog.text

    database.execute("ALTER FUNCTION contentq.maintain_later RENAME TO maintain")
    eventually(lambda: row(id_).status == "timeout")


def test_after_its_connection_was_lost_a_heartbeat_trusts_no_time_of_before(
    start_worker: StartWorker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failover may lead to a server with another clock."""
    heartbeat, said = contract.heartbeat, list[float | None]()

    async def record(*arguments: Any, **named: Any) -> contract.Beat:
        said.append(named["complete_until"])
        return await heartbeat(*arguments, **named)

    async def handler(_task: Task, _context: Context) -> None:
        return None

    monkeypatch.setattr(contract, "heartbeat", record)
    start_worker(handler, heartbeat=0.1)
    eventually(lambda: said[-1:] not in ([], [None]))
    before = len(said)

    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'contentq heartbeat'"
    )

    eventually(lambda: None in said[before:])
    eventually(lambda: said[-1] is not None)


def test_end_of_a_worker_is_not_an_outage_even_when_its_connection_is_seen_to_end_first(
    start_worker: StartWorker, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    running = start_worker(lambda _task, _context: None, heartbeat=0.1)
    wait_for_heartbeats(database, 2)
    # Like an event loop that handles sockets before cancellations.
    running.worker._heartbeat._beating = None

    running.stop()
    running.ending()

    assert "database connection lost" not in caplog.text
