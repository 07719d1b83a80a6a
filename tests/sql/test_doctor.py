"""doctor() finds what it says it finds, each time it is there, and nothing in a database in which all is well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from contentq.database.connect import connect as open_connection
from contentq.database.migrations import migrate
from contentq.finding import SEVERITIES

from tests.support.cluster import DURABLE, QUICK, Cluster
from tests.support.findings import IN_SQL, OF_A_TEST_SERVER
from tests.support.hosts import HOST, TASKS
from tests.support.logins import Logins, made_logins
from tests.support.programs import installed
from tests.support.queue import Queue, Row
from tests.support.roles import applied_roles
from tests.support.servers import Server
from tests.support.waiting import eventually


def findings(queue: Queue, patience: str = "10 minutes") -> list[Row]:
    """All that is found, but for what is so of each server for tests."""
    found = queue.rows("SELECT * FROM contentq.doctor(%s)", patience)
    for each in found:
        assert None not in each.values(), each
        assert each["severity"] in SEVERITIES
        assert each["finding"] in IN_SQL
    return [each for each in found if each["subject"] not in OF_A_TEST_SERVER]


def found(queue: Queue, patience: str = "10 minutes") -> list[tuple[str, str, str]]:
    """The same, without what is said of it."""
    return [(each["severity"], each["finding"], each["subject"]) for each in findings(queue, patience)]


def only(queue: Queue, patience: str = "10 minutes") -> Row:
    """The only finding."""
    (one,) = findings(queue, patience)
    return one


def mend(queue: Queue, finding: Row) -> None:
    """Runs what mends it."""
    queue.run(str(finding["mend"]))


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
@pytest.mark.thorough
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


@pytest.mark.parametrize(
    ("used", "severity"),
    [(1073000000, None), (1074000000, "warning"), (1717000000, "warning"), (1719000000, "error")],
)
def test_ids_that_are_running_out(queue: Queue, used: int, severity: str | None) -> None:
    queue.value("SELECT setval(pg_get_serial_sequence('content_generation_tasks', 'id'), %s)", used)

    assert found(queue) == (
        [] if severity is None else [(severity, "ids_running_out", "content_generation_tasks.id")]
    )


def test_ids_below_zero_are_counted_by_themselves(queue: Queue) -> None:
    queue.value("SELECT setval(pg_get_serial_sequence('content_generation_tasks', 'id'), 2147483646)")
    queue.add()
    assert only(queue)["severity"] == "error"

    least = -2147483648
    queue.run(f"ALTER TABLE content_generation_tasks ALTER COLUMN id SET MINVALUE {least} RESTART WITH {least}")
    assert found(queue) == []
    queue.add()
    assert found(queue) == []

    queue.value("SELECT setval(pg_get_serial_sequence('content_generation_tasks', 'id'), -1000000000)")
    finding = only(queue)
    assert finding["severity"] == "warning"
    assert "53 %" in finding["detail"]


def test_largest_id_counts_where_the_sequence_is_behind(queue: Queue) -> None:
    queue.run("INSERT INTO accounts (id, name) VALUES (2000000000, 'Imported')")

    assert found(queue) == [("error", "ids_running_out", "accounts.id")]


def test_sequence_that_ends_before_its_column(queue: Queue) -> None:
    queue.run("ALTER TABLE contents ALTER COLUMN id SET MAXVALUE 100")
    queue.value("SELECT setval(pg_get_serial_sequence('contents', 'id'), 60)")

    finding = only(queue)
    assert (finding["finding"], finding["subject"]) == ("ids_running_out", "contents.id")
    mend(queue, finding)
    assert found(queue) == []


@pytest.mark.in_public
def test_column_that_is_narrower_than_what_it_refers_to(empty_dsn: str, bare: Queue) -> None:
    bare.run(HOST)
    bare.run("ALTER TABLE contents ALTER COLUMN id TYPE bigint")
    bare.run(TASKS)
    migrate(empty_dsn)
    bare.run("INSERT INTO contents (id, account_id) SELECT 2000000000, min(id) FROM accounts")

    assert found(bare) == [
        ("error", "ids_running_out", "contents.id"),  # the sequence of a serial column is as narrow as that was
        ("error", "ids_running_out", "content_generation_tasks.content_id"),
    ]
    mend(bare, findings(bare)[0])
    assert found(bare) == [("error", "ids_running_out", "content_generation_tasks.content_id")]


def test_definitions_that_were_changed_or_are_missing(queue: Queue) -> None:
    queue.run("COMMENT ON VIEW contentq.throughput IS 'Mine.'")
    queue.run("ALTER TABLE content_generation_tasks DISABLE TRIGGER content_generation_tasks_wake")
    queue.run("ALTER FUNCTION contentq.cancel(text) COST 1")
    queue.run("DROP FUNCTION contentq.requeue(text, text)")

    rows = findings(queue)
    assert [(row["severity"], row["finding"], row["detail"].partition(": ")[2]) for row in rows] == [
        ("error", "definition_missing", "requeue"),
        ("warning", "definition_changed", "cancel"),
        ("warning", "definition_changed", "content_generation_tasks.content_generation_tasks_wake"),
        ("warning", "definition_changed", "throughput"),
    ]
    migrate(queue.connection.info.dsn)
    assert found(queue) == []


def test_every_index_that_is_missing_is_found_and_made_again(queue: Queue) -> None:
    definitions = """
        SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition
        FROM pg_index AS i
        WHERE i.indrelid = ANY ('{accounts,contents,content_generation_tasks}'::regclass[])
          AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = i.indexrelid)
        ORDER BY 1"""
    before = queue.rows(definitions)
    queue.run(f"DROP INDEX {', '.join(row['name'] for row in before)}")

    missing = findings(queue)
    assert [row["subject"] for row in missing] == [row["name"].rpartition(".")[2] for row in before]
    assert {(row["severity"], row["finding"]) for row in missing} == {("warning", "index_missing")}
    for finding in missing:
        mend(queue, finding)
    assert queue.rows(definitions) == before
    assert found(queue) == []


@pytest.mark.in_public
def test_index_of_a_host_that_stands_for_ours_is_no_finding(empty_dsn: str, bare: Queue) -> None:
    bare.run(HOST)
    bare.run(TASKS)
    bare.run("CREATE INDEX mine ON content_generation_tasks (status, priority)")
    migrate(empty_dsn)

    assert "index_missing" not in {finding for _, finding, _ in found(bare)}


def test_invalid_index(queue: Queue) -> None:
    queue.run(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'content_generation_tasks_status_idx'::regclass"
    )

    finding = only(queue)
    assert (finding["finding"], finding["subject"]) == ("index_invalid", "content_generation_tasks_status_idx")
    mend(queue, finding)
    assert found(queue) == []


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
    assert dead["detail"].startswith("10000 dead rows beside 0 live ones")
    mend(queue, off)
    queue.run(dead["mend"].partition(";")[0])
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
        assert finding["mend"].startswith(
            f"SELECT pg_terminate_backend({pid}); against the next one: ALTER DATABASE"
        )
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
@pytest.mark.thorough
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
            queue.run(finding["mend"].rpartition(": ")[2])
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
    """A server with little memory, whose queue of notifications is soon full; the DSN of its migrated database."""
    newest = max(installed())
    if newest < 17:
        pytest.skip("max_notify_queue_pages is a setting since PostgreSQL 17")
    settings = {**QUICK, "max_notify_queue_pages": "64", "shared_buffers": "128kB", "wal_level": "minimal"}
    with Cluster(installed()[newest].folder, settings={**settings, "max_wal_senders": "0"}) as cluster:
        migrate(cluster.dsn())
        yield cluster.dsn()


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


@pytest.mark.newest
def test_memory_that_is_too_small_for_the_indexes(small_server: str, server: Server) -> None:
    with closing(open_connection(small_server, plain=True)) as connection:
        assert ("advice", "setting", "shared_buffers") in found(Queue(connection))


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        ("ALTER TABLE contents ADD COLUMN slug text NOT NULL", "contents.slug"),
        (
            "ALTER TABLE contents DROP COLUMN word_count CASCADE, "
            "ADD COLUMN word_count integer GENERATED ALWAYS AS (length(title)) STORED",
            "contents.word_count",
        ),
        ("ALTER TABLE contents ALTER COLUMN body TYPE varchar(5000)", "contents.body"),
        ("CREATE UNIQUE INDEX contents_once ON contents (account_id, title)", "contents_once"),
    ],
)
def test_contents_that_refuse_content(queue: Queue, change: str, subject: str) -> None:
    queue.run(f"DROP VIEW contentq.contents CASCADE; {change}")

    row = next(row for row in findings(queue) if row["finding"] == "content_refused")
    assert (row["severity"], row["subject"].removeprefix(f"{queue.schema}.")) == ("error", subject)
    queue.run(row["mend"].partition(", or")[0])
    assert "content_refused" not in {finding for _, finding, _ in found(queue)}


def test_tasks_that_only_some_can_insert(queue: Queue) -> None:
    queue.run("ALTER TABLE content_generation_tasks ADD COLUMN tenant text NOT NULL")

    assert found(queue) == [("advice", "task_column_unfilled", "content_generation_tasks.tenant")]


def test_row_security_of_a_host(queue: Queue) -> None:
    queue.run("ALTER TABLE contents ENABLE ROW LEVEL SECURITY")

    assert found(queue) == [("advice", "row_security", "contents")]


def test_rights_that_are_too_wide(queue: Queue) -> None:
    queue.run("GRANT CREATE ON SCHEMA public TO PUBLIC")
    queue.run("GRANT TRIGGER ON contents TO pg_monitor, PUBLIC")
    queue.run("GRANT EXECUTE ON FUNCTION contentq.cancel(text) TO PUBLIC")

    rows = findings(queue)
    assert [(row["severity"], row["finding"], row["subject"]) for row in rows] == [
        ("warning", "functions_open", "functions"),
        ("warning", "schema_open", "public"),
        ("warning", "trigger_rights", f"{queue.schema}.contents"),
    ]
    for row in rows[1:]:
        mend(queue, row)
    assert [finding for _, finding, _ in found(queue)] == ["functions_open"]


def test_model_without_a_price(queue: Queue) -> None:
    task = queue.add()
    queue.charge({task: '{"model": "free", "prompt_tokens": 10, "completion_tokens": 5}'})
    queue.charge({task: '{"model": "paid", "prompt_tokens": 10, "cost": 1}'})
    assert found(queue) == [("advice", "model_without_price", "free")]

    queue.run("UPDATE accounts SET monthly_budget = 100")
    finding = only(queue)
    assert (finding["severity"], finding["detail"]) == ("warning", "15 tokens in the last 30 days, and no cost")

    queue.run("UPDATE contentq.usage SET day = day - 31")
    assert found(queue) == []


def test_silent_worker_with_what_it_holds(queue: Queue) -> None:
    task = queue.running()
    queue.silence(task.worker)

    finding = only(queue)
    assert (finding["severity"], finding["finding"], finding["subject"]) == (
        "warning",
        "worker_silent",
        "workers: 1",
    )
    assert f"with 1 running tasks: {task.worker} (host, pid 4711)" in finding["detail"]


def test_housekeeping_that_is_held_up(queue: Queue, connect_queue: Callable[[], Queue], worker: int) -> None:
    queue.run("UPDATE contentq.workers SET started_at = clock_timestamp() - interval '1 hour'")
    assert only(queue)["detail"] == "it has never run"

    queue.value("SELECT contentq.maintain()")
    assert found(queue) == []

    queue.run("UPDATE contentq.maintenance SET ran_at = clock_timestamp() - interval '1 hour'")
    other = connect_queue()
    with other.connection.transaction():
        other.run("SELECT FROM contentq.maintenance FOR UPDATE")
        finding = only(queue)
        assert (finding["severity"], finding["finding"]) == ("warning", "maintenance_late")
        assert f"its row was locked last by session {other.connection.info.backend_pid} (" in finding["detail"]


@pytest.mark.parametrize("moved", ["contentq.workers SET heartbeat_at", "contentq.maintenance SET ran_at"])
def test_clock_that_went_back(queue: Queue, worker: int, moved: str) -> None:
    queue.run(f"UPDATE {moved} = clock_timestamp() + interval '1 hour'")

    assert found(queue) == [("warning", "clock_went_back", "server")]


def long_ago(queue: Queue, minutes: int = 5) -> Any:
    return queue.value("SELECT clock_timestamp() - %s * interval '1 minute'", minutes)


def test_tasks_without_a_live_worker(queue: Queue) -> None:
    queue.add(submitted_at=long_ago(queue), category="blog")
    queue.add(submitted_at=long_ago(queue, 7), task_id="oldest", priority=1)
    queue.add(category="news")

    finding = only(queue)
    assert (finding["severity"], finding["finding"], finding["subject"]) == ("error", "no_live_worker", "tasks")
    assert finding["detail"].startswith("tasks are ready ('blog', without a category), the oldest for 00:07:0")
    assert finding["detail"].endswith(": oldest; there is no live worker")


@pytest.mark.parametrize("category", ["news", None])
def test_tasks_of_a_category_that_no_live_worker_claims(queue: Queue, category: str | None) -> None:
    queue.register(categories=["blog"])
    silent = queue.register()
    queue.silence(silent, "12 seconds")
    queue.run("UPDATE contentq.workers SET draining = true WHERE id = %s", queue.register())
    queue.add(submitted_at=long_ago(queue), category="blog")
    queue.add(submitted_at=long_ago(queue), category=category)
    queue.add(submitted_at=long_ago(queue), category="later", scheduled_at="2999-01-01")

    finding = only(queue)
    assert (finding["severity"], finding["finding"]) == ("warning", "tasks_nobody_claims")
    assert finding["subject"] == "categories: 1"
    assert f"({repr(category) if category else 'without a category'})" in finding["detail"]


@pytest.mark.parametrize("gate", ["provider", "*"])
def test_tasks_behind_a_gate_that_stays_closed(queue: Queue, gate: str) -> None:
    queue.register(gate="provider")
    queue.add(submitted_at=long_ago(queue))
    queue.close_gate(gate, "1 hour")
    assert found(queue) == []

    queue.close_gate(gate, "infinity")
    assert found(queue) == [("warning", "tasks_behind_closed_gates", "categories: 1")]

    queue.open_gate(gate)
    assert found(queue) == []


def test_tasks_that_can_enter_another_gate_are_no_finding(queue: Queue) -> None:
    queue.register(gates=["first", "second"])
    queue.add(submitted_at=long_ago(queue))
    queue.close_gate("first", "infinity")
    assert found(queue) == []

    queue.close_gate("second", "infinity")
    assert found(queue) == [("warning", "tasks_behind_closed_gates", "categories: 1")]


def test_tasks_that_wait_for_long(queue: Queue, worker: int) -> None:
    queue.add(submitted_at=long_ago(queue, 59))
    assert found(queue) == []

    queue.add(submitted_at=long_ago(queue, 61), priority=1, task_id="starved", category="blog")
    finding = only(queue)
    assert (finding["severity"], finding["finding"]) == ("advice", "tasks_wait")
    assert finding["mend"] == "contentq explain starved"


def test_retries_that_are_put_off_for_long(queue: Queue) -> None:
    soon = queue.running(task_id="soon")
    queue.fail(soon, retry_after="59 minutes")
    queue.add(scheduled_at="2999-01-01")
    assert found(queue) == []

    late = queue.running(task_id="late")
    queue.fail(late, retry_after="3 days")
    finding = only(queue)
    assert (finding["severity"], finding["finding"], finding["subject"]) == (
        "advice",
        "retries_put_off",
        "tasks: 1",
    )
    queue.run(finding["mend"].rpartition("ready: ")[2])
    assert queue.row(late.id)["scheduled_at"] is None
    assert found(queue) == []


def test_reviews_that_wait_for_long(queue: Queue) -> None:
    insert = (
        "INSERT INTO contents (account_id, title, body, review_status, created_at, generation_task_id) "
        "VALUES (%s, 'Title', 'Text.', %s, clock_timestamp() - %s::interval, %s)"
    )
    queue.run(insert, queue.account, "pending", "6 days", 1)
    queue.run(insert, queue.account, "approved", "9 days", 1)
    queue.run(insert, queue.account, "pending", "9 days", None)  # the host's own
    assert found(queue) == []

    queue.run(insert, queue.account, "pending", "8 days", 1)
    assert found(queue) == [("advice", "reviews_wait", "contents: 1")]


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


def test_reader_of_some_accounts_is_told_so(queue: Queue, logins: Logins) -> None:
    login = logins.add_open("tenant", "contentq_reader", "pg_read_all_stats")
    queue.run("SELECT contentq.set_row_security(true)")

    assert ("advice", "unseen", "tasks") in found(login)


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
