"""When and in what order a worker starts tasks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contentq import Context, Task, ThreadContext
from contentq.engine import runner
from contentq.engine.worker import Ending

from tests.engine.conftest import Database, Insert, Row, StartWorker
from tests.support.waiting import eventually

WorkOff = Callable[..., Any]


async def nothing(_task: Task, _context: Context) -> None:
    return None


def test_tasks_start_by_priority_then_by_age(work_off: WorkOff, insert: Insert) -> None:
    now = datetime.now(UTC)
    insert(topic="low", priority=1, submitted_at=now - timedelta(hours=9))
    insert(topic="new", priority=5, submitted_at=now)
    insert(topic="old", priority=5, submitted_at=now - timedelta(hours=1))
    insert(topic="urgent", priority=10, submitted_at=now)
    started: list[str | None] = []

    async def handler(task: Task, _context: Context) -> None:
        started.append(task.topic)

    work_off(handler, concurrency=1)
    assert started == ["urgent", "old", "new", "low"]


def test_insert_wakes_an_idle_worker(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    start_worker(nothing, poll=60)
    eventually(lambda: database.execute("SELECT id FROM contentq.workers").fetchone(), within=10)
    # Idle: it has claimed the first task and now waits for the second.
    first = insert()
    eventually(lambda: row(first).status == "completed", within=10)
    id_ = insert()
    eventually(lambda: row(id_).status == "completed", within=5)
    task = row(id_)
    assert task.started_at - task.submitted_at < timedelta(seconds=0.9)


def test_worker_that_does_not_listen_polls(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    start_worker(nothing, listen=False, poll=0.2)
    eventually(lambda: database.execute("SELECT id FROM contentq.workers").fetchone(), within=10)
    id_ = insert()
    eventually(lambda: row(id_).status == "completed", within=10)


@pytest.mark.slow
def test_scheduled_task_starts_at_its_time(start_worker: StartWorker, insert: Insert, row: Row) -> None:
    start_worker(nothing, poll=60)
    id_ = insert(scheduled_at=datetime.now(UTC) + timedelta(seconds=1))
    due = row(id_).scheduled_at
    eventually(lambda: row(id_).status == "completed", within=10)
    assert timedelta(0) <= row(id_).started_at - due < timedelta(seconds=0.9)


def test_until_empty_leaves_what_a_producer_scheduled_for_later(
    work_off: WorkOff, insert: Insert, row: Row
) -> None:
    later = insert(scheduled_at=datetime.now(UTC) + timedelta(days=1))
    now = insert()
    work_off(nothing)
    assert (row(now).status, row(later).status) == ("completed", "pending")


def test_only_the_named_categories_are_claimed(work_off: WorkOff, insert: Insert, row: Row) -> None:
    wanted, other, none = insert(category="blog"), insert(category="news"), insert()
    work_off(nothing, categories=("blog", "press"))
    assert [row(id_).status for id_ in (wanted, other, none)] == ["completed", "pending", "pending"]


def test_no_more_run_at_once_than_there_are_slots(work_off: WorkOff, insert: Insert) -> None:
    for _ in range(40):
        insert()
    at_once: list[int] = []
    running = 0

    def handler(_task: Task, _context: ThreadContext) -> None:
        nonlocal running
        running += 1
        at_once.append(running)
        time.sleep(0.005)
        running -= 1

    work_off(handler, concurrency=4)
    assert 1 < max(at_once) <= 4


@pytest.mark.slow
def test_three_workers_share_the_work_and_start_each_task_once(
    start_worker: StartWorker, database: Database, account: int
) -> None:
    database.execute(
        "INSERT INTO content_generation_tasks (account_id, topic) SELECT %s, n FROM generate_series(1, 2000) AS n",
        [account],
    )
    started: list[int] = []

    async def handler(task: Task, _context: Context) -> None:
        started.append(task.id)

    workers = [start_worker(handler, until_empty=True) for _ in range(3)]
    for running in workers:
        running.ending()
    assert sorted(started) == sorted(set(started))
    assert len(started) == 2000
    assert database.execute(
        "SELECT status, attempt, count(*) FROM content_generation_tasks GROUP BY 1, 2"
    ).fetchall() == [("completed", 1, 2000)]
    assert database.execute("SELECT count(*) FROM contentq.workers").fetchone() == (0,)


@pytest.mark.slow
def test_until_empty_ends_as_soon_as_a_thread_that_outlived_its_deadline_does(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    id_ = insert()
    database.execute("UPDATE content_generation_tasks SET timeout_at = clock_timestamp() + interval '0.5 seconds'")

    def handler(_task: Task, _context: ThreadContext) -> None:
        eventually(lambda: row(id_).status == "timeout")
        heard = database.execute("SELECT heartbeat_at FROM contentq.workers").fetchone()
        # By then the worker has found the queue empty.
        eventually(lambda: database.execute("SELECT heartbeat_at FROM contentq.workers").fetchone() != heard)

    running = start_worker(handler, until_empty=True, poll=60.0)

    assert running.ending(within=10) is Ending.DONE
    assert row(id_).status == "timeout"


NOTIFIES = "SELECT count(*) > 0 FROM contentq.wakeups WHERE xmax::text = pg_current_xact_id()::text"
"""Whether a transaction that has inserted tasks will notify at its commit."""


def test_task_of_which_another_transaction_has_notified_is_found_when_it_is_committed_later(
    start_worker: StartWorker, database: Database, account: int, row: Row, connect: Callable[[], Database]
) -> None:
    start_worker(nothing, poll=60)
    eventually(lambda: database.execute("SELECT id FROM contentq.workers").fetchone(), within=10)
    first, second = connect(), connect()

    def insert_up_to_the_commit(producer: Database) -> int:
        producer.execute("BEGIN")
        query = "INSERT INTO content_generation_tasks (account_id) VALUES (%s) RETURNING id"
        inserted = producer.execute(query, [account]).fetchone()
        producer.execute("SET CONSTRAINTS ALL IMMEDIATE")
        assert inserted is not None
        return int(inserted[0])

    def both() -> tuple[int, int] | None:
        ids = insert_up_to_the_commit(first), insert_up_to_the_commit(second)
        if second.execute(NOTIFIES).fetchone() == (False,):
            return ids
        # The twentieth of a second ended in between.
        first.execute("ROLLBACK")
        second.execute("ROLLBACK")
        return None

    notified, silent = eventually(both)
    first.execute("COMMIT")
    eventually(lambda: row(notified).status == "completed")
    second.execute("COMMIT")

    eventually(lambda: row(silent).status == "completed", within=5)


REGISTER = "SELECT contentq.register_worker('host', 4711, 10, 'x')"


@pytest.mark.slow
@pytest.mark.parametrize("silent_since", ["1 hour", "0 seconds"])
def test_until_empty_rescues_the_tasks_of_a_worker_that_died_and_works_them_off(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, silent_since: str
) -> None:
    """Whether it died long ago, or dies now and still looks alive."""
    database.execute("UPDATE contentq.settings SET heartbeat_timeout = '5 seconds'")
    dead = database.execute(REGISTER).fetchone()
    assert dead is not None
    id_ = insert()
    database.execute("SELECT contentq.claim(%s, 1)", dead)
    database.execute("UPDATE contentq.workers SET heartbeat_at = clock_timestamp() - %s::interval", [silent_since])

    assert start_worker(nothing, until_empty=True).ending(within=40) is Ending.DONE

    assert (row(id_).status, row(id_).retry_count) == ("completed", 1)


@pytest.mark.slow
def test_until_empty_does_not_wait_for_the_tasks_of_workers_that_are_alive(
    start_worker: StartWorker, insert: Insert, row: Row
) -> None:
    go = threading.Event()

    def handler(_task: Task, _context: ThreadContext) -> None:
        go.wait(60)

    start_worker(handler)
    id_ = insert()
    eventually(lambda: row(id_).status == "processing", within=10)

    assert start_worker(nothing, until_empty=True).ending(within=15) is Ending.DONE

    assert row(id_).status == "processing"
    go.set()


def test_worker_takes_no_more_while_its_tasks_fill_its_memory(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "MOST_TEXT", 1000)
    may_end = threading.Event()

    def handler(task: Task, _context: ThreadContext) -> None:
        assert not task.requirements or may_end.wait(30)

    start_worker(handler, heartbeat=0.2, concurrency=10)
    large = insert(requirements="x" * 2000)
    eventually(lambda: row(large).status == "processing")
    small = insert()
    has_beaten = "SELECT max(heartbeat_at) > %s FROM contentq.workers"
    eventually(lambda: database.execute(has_beaten, [row(small).submitted_at]).fetchone() == (True,))
    assert row(small).status == "pending"

    may_end.set()

    eventually(lambda: row(small).status == "completed")
