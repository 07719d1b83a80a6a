"""doctor() on the schema: ids, definitions, indexes, tables of a host, rights."""

from __future__ import annotations

import pytest
from contentq.database.migrations import migrate

from tests.sql.doctor import findings, fix, found, only
from tests.support.hosts import HOST, TASKS
from tests.support.queue import Queue


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
    fix(queue, finding)
    assert found(queue) == []


@pytest.mark.slow
@pytest.mark.in_public
def test_column_that_is_narrower_than_what_it_refers_to(empty_dsn: str, bare: Queue) -> None:
    bare.run(HOST)
    bare.run("ALTER TABLE contents ALTER COLUMN id TYPE bigint")
    bare.run(TASKS)
    migrate(empty_dsn)
    bare.run("INSERT INTO contents (id, account_id) SELECT 2000000000, min(id) FROM accounts")

    assert found(bare) == [
        ("error", "ids_running_out", "contents.id"),  # the sequence of a serial column keeps its narrow type
        ("error", "ids_running_out", "content_generation_tasks.content_id"),
    ]
    fix(bare, findings(bare)[0])
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
        fix(queue, finding)
    assert queue.rows(definitions) == before
    assert found(queue) == []


@pytest.mark.slow
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
    fix(queue, finding)
    assert found(queue) == []


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
    queue.run(row["fix"].partition(", or")[0])
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
        fix(queue, row)
    assert [finding for _, finding, _ in found(queue)] == ["functions_open"]
