"""Connections that break while a worker is busy."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contentq import Context, GeneratedContent, Task, ThreadContext
from contentq.database.connect import connect
from contentq.queue import contract
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from tests.engine.conftest import Database, Insert, Row, StartWorker
from tests.support.servers import Server
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

TERMINATE = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE %s AND application_name <> 'contentq test'"""


@pytest.mark.parametrize("which", ["contentq heartbeat", "contentq claim", "contentq report", "contentq %"])
def test_worker_goes_on_when_its_connections_are_terminated(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, which: str
) -> None:
    async def handler(_task: Task, _context: Context) -> None:
        return None

    start_worker(handler, poll=60)
    first = insert()
    eventually(lambda: row(first).status == "completed", within=10)
    terminated = database.execute(TERMINATE, [which]).fetchone()
    assert terminated is not None
    assert terminated[0] >= 1
    second = insert()
    eventually(lambda: row(second).status == "completed", within=10)


def test_database_that_is_away_and_back_is_one_line_of_the_log_each(
    start_worker: StartWorker,
    insert: Insert,
    row: Row,
    database: Database,
    server: Server,
    dsn: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every connection of the worker breaks with a separate error."""
    caplog.set_level(logging.INFO)
    is_running, may_end = threading.Event(), threading.Event()
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    name = sql.Identifier(str(conninfo_to_dict(dsn)["dbname"]))

    def handler(_task: Task, _context: ThreadContext) -> None:
        is_running.set()
        assert may_end.wait(20)

    def lines(beginning: str) -> list[str]:
        return [record.message for record in caplog.records if record.message.startswith(beginning)]

    worker = start_worker(handler, poll=0.2)
    id_ = insert()
    assert is_running.wait(10)
    with connect(server.databases.server_dsn, "contentq test", plain=True) as elsewhere:
        elsewhere.execute(allow.format(name, sql.SQL("false")))
        try:
            database.execute(TERMINATE, ["contentq %"])
            eventually(lambda: len(lines("database connection lost")) == 1, within=10)
            may_end.set()  # its report finds the database away, too
            eventually(lambda: len(worker.worker._outages._without) == 3, within=10)
        finally:
            elsewhere.execute(allow.format(name, sql.SQL("true")))
    eventually(lambda: lines("database reachable again"), within=10)

    assert row(id_).status == "completed"
    assert len(lines("database connection lost")) == len(lines("database reachable again")) == 1


def test_task_whose_claim_was_not_heard_is_released(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    async def handler(_task: Task, _context: Context) -> None:
        return None

    start_worker(handler, poll=60, heartbeat=0.2)
    worker = eventually(lambda: database.execute("SELECT id FROM contentq.workers").fetchone(), within=10)
    # Effects of a claim whose answer was lost.
    with database.transaction():
        id_ = insert()
        database.execute("SELECT FROM contentq.claim(%s, 1)", worker)
    eventually(lambda: database.execute(TERMINATE, ["contentq claim"]).fetchone() != (0,), within=10)
    eventually(lambda: row(id_).status == "completed", within=10)
    assert (row(id_).attempt, row(id_).retry_count) == (2, 0)


def test_row_that_someone_has_locked_holds_up_no_other_report(
    start_worker: StartWorker, insert: Insert, row: Row, connect: Callable[[], Database]
) -> None:
    go = threading.Event()

    def handler(_task: Task, _context: ThreadContext) -> None:
        go.wait(30)

    start_worker(handler)
    tasks = [insert() for _ in range(6)]
    eventually(lambda: all(row(id_).status == "processing" for id_ in tasks), within=10)
    other = connect()
    with other.transaction():
        other.execute("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", [tasks[2]])
        go.set()
        eventually(lambda: sum(row(id_).status == "completed" for id_ in tasks) == 5, within=20)
        assert row(tasks[2]).status == "processing"
    eventually(lambda: row(tasks[2]).status == "completed", within=20)
    assert row(tasks[2]).attempt == 1


def test_report_that_is_held_up_is_tried_again_ever_later(
    start_worker: StartWorker,
    insert: Insert,
    row: Row,
    connect: Callable[[], Database],
    caplog: pytest.LogCaptureFixture,
) -> None:
    go = threading.Event()

    def handler(_task: Task, _context: ThreadContext) -> None:
        go.wait(30)

    start_worker(handler, set_aside=0.05, longest_set_aside=0.2)
    id_ = insert()
    eventually(lambda: row(id_).status == "processing")

    def pauses() -> list[float]:
        # A copy, because the worker continues to log.
        logged = [record.args for record in list(caplog.records) if record.msg.startswith("report delayed")]
        return [arguments[3] for arguments in logged if isinstance(arguments, tuple)]  # type: ignore[misc]

    with connect().transaction() as locking:
        locking.connection.execute("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", [id_])
        go.set()
        eventually(lambda: len(pauses()) >= 4, within=20)

    assert pauses()[:4] == [0.05, 0.1, 0.2, 0.2]
    eventually(lambda: row(id_).status == "completed", within=20)


def test_worker_that_stops_still_makes_a_report_that_was_set_aside(
    start_worker: StartWorker,
    insert: Insert,
    row: Row,
    connect: Callable[[], Database],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handler(_task: Task, _context: Context) -> None:
        await asyncio.to_thread(go.wait, 30)

    go = threading.Event()
    running = start_worker(handler, set_aside=1, longest_set_aside=1)
    id_ = insert()
    eventually(lambda: row(id_).status == "processing")
    other = connect()
    with other.transaction():
        other.execute("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", [id_])
        go.set()
        eventually(lambda: "report delayed" in caplog.text, within=10)
        running.stop()

    running.ending()

    assert (row(id_).status, row(id_).attempt) == ("completed", 1)


def test_lock_elsewhere_holds_up_no_other_report_and_is_warned_of(
    start_worker: StartWorker,
    insert: Insert,
    row: Row,
    account: int,
    connect: Callable[[], Database],
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Content references its account, whose row may not be locked in a conflicting mode."""
    go, calls, store = threading.Event(), 0, contract.store

    async def counted(*arguments: Any) -> list[int]:
        nonlocal calls
        calls += 1
        return await store(*arguments)

    def handler(task: Task, _context: ThreadContext) -> GeneratedContent:
        go.wait(30)
        return GeneratedContent(title=str(task.topic), body="two words")

    monkeypatch.setattr(contract, "store", counted)
    other_account = database.execute("INSERT INTO accounts (name) VALUES ('Other') RETURNING id").fetchone()
    assert other_account is not None
    start_worker(handler, concurrency=20, set_aside=0.5)
    held_up = [insert(task_id=f"held-up-{number}", topic="x") for number in range(3)]
    others = [insert(account_id=other_account[0], topic="x") for _ in range(7)]
    eventually(lambda: all(row(id_).status == "processing" for id_ in (*held_up, *others)), within=10)
    other = connect()
    with other.transaction():
        other.execute("SELECT FROM accounts WHERE id = %s FOR UPDATE", [account])
        go.set()
        eventually(lambda: all(row(id_).status == "completed" for id_ in others), within=30)
        later = insert(account_id=other_account[0], topic="x")
        eventually(lambda: row(later).status == "completed", within=10)
        assert {row(id_).status for id_ in held_up} == {"processing"}
        eventually(lambda: all(f"report delayed task=held-up-{n}" in caplog.text for n in range(3)), within=30)
        assert "its account is locked by session" in caplog.text
        before, began = calls, time.monotonic()
        eventually(lambda: time.monotonic() > began + 2, within=10)
        # Each waits a second for the lock, in turn.
        assert calls - before <= 4
    eventually(lambda: all(row(id_).status == "completed" for id_ in held_up), within=20)
    assert {row(id_).attempt for id_ in (*held_up, *others)} == {1}


def test_many_reports_that_are_held_up_leave_every_other_turn_to_the_rest(
    start_worker: StartWorker, insert: Insert, row: Row, connect: Callable[[], Database]
) -> None:
    """Reports are retried sooner than all of them can be sent, so there is always one to send."""
    go = threading.Event()

    def handler(task: Task, _context: ThreadContext) -> None:
        if task.topic == "held up":
            go.wait(30)

    start_worker(handler, concurrency=100, set_aside=0.001, longest_set_aside=0.001)
    held_up = [insert(topic="held up") for _ in range(60)]
    eventually(lambda: all(row(id_).status == "processing" for id_ in held_up), within=20)
    with connect().transaction() as locking:
        locking.connection.execute(
            "SELECT FROM content_generation_tasks WHERE id = ANY (%s) FOR UPDATE", [held_up]
        )
        go.set()
        for _ in range(5):
            other = insert()
            eventually(lambda id_=other: row(id_).status == "completed", within=20)  # type: ignore[misc]


def test_report_that_breaks_its_connection_each_time_holds_up_no_other(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    database.execute(
        "CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$"
    )
    database.execute(
        "CREATE TRIGGER crash BEFORE UPDATE ON content_generation_tasks "
        "FOR EACH ROW WHEN (NEW.status = 'completed' AND NEW.topic = 'crash') EXECUTE FUNCTION crash()"
    )
    go = threading.Event()

    def handler(_task: Task, _context: ThreadContext) -> None:
        go.wait(30)

    start_worker(handler, first_backoff=0.01, longest_backoff=0.05, set_aside=0.1)
    tasks = [insert(topic="crash" if n == 1 else "fine") for n in range(6)]
    eventually(lambda: all(row(id_).status == "processing" for id_ in tasks))
    go.set()

    eventually(lambda: [row(id_).status for id_ in tasks] == ["completed", "processing"] + ["completed"] * 4)
    later = insert()
    eventually(lambda: row(later).status == "completed")

    database.execute("DROP TRIGGER crash ON content_generation_tasks")
    eventually(lambda: row(tasks[1]).status == "completed")


def test_due_task_that_someone_has_locked_does_not_make_an_idle_worker_spin(
    start_worker: StartWorker,
    insert: Insert,
    row: Row,
    connect: Callable[[], Database],
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = 0
    claim = contract.claim

    async def counted(*arguments: Any) -> contract.Claimed:
        nonlocal looks
        looks += 1
        return await claim(*arguments)

    async def handler(_task: Task, _context: Context) -> None:
        return None

    monkeypatch.setattr(contract, "claim", counted)
    id_ = insert(scheduled_at=datetime.now(UTC) + timedelta(seconds=0.5))
    other = connect()
    with other.transaction():
        other.execute("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", [id_])
        start_worker(handler, poll=60)
        overdue = "SELECT clock_timestamp() > scheduled_at + interval '2 seconds' FROM content_generation_tasks"
        eventually(lambda: database.execute(overdue).fetchone() == (True,), within=10)
        assert looks < 40
    eventually(lambda: row(id_).status == "completed", within=10)


def test_rows_that_someone_has_locked_hold_up_neither_reports_nor_claims(
    start_worker: StartWorker, insert: Insert, row: Row, connect: Callable[[], Database]
) -> None:
    go = threading.Event()

    def handler(task: Task, _context: ThreadContext) -> None:
        if task.topic == "waits":
            go.wait(30)

    start_worker(handler, concurrency=60)
    locked, free = [insert(topic="waits") for _ in range(30)], [insert(topic="waits") for _ in range(10)]
    eventually(lambda: all(row(id_).status == "processing" for id_ in (*locked, *free)), within=10)
    other = connect()
    with other.transaction():
        other.execute("SELECT FROM content_generation_tasks WHERE id = ANY (%s) FOR UPDATE", [locked])
        go.set()
        eventually(lambda: all(row(id_).status == "completed" for id_ in free), within=10)
        later = insert()
        eventually(lambda: row(later).status == "completed", within=10)
        assert {row(id_).status for id_ in locked} == {"processing"}
    eventually(lambda: all(row(id_).status == "completed" for id_ in locked), within=20)


@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
def test_row_that_someone_has_locked_does_not_cost_a_handler_its_own_transaction(
    start_worker: StartWorker,
    insert: Insert,
    row: Row,
    connect: Callable[[], Database],
    plain: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    started, go = threading.Event(), threading.Event()

    async def async_(_task: Task, context: Context) -> None:
        await (await context.connection()).execute("SELECT")
        started.set()
        await asyncio.to_thread(go.wait, 30)

    def plainly(_task: Task, context: ThreadContext) -> None:
        context.connection().execute("SELECT")
        started.set()
        go.wait(30)

    start_worker(plainly if plain else async_)
    id_ = insert(max_retries=0)
    assert started.wait(10)
    other = connect()
    with other.transaction():
        other.execute("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", [id_])
        go.set()
        # Longer than a report waits for a lock.
        other.execute("SELECT pg_sleep(2.5)")
        assert row(id_).status == "processing"
    eventually(lambda: row(id_).status != "processing", within=10)
    assert (row(id_).status, row(id_).attempt) == ("completed", 1)
    assert caplog.text.count("waits for a lock") == 1


def test_worker_whose_heart_has_stopped_gives_its_tasks_back(
    start_worker: StartWorker, insert: Insert, row: Row
) -> None:
    started = threading.Event()

    async def handler(_task: Task, _context: Context) -> None:
        started.set()
        await asyncio.Event().wait()

    running = start_worker(handler)
    id_ = insert()
    assert started.wait(10)
    running.worker._heartbeat.stop()
    with pytest.raises(RuntimeError, match="heartbeat thread of the worker has ended"):
        running.ending()
    assert (row(id_).status, row(id_).retry_count) == ("pending", 0)


def test_idle_worker_replaces_its_connection_as_soon_as_another_got_no_answer(
    start_worker: StartWorker, database: Database
) -> None:
    async def nothing(_task: Task, _context: Context) -> None:
        return None

    def backend() -> int | None:
        query = (
            "SELECT pid FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'contentq claim' AND state = 'idle'"
        )
        found = database.execute(query).fetchone()
        return None if found is None else int(found[0])

    running = start_worker(nothing, poll=60)
    before = eventually(lambda: running.worker._wake_up.is_sleeping and backend())

    running._loop.call_soon_threadsafe(running.worker._claimer.suspect)

    eventually(lambda: backend() not in (None, before), within=5)
