"""The scratch schema of contentq bench: all of the queue, and nothing that leads back to the real one."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from contentq.bench.scratch import SCHEMA, redirected, scratch_schema
from contentq.database.locations import SQL
from contentq.queue import contract

from tests.support.queue import Queue

MIGRATIONS = sorted((SQL / "migrations").glob("*.up.sql"))

_DATABASE_WIDE = re.compile(r"(?:\w*advisory\w*|pg_notify)\(\s*((?:hashtextextended\()?[^\s,()]+)")
"""What names an advisory lock or a channel: these belong to the whole database."""


def test_scratch_schema_has_every_table_view_and_function_of_the_queue(dsn: str, queue: Queue) -> None:
    def named(*schemas: str) -> list[str]:
        return queue.values(
            "SELECT relname || ' ' || relkind::text FROM pg_class "
            "WHERE relnamespace::regnamespace::text = ANY (%s) AND relname NOT LIKE 'alembic_version%%' "
            "UNION ALL "
            "SELECT proname || replace(pg_get_function_identity_arguments(oid), 'contentq_bench.', 'contentq.') "
            "FROM pg_proc "
            "WHERE pronamespace::regnamespace::text = ANY (%s) ORDER BY 1",
            list(schemas),
            list(schemas),
        )

    with scratch_schema(dsn):
        copied = named(SCHEMA)

    assert len(copied) > 50
    assert copied == named("public", "contentq")


def test_nothing_in_it_names_the_real_queue(empty_dsn: str) -> None:
    defined = (
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'contentq_bench'::regnamespace "
        "UNION ALL SELECT pg_get_viewdef(oid) FROM pg_class WHERE relnamespace = 'contentq_bench'::regnamespace "
        "AND relkind = 'v'"
    )
    with scratch_schema(empty_dsn) as connection:
        texts = [row[0] for row in connection.execute(defined).fetchall()]

    assert [text for text in texts if re.search(r"\b(public|contentq)\.", text)] == []


@pytest.mark.parametrize("file", MIGRATIONS, ids=lambda file: str(file.name))
def test_advisory_locks_and_channels_are_its_own(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    real, copied = _DATABASE_WIDE.findall(text), _DATABASE_WIDE.findall(redirected(text))

    assert len(real) == len(copied)
    assert set(real).isdisjoint(copied)


def test_every_statement_of_a_worker_is_redirected() -> None:
    statements = [text for text in vars(contract).values() if isinstance(text, str) and "SELECT" in text]

    assert len(statements) > 10
    for text in statements:
        assert not re.search(r"\b(public|contentq)\.", redirected(text)), text
    assert redirected(f"LISTEN {contract.READY_CHANNEL}") == "LISTEN contentq_bench_ready"


def test_half_made_schema_is_not_left(empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contentq.bench.scratch.redirected", lambda text: text.replace("COMMENT ON", "COMMENT"))

    with pytest.raises(psycopg.errors.SyntaxError), scratch_schema(empty_dsn):
        pytest.fail("it was made")

    with psycopg.connect(empty_dsn) as connection:
        left = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'contentq%'").fetchall()
    assert left == []
