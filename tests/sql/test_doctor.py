"""doctor() reports each finding when its cause exists, and none in a healthy database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from contentq.database.connect import connect as open_connection
from contentq.database.migrations import migrate

from tests.sql.doctor import findings, found, long_ago
from tests.support.cluster import DURABLE, Cluster
from tests.support.findings import OF_A_TEST_SERVER
from tests.support.logins import Logins, made_logins
from tests.support.programs import installed
from tests.support.queue import Queue
from tests.support.roles import applied_roles
from tests.support.servers import Server


def test_nothing_is_found_in_a_fresh_database(queue: Queue) -> None:
    assert found(queue) == []


def test_nothing_is_found_in_a_queue_that_works(queue: Queue) -> None:
    worker = queue.register(gate="provider")
    done = queue.running(worker)
    queue.store(worker, [done], extras=['{"cost": 1, "model": "m", "prompt_tokens": 5}'])
    queue.fail(queue.running(worker))
    queue.running(worker)
    queue.add()
    queue.add(scheduled_at="2999-01-01")
    queue.value("SELECT contentq.maintain()")

    assert found(queue) == []


@pytest.mark.parametrize("major", sorted(installed()))
@pytest.mark.slow
def test_nothing_is_found_on_a_server_as_it_is_installed(major: int) -> None:
    with Cluster(installed()[major].folder, settings=DURABLE) as cluster:
        migrate(cluster.dsn())
        with closing(open_connection(cluster.dsn())) as connection:
            assert connection.execute("SELECT * FROM contentq.doctor()").fetchall() == []


def test_settings_of_the_test_server_are_found(queue: Queue) -> None:
    rows = queue.rows("SELECT * FROM contentq.doctor() WHERE finding = 'setting'")

    is_off = {name for name in OF_A_TEST_SERVER if queue.value(f"SHOW {name}") == "off"}
    assert {row["subject"] for row in rows} == is_off
    assert all(row["detail"] == f"{row['subject']} is off" for row in rows)


def test_check_that_fails_holds_up_no_other(queue: Queue) -> None:
    queue.run("ALTER TABLE contentq.usage RENAME TO mislaid")
    queue.run("DROP INDEX content_generation_tasks_status_idx")

    rows = {row["finding"]: row for row in findings(queue)}
    assert {"check_failed", "index_missing"} <= set(rows)
    assert rows["check_failed"]["subject"] == "prices"
    assert rows["check_failed"]["detail"].endswith('relation "contentq.usage" does not exist')


@pytest.fixture
def logins(queue: Queue, server: Server, dsn: str) -> Iterator[Logins]:
    with applied_roles(queue, server, dsn), made_logins(queue, dsn) as made:
        yield made


@pytest.mark.parametrize("role", ["contentq_operator", "contentq_reader"])
def test_operators_and_readers_are_told_what_they_may_not_see(queue: Queue, logins: Logins, role: str) -> None:
    login = logins.add_open("watcher", role)
    name = logins.name("watcher")
    assert found(login) == [("advice", "unseen", "sessions")]

    queue.run(f"GRANT pg_read_all_stats TO {name}")
    assert found(login) == []

    queue.run("DROP INDEX content_generation_tasks_status_idx")
    queue.add(submitted_at=long_ago(queue))
    queue.run("INSERT INTO accounts (id, name) VALUES (2000000000, 'Imported')")
    assert found(login) == found(queue)
    assert len(found(login)) == 3


def test_one_who_may_not_look_is_told_so(queue: Queue, logins: Logins) -> None:
    login = logins.add_open("stranger", "pg_read_all_stats")
    queue.run(f"GRANT USAGE ON SCHEMA contentq TO {logins.name('stranger')}")
    queue.run(f"GRANT EXECUTE ON FUNCTION contentq.doctor(interval) TO {logins.name('stranger')}")

    assert {finding for _, finding, _ in found(login)} == {"unseen"}


@pytest.mark.slow
def test_reader_of_some_accounts_is_told_so(queue: Queue, logins: Logins) -> None:
    login = logins.add_open("tenant", "contentq_reader", "pg_read_all_stats")
    queue.run("SELECT contentq.set_row_security(true)")

    assert ("advice", "unseen", "tasks") in found(login)


@pytest.mark.slow
@pytest.mark.newest
def test_it_reads_little_of_large_tables(queue: Queue) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, category, priority, scheduled_at) "
        "SELECT %s, 'c' || i %% 5, 1 + i %% 10, CASE WHEN i %% 2 = 0 THEN '2999-01-01'::timestamptz END "
        "FROM generate_series(1, 30000) AS i",
        queue.account,
    )
    queue.run("ANALYZE content_generation_tasks")
    read = """
        SELECT seq_tup_read AS sequential, idx_tup_fetch AS fetched
        FROM pg_stat_xact_all_tables WHERE relid = 'content_generation_tasks'::regclass"""

    with queue.connection.transaction():
        queue.rows("SELECT * FROM contentq.doctor()")
        (row,) = queue.rows(read)

    assert row["sequential"] == 0
    assert row["fetched"] < 11000
