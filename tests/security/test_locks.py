"""A lock, malicious or forgotten, blocks only what is locked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from contentq.database.migrations import migrate
from contentq.errors import ContentQueueError

from tests.security.conftest import StartWorker
from tests.support.queue import Queue
from tests.support.waiting import eventually

TABLES = [
    "accounts",
    "content_generation_tasks",
    "contentq.account_roles",
    "contentq.alembic_version",
    "contentq.awaited",
    "contentq.batch_requests",
    "contentq.budget_events",
    "contentq.budgets",
    "contentq.cap_locks",
    "contentq.claimers",
    "contentq.dead_workers",
    "contentq.definitions",
    "contentq.durations",
    "contentq.failure_counts",
    "contentq.gate_counts",
    "contentq.gate_events",
    "contentq.gates",
    "contentq.maintenance",
    "contentq.needed_indexes",
    "contentq.provider_batches",
    "contentq.settings",
    "contentq.silent_commits",
    "contentq.tables",
    "contentq.usage",
    "contentq.wakeups",
    "contentq.workers",
    "contents",
]


def log_of(process: Any) -> str:
    """The log of a worker so far."""
    return Path(process.log).read_text()


def test_every_table_is_tried(queue: Queue) -> None:
    ours = queue.values(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' "
        "AND relnamespace IN ('contentq'::regnamespace, 'public'::regnamespace) ORDER BY 1"
    )
    assert sorted(ours) == TABLES


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_rows_that_someone_has_locked_hold_up_no_task_of_another_account(
    queue: Queue, connect_queue: Callable[[], Queue], start_worker: StartWorker, table: str
) -> None:
    ada, other = queue.account, queue.add_account(name="other")
    limited = [queue.add_account(name="other", max_running=2), queue.add_account(name="other", monthly_budget=100)]
    queue.run("INSERT INTO contents (account_id, title, body) VALUES (%s, 'Title', 'Text.')", ada)
    queue.close_gate("somebody's")
    held = [queue.add(account_id=ada) for _ in range(5)]
    forgotten = connect_queue()
    with forgotten.connection.transaction():
        forgotten.run(f"SELECT FROM {table} {'WHERE name <> $$other$$' * (table == 'accounts')} FOR UPDATE")
        process = start_worker("--concurrency", "4")
        free = [queue.add(account_id=other) for _ in range(20)]
        # Caps and budgets are exact: tasks of locked rows are not counted and do not start.
        if table != "contentq.cap_locks":
            free += [queue.add(account_id=account) for account in limited for _ in range(4)]

        eventually(lambda: {queue.status(task) for task in free} == {"completed"}, within=30)
        if table == "accounts":
            assert {queue.status(task) for task in held} == {"processing"}
            pid = forgotten.value("SELECT pg_backend_pid()")
            assert f"its account is locked by session {pid} (contentq test, user " in log_of(process)
    eventually(lambda: {queue.status(task) for task in held} == {"completed"}, within=30)


def test_table_that_someone_reads_holds_up_no_worker(
    queue: Queue, connect_queue: Callable[[], Queue], start_worker: StartWorker
) -> None:
    """Any role that may read a table may take this lock."""
    reader = connect_queue()
    with reader.connection.transaction():
        reader.run(f"LOCK TABLE {', '.join(TABLES)} IN ACCESS SHARE MODE")
        task = queue.add()
        start_worker()

        eventually(lambda: queue.status(task) == "completed", within=30)


def test_old_snapshot_and_a_producer_that_goes_on_hold_up_no_other(
    queue: Queue, connect_queue: Callable[[], Queue], start_worker: StartWorker
) -> None:
    account, reader, producer = queue.account, connect_queue(), connect_queue()
    with reader.connection.transaction(), producer.connection.transaction():
        reader.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.run("SELECT FROM content_generation_tasks")
        producer.add(account_id=account)
        producer.run("SET CONSTRAINTS ALL IMMEDIATE")
        task = queue.add(account_id=account)
        start_worker()

        eventually(lambda: queue.status(task) == "completed", within=30)


@pytest.mark.slow
def test_worker_whose_row_is_locked_goes_on_and_says_so_and_is_not_rescued(
    queue: Queue, connect_queue: Callable[[], Queue], start_worker: StartWorker
) -> None:
    process = start_worker("--concurrency", "4")
    eventually(lambda: queue.value("SELECT count(*) FROM contentq.workers") == 1, within=30)
    forgotten = connect_queue()
    with forgotten.connection.transaction():
        forgotten.run("SELECT FROM contentq.workers FOR UPDATE")
        pid = forgotten.value("SELECT pg_backend_pid()")
        eventually(lambda: f"its row in contentq.workers is locked by session {pid} (" in log_of(process))
        queue.run("UPDATE contentq.maintenance SET watched_since = '2001-01-01', ran_at = clock_timestamp()")
        assert queue.rescue("0 seconds") == 0
        task = queue.add()
        eventually(lambda: queue.status(task) == "completed")

    assert queue.value("SELECT count(*) FROM contentq.workers") == 1
    assert log_of(process).count("heartbeat of worker ") == 1


def test_housekeeping_that_is_held_up_is_said(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    said: list[str] = []
    queue.connection.add_notice_handler(lambda notice: said.append(str(notice.message_primary)))
    queue.run("UPDATE contentq.maintenance SET ran_at = clock_timestamp() - interval '5 minutes'")
    forgotten = connect_queue()
    with forgotten.connection.transaction():
        forgotten.run("SELECT FROM contentq.maintenance FOR UPDATE")
        pid = forgotten.value("SELECT pg_backend_pid()")

        queue.value("SELECT contentq.maintain()")
        queue.value("SELECT contentq.maintain()")

    assert len({*said}) == 1
    assert said[0].startswith("deadlines, rescues and clean-up have been blocked since ")
    assert f"the row of contentq.maintenance is locked by session {pid} (contentq test, user " in said[0]


def test_clean_up_leaves_out_what_someone_has_locked(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    old = queue.add(status="completed", started_at="2001-01-01", completed_at="2001-01-01")
    queue.run(
        "INSERT INTO contentq.dead_workers (found_at, worker_id, draining, ids, attempts) "
        "VALUES ('2001-01-01', 1, false, '{}', '{}')"
    )
    queue.run("INSERT INTO contentq.claimers (worker_id) VALUES (-1)")
    forgotten = connect_queue()
    with forgotten.connection.transaction():
        forgotten.run("SELECT FROM contentq.dead_workers, contentq.claimers FOR UPDATE")
        queue.value("SELECT contentq.maintain()")

    assert queue.values("SELECT id FROM content_generation_tasks WHERE id = %s", old) == []


def test_view_of_workers_counts_tasks_that_someone_has_locked(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    worker = queue.register()
    locked, _free = queue.running(worker), queue.running(worker)
    forgotten = connect_queue()
    with forgotten.connection.transaction():
        forgotten.run("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", locked.id)
        assert queue.rows("SELECT busy, locked FROM contentq.worker_status") == [{"busy": 2, "locked": 1}]

    assert queue.rows("SELECT busy, locked FROM contentq.worker_status") == [{"busy": 2, "locked": 0}]


def test_asking_what_is_held_up_keeps_no_lock(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    """The function runs with its owner's rights.

    Roles that may not lock rows must not be able to do so through it.
    """
    task, asking = queue.running(), connect_queue()
    with asking.connection.transaction():
        assert asking.rows("SELECT * FROM contentq.locked_tasks(%s, %s)", task.worker, [task.id]) == []
        queue.run("SELECT FROM accounts FOR UPDATE NOWAIT")
        queue.run("SELECT FROM content_generation_tasks FOR UPDATE NOWAIT")


@pytest.mark.slow
def test_command_that_waits_for_a_lock_ends_with_a_sentence(
    dsn: str, queue: Queue, connect_queue: Callable[[], Queue], capsys: pytest.CaptureFixture[str]
) -> None:
    from contentq.cli.main import execute

    account, forgotten = queue.account, connect_queue()
    with forgotten.connection.transaction():
        forgotten.run("SELECT FROM accounts FOR UPDATE")
        assert execute(["--dsn", dsn, "pause", "--account", str(account)]) == 1
        assert execute(["--dsn", dsn, "submit", "--account", str(account), "--topic", "A topic"]) == 1

    said = capsys.readouterr().err
    assert said.count("Error: another session has locked what this command needs") == 2


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["ACCESS SHARE", "ROW SHARE"])
def test_migration_that_waits_for_a_reader_says_who_it_is(
    dsn: str, connect_queue: Callable[[], Queue], mode: str
) -> None:
    reader = connect_queue()
    with reader.connection.transaction():
        reader.run(f"LOCK TABLE content_generation_tasks IN {mode} MODE")
        pid = reader.value("SELECT pg_backend_pid()")

        with pytest.raises(ContentQueueError, match=rf"The lock is held by session {pid} \(contentq test, user "):
            migrate(dsn, "base", lock_timeout=1)
