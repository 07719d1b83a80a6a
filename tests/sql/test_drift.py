"""Differences between a database's schema and that of this version are found, and their remedies work."""

from __future__ import annotations

from pathlib import Path

import pytest
from contentq.database import definitions, drift
from contentq.database.definitions import Definition
from contentq.database.migrations import migrate
from contentq.finding import Finding

from tests.support.hosts import HOST, TASKS
from tests.support.queue import Queue


def found(queue: Queue) -> list[Finding]:
    return drift.compare_schema(queue.connection)


def named(queue: Queue) -> list[tuple[str, str, str]]:
    """The findings, without the schema of the tables."""
    return [(each.severity, each.finding, each.subject.removeprefix(f"{queue.schema}.")) for each in found(queue)]


def test_nothing_differs_in_a_database_that_was_just_migrated(queue: Queue) -> None:
    assert found(queue) == []


def test_database_that_is_not_migrated_has_no_schema_to_compare(bare: Queue) -> None:
    assert found(bare) == []


@pytest.mark.parametrize("schema", [HOST, f"{HOST};{TASKS}"])
def test_tables_that_were_taken_over_may_be_otherwise(empty_dsn: str, bare: Queue, schema: str) -> None:
    bare.run(schema)
    migrate(empty_dsn)
    assert found(bare) == []

    bare.run("ALTER TABLE accounts DROP COLUMN monthly_budget CASCADE")
    missing = [each.subject for each in found(bare) if each.finding == "column_missing"]
    assert missing == ["public.accounts.monthly_budget"]


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (
            "ALTER TABLE contents DROP COLUMN review_note CASCADE",
            ("error", "column_missing", "contents.review_note"),
        ),
        (
            "ALTER TABLE contentq.gates DROP COLUMN noise CASCADE",
            ("error", "column_missing", "contentq.gates.noise"),
        ),
        (
            "ALTER TABLE contents DROP CONSTRAINT contents_word_count_check",
            ("warning", "constraint_missing", "contents.contents_word_count_check"),
        ),
        (
            "ALTER TABLE content_generation_tasks DROP CONSTRAINT content_generation_tasks_task_id_key",
            (
                "warning",
                "constraint_missing",
                "content_generation_tasks.content_generation_tasks_task_id_key",
            ),
        ),
        (
            "ALTER TABLE contentq.usage DROP CONSTRAINT usage_pkey",
            ("warning", "constraint_missing", "contentq.usage.usage_pkey"),
        ),
        ("DROP INDEX contentq.usage_day_idx", ("warning", "index_missing", "usage_day_idx")),
        (
            "ALTER TABLE contentq.wakeups ALTER COLUMN slot TYPE smallint",
            ("warning", "column_changed", "contentq.wakeups.slot"),
        ),
    ],
)
def test_what_was_altered_is_found_and_mended(queue: Queue, change: str, finding: tuple[str, str, str]) -> None:
    queue.run(change)

    assert [each for each in named(queue) if each[1] != "other_version"] == [finding]
    queue.run(next(each.fix for each in found(queue) if each.finding == finding[1]))
    assert named(queue) == []


def test_table_that_is_missing_is_found(queue: Queue) -> None:
    queue.run("ALTER TABLE contentq.awaited RENAME TO mislaid")

    assert named(queue) == [("error", "table_missing", "contentq.awaited")]


def test_ids_that_were_moved_to_bigint_are_in_order(queue: Queue) -> None:
    queue.run("ALTER TABLE contentq.cap_locks ALTER COLUMN place TYPE bigint")

    assert found(queue) == []


def test_functions_of_another_version_are_found(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    real = definitions.definitions

    def of_the_next_version(schema: str) -> list[Definition]:
        first, *others = real(schema)
        return [Definition(first.kind, first.name, first.text + "-- more\n"), *others[1:]]

    monkeypatch.setattr(drift, "definitions", of_the_next_version)

    (one,) = found(queue)
    assert (one.severity, one.finding) == ("warning", "other_version")
    names = sorted(each.name for each in real("public")[:2])
    assert one.detail == f"they are of another version of contentq: {', '.join(names)}"


@pytest.mark.parametrize(
    ("revision", "fix"),
    [
        ("0000", "contentq migrate"),
        ("9999", "install the version of contentq that migrated the database, or a later one"),
    ],
)
def test_revision_of_another_version_is_found(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, revision: str, fix: str
) -> None:
    monkeypatch.setattr(drift, "known_revisions", lambda: ["0000", "0001"])
    queue.run("UPDATE contentq.alembic_version SET version_num = %s", revision)

    (one,) = found(queue)
    assert (one.severity, one.finding, one.fix) == ("error", "schema_revision", fix)


def test_every_table_and_column_of_the_snapshot_is_compared(queue: Queue) -> None:
    """A line of pg_dump that the program does not recognise would be ignored."""
    rows = queue.rows(
        """
        SELECT c.oid::regclass::text AS name, count(a.attnum) AS columns,
               (SELECT count(*)
                FROM pg_constraint AS k
                WHERE k.conrelid = c.oid
                  AND k.contype IN ('c', 'p', 'u', 'f')) AS constraints
        FROM pg_class AS c
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
        WHERE c.relkind = 'r'
          AND c.relnamespace IN ('contentq'::regnamespace, %s::regnamespace)
        GROUP BY c.oid""",
        queue.schema,
    )
    read = {name.removeprefix(f"{queue.schema}."): table for name, table in drift._read_snapshot(queue.schema)}

    assert {
        row["name"].removeprefix(f"{queue.schema}."): (row["columns"], row["constraints"]) for row in rows
    } == {name: (len(table.columns), len(table.constraints)) for name, table in read.items()}


def test_snapshot_is_there_once_installed() -> None:
    assert Path(drift.SNAPSHOT).is_file()
