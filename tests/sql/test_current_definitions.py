"""sql/functions and sql/views are exactly what a migrated database has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from contentq.database.definitions import CATALOGUE, definitions
from contentq.database.locations import ALEMBIC, SQL

from tests.support import catalog
from tests.support.databases import Connection

KINDS = {"functions": catalog.functions, "views": catalog.views}


def files(kind: str) -> list[Path]:
    return sorted((SQL / kind).glob("*.sql"))


@pytest.mark.parametrize("kind", KINDS)
def test_each_has_a_file_of_its_own_name(database: Connection, kind: str) -> None:
    assert [name for name, _, _ in KINDS[kind](database)] == [file.stem for file in files(kind)]


@pytest.mark.in_public
def test_files_are_what_a_migrated_database_has(database: Connection) -> None:
    query = f"SELECT kind, name, identity, digest FROM ({CATALOGUE}) AS c ORDER BY 1, 2".encode()
    before = database.execute(query).fetchall()

    for each in definitions():
        if each.kind != "trigger":
            database.execute(each.text.encode())

    assert database.execute(query).fetchall() == before
    assert {(kind, name) for kind, name, *_ in before} == {each.key for each in definitions()}


def test_each_view_reads_the_same_after_it_was_dumped_and_restored(database: Connection) -> None:
    """Otherwise a repair would always find a change: IN (...) on a varchar is printed differently each time."""
    before = [(name, definition) for name, definition, _ in catalog.views(database)]

    for name, definition in before:
        database.execute(f"CREATE OR REPLACE VIEW contentq.{name} AS {definition}".encode())

    assert [(name, definition) for name, definition, _ in catalog.views(database)] == before


def test_sql_is_plain_ascii() -> None:
    """So that clients with any encoding can install it."""
    assert [str(file) for file in SQL.rglob("*.sql") if not file.read_bytes().isascii()] == []


def test_each_function_sets_its_search_path(database: Connection) -> None:
    unset = database.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'contentq'::regnamespace "
        "AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false) AND prosqlbody IS NULL"
    ).fetchall()

    assert unset == []


def test_function_without_a_search_path_was_parsed_when_it_was_created(database: Connection) -> None:
    query = "SELECT proname FROM pg_proc WHERE pronamespace = 'contentq'::regnamespace AND prosqlbody IS NOT NULL"

    assert sorted(name for (name,) in database.execute(query)) == [
        "budget_key",
        "budget_start",
        "is_batch_wanted",
        "is_held",
        "is_of",
        "is_ready",
        "median_duration",
        "misses_deadline",
    ]


@pytest.mark.parametrize(
    "call",
    [
        "contentq.is_held(t.status, t.worker_id, 1)",
        "contentq.is_ready(t.status, t.scheduled_at, t.timeout_at, t.attempt)",
        "contentq.misses_deadline(t.timeout_at, t.category)",
    ],
)
def test_function_without_a_search_path_that_is_asked_of_every_row_becomes_part_of_the_query(
    database: Connection, call: str
) -> None:
    query = f"EXPLAIN SELECT FROM content_generation_tasks AS t WHERE {call}"
    plan = database.execute(query.encode()).fetchall()

    assert "COALESCE(" in str(plan)
    assert call.partition("(")[0] not in str(plan)


@pytest.mark.parametrize("file", files("functions"), ids=lambda file: file.stem)
def test_each_function_says_who_calls_it_what_it_locks_and_what_it_returns(file: Path) -> None:
    heading = file.read_text(encoding="utf-8").partition("CREATE OR REPLACE FUNCTION")[0]

    assert all(re.search(rf"\b{word}:", heading) for word in ("Called by", "Locks", "Returns"))


def test_each_revision_has_its_way_up_and_its_way_down() -> None:
    revisions = [file.stem for file in sorted((ALEMBIC / "versions").glob("*.py"))]

    assert sorted(file.name for file in (SQL / "migrations").iterdir()) == sorted(
        f"{revision}.{way}.sql" for revision in revisions for way in ("up", "down")
    )
    assert [name[:4] for name in revisions] == [f"{number:04}" for number in range(1, len(revisions) + 1)]


def test_table_steps_hold_no_copy_of_what_is_repeatable() -> None:
    steps = "".join(file.read_text(encoding="utf-8") for file in (SQL / "migrations").iterdir())

    assert not re.search(r"\b(FUNCTION|VIEW|TRIGGER)\b", steps)
