"""doctor() on the server: vacuum, sessions, settings, connections, notifications."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest
from contentq.database.connect import connect as open_connection
from contentq.database.migrations import migrate

from tests.sql.doctor import findings, fix, found, only
from tests.support.cluster import QUICK, Cluster
from tests.support.programs import installed
from tests.support.queue import Queue
from tests.support.servers import Server
from tests.support.waiting import eventually


def test_table_without_autovacuum_and_its_dead_rows(queue: Queue) -> None:
    queue.run("ALTER TABLE content_generation_tasks SET (autovacuum_enabled = false)")
    assert found(queue) == [("warning", "autovacuum_off", table(queue))]

    queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, completed_at) "
        "SELECT %s, 'completed', now() FROM generate_series(1, 10000)",
        queue.account,
    )
    queue.run("DELETE FROM content_generation_tasks")
    queue.run("SELECT pg_stat_force_next_flush()")
    queue.run("SELECT 1")
    off, dead = findings(queue)

    assert (dead["severity"], dead["finding"], dead["subject"]) == ("warning", "dead_rows", table(queue))
    assert dead["detail"].startswith("10000 dead rows and 0 live ones")
    fix(queue, off)
    queue.run(dead["fix"].partition(";")[0])
    queue.run("SELECT pg_stat_force_next_flush()")
    queue.run("SELECT 1")
    assert found(queue) == []


def table(queue: Queue) -> str:
    """The table of tasks, as doctor() names it."""
    return f"{queue.schema}.content_generation_tasks"


def test_autovacuum_that_cannot_count(queue: Queue) -> None:
    queue.run("SET track_counts = off")

    assert found(queue) == [("error", "autovacuum_off", "server")]


def test_session_that_holds_rows_is_named_with_those_that_wait(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    task = queue.running()
    other = connect_queue()
    other.run("SET application_name = 'a handler'")
    with other.connection.transaction():
        other.run("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", task.id)

        assert found(queue) == []
        finding = only(queue, "0")
        pid = other.connection.info.backend_pid
        assert (finding["severity"], finding["finding"]) == ("warning", "rows_locked")
        assert finding["subject"].startswith(f"session {pid} (a handler, user ")
        assert f"locks on {table(queue)} (RowShareLock)" in finding["detail"]
        assert finding["fix"].startswith(f"SELECT pg_terminate_backend({pid}); to prevent it: ALTER DATABASE")
    assert found(queue, "0") == []


def test_session_with_an_old_snapshot(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    other = connect_queue()
    with other.connection.transaction():
        other.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.run("SELECT 1")

        assert found(queue) == []
        assert [each[:2] for each in found(queue, "0")] == [("warning", "old_snapshot")]


def test_session_that_is_idle_in_a_transaction(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    other = connect_queue()
    with other.connection.transaction():
        other.run("SELECT 1")

        assert found(queue) == []
        assert [each[:2] for each in found(queue, "0")] == [("warning", "idle_transaction")]


def test_prepared_transaction_that_was_forgotten(queue: Queue) -> None:
    if queue.value("SHOW max_prepared_transactions") == "0":
        pytest.skip("the server of CONTENTQ_TEST_DSN prepares no transactions")
    queue.run("BEGIN")
    queue.run("CREATE TABLE forgotten ()")
    queue.run("PREPARE TRANSACTION 'contentq doctor'")
    try:
        assert found(queue) == []
        assert found(queue, "0") == [("warning", "old_snapshot", "prepared transaction 'contentq doctor'")]
    finally:
        queue.run("ROLLBACK PREPARED 'contentq doctor'")


@pytest.mark.newest
@pytest.mark.slow
def test_slot_of_a_standby_that_is_gone(server: Server) -> None:
    programs = installed()[max(installed())].folder
    feedback = {"primary_slot_name": "standby", "hot_standby_feedback": "on", "wal_receiver_status_interval": "1s"}
    with Cluster(programs) as primary:
        migrate(primary.dsn())
        with closing(open_connection(primary.dsn(), plain=True)) as connection:
            queue = Queue(connection)
            queue.run("SELECT pg_create_physical_replication_slot('standby')")
            with Cluster(programs, settings={**QUICK, **feedback}, standby_of=primary) as standby:
                eventually(lambda: queue.value("SELECT xmin IS NOT NULL FROM pg_replication_slots"))
                assert found(queue) == []
                with closing(open_connection(standby.dsn(), plain=True)) as replica:
                    assert [finding for _, finding, _ in found(Queue(replica))] == ["read_only"]

            eventually(lambda: queue.value("SELECT NOT active FROM pg_replication_slots"))
            finding = only(queue)
            assert (finding["finding"], finding["subject"]) == ("old_snapshot", "replication slot standby")
            queue.run(finding["fix"].rpartition(": ")[2])
            assert found(queue) == []


def test_session_in_another_database_is_no_finding(queue: Queue, server: Server) -> None:
    with server.databases.empty() as dsn, closing(open_connection(dsn, plain=True)) as other, other.transaction():
        other.execute("SELECT pg_current_xact_id()")
        assert found(queue, "0") == []


def test_encoding_and_collation(queue: Queue) -> None:
    queue.run("UPDATE pg_database SET encoding = 8, datcollversion = '0' WHERE datname = current_database()")
    try:
        name = queue.value("SELECT current_database()")
        assert found(queue) == [("error", "encoding", name), ("warning", "collation_changed", name)]
    finally:
        queue.run("UPDATE pg_database SET encoding = 6, datcollversion = NULL WHERE datname = current_database()")


@pytest.mark.parametrize(
    ("setting", "value", "finding"),
    [
        ("default_transaction_read_only", "on", ("error", "read_only", None)),
        ("session_replication_role", "replica", ("error", "setting", "session_replication_role")),
        ("idle_session_timeout", "1s", ("warning", "setting", "idle_session_timeout")),
    ],
)
def test_setting_that_breaks_things(
    queue: Queue, setting: str, value: str, finding: tuple[str, str, str | None]
) -> None:
    queue.run(f"SET {setting} = '{value}'")

    assert found(queue) == [(*finding[:2], finding[2] or queue.value("SELECT current_database()"))]


def test_connections_that_are_nearly_used_up(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    name = queue.value("SELECT current_database()")
    queue.run(f"ALTER DATABASE {name} CONNECTION LIMIT 5")
    assert found(queue) == []
    others = [connect_queue() for _ in range(3)]

    assert [other.value("SELECT 1") for other in others] == [1, 1, 1]
    assert found(queue) == [("warning", "connections_used", name)]


@pytest.fixture(scope="session")
def small_server() -> Iterator[str]:
    """A server with little memory and a small notification queue; the DSN of its migrated database."""
    newest = max(installed())
    if newest < 17:
        pytest.skip("max_notify_queue_pages is a setting since PostgreSQL 17")
    settings = {**QUICK, "max_notify_queue_pages": "64", "shared_buffers": "128kB", "wal_level": "minimal"}
    with Cluster(installed()[newest].folder, settings={**settings, "max_wal_senders": "0"}) as cluster:
        migrate(cluster.dsn())
        yield cluster.dsn()


@pytest.mark.slow
@pytest.mark.newest
def test_queue_of_notifications_that_fills_up(small_server: str, server: Server) -> None:
    with ExitStack() as opened:
        queue = Queue(opened.enter_context(closing(open_connection(small_server, plain=True))))
        deaf = opened.enter_context(closing(open_connection(small_server, plain=True)))
        deaf.execute("LISTEN other")
        with deaf.transaction():
            deaf.execute("SELECT")
            queue.run("SELECT pg_notify('other', n || repeat('x', 7900)) FROM generate_series(1, 15) AS n")
            assert ("warning", "notify_queue", "server") in found(queue)
            queue.run("SELECT pg_notify('other', n || repeat('x', 7900)) FROM generate_series(1, 25) AS n")
            assert ("error", "notify_queue", "server") in found(queue)


@pytest.mark.slow
@pytest.mark.newest
def test_memory_that_is_too_small_for_the_indexes(small_server: str, server: Server) -> None:
    with closing(open_connection(small_server, plain=True)) as connection:
        assert ("advice", "setting", "shared_buffers") in found(Queue(connection))
