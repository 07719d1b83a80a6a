"""Dumps of a database with a queue, restored in common ways, and what migrate() does with them."""

from __future__ import annotations

import re
import subprocess

import pytest
from contentq.database.migrations import Migrated, migrate
from contentq.database.revisions import created_tables, head_revision
from contentq.models import Base

from tests.docs.markdown import ROOT
from tests.support import programs
from tests.support.engines import engine_of
from tests.support.programs import client
from tests.support.queue import Queue
from tests.support.schema_snapshot import dump

pytestmark = pytest.mark.slow

HEAD = head_revision()
TABLES = ["accounts", "content_generation_tasks", "contents"]

LEFT_OUT = (
    "contentq.(alembic_version|definitions|tables|needed_indexes|settings|maintenance|workers|claimers|wakeups"
    "|silent_commits|cap_locks)"
)
"""Tables whose rows a migrated database has or creates: for pg_dump --exclude-table-data."""


def restored(dsn: str, text: str, *options: str) -> list[str]:
    """Runs a dump in psql; returns the errors, which do not stop it."""
    command = [str(client("psql")), "-X", "-q", *options, "-d", dsn]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if "ERROR" in line]


@pytest.fixture
def filled(queue: Queue) -> Queue:
    """A queue with tasks of every status, contents, a pause, a budget, usage and changed settings."""
    paused = queue.add_account("Grace", paused_until="infinity", monthly_budget=5)
    queue.add(account_id=paused)
    task = queue.running()
    assert queue.store(task.worker, [task], extras=['{"cost": 2, "model": "m"}']) == [task.id]
    queue.add(topic="waits")
    queue.run("UPDATE contentq.settings SET retention = '7 days'")
    return queue


def rows(queue: Queue) -> list[list[str]]:
    return [queue.values(f"SELECT t::text FROM {table} AS t ORDER BY id") for table in TABLES]


def schema(dsn: str) -> list[str]:
    """The schema, with IN (...) on varchar columns as before the restore."""
    text = re.sub(r"\(('\w+'::character varying)\)::text", r"\1", dump(dsn))
    return re.sub(r"\((ARRAY\[[^]]*\])\)::text\[\]", r"\1", text).splitlines()


def works(queue: Queue) -> None:
    """Tasks wake workers and are claimed and stored, except those of paused accounts."""
    claimed = queue.claim(queue.register(), 10)
    assert [row["topic"] for row in claimed] == ["waits"]
    task = queue.running(topic="new")
    assert queue.store(task.worker, [task]) == [task.id]
    queue.run("UPDATE accounts SET paused_until = NULL")
    assert queue.blocked_accounts() == []


def test_whole_dump_restores_a_queue_that_needs_no_repair(
    dsn: str, filled: Queue, empty_dsn: str, bare: Queue
) -> None:
    assert restored(empty_dsn, programs.dump(dsn)) == []

    assert migrate(empty_dsn) == Migrated(HEAD, HEAD)

    assert rows(bare) == rows(filled)
    assert schema(empty_dsn) == schema(dsn)
    works(bare)


def test_dump_of_schema_public_alone_is_repaired(dsn: str, filled: Queue, empty_dsn: str, bare: Queue) -> None:
    """pg_dump includes its triggers without the functions that they call."""
    assert restored(empty_dsn, programs.dump(dsn, "--schema", "public")) != []

    migrate(empty_dsn)

    assert rows(bare) == rows(filled)
    assert schema(empty_dsn) == schema(dsn)
    assert created_tables(bare.connection) == TABLES
    works(bare)
    migrate(empty_dsn, "base")
    assert bare.values("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace") == []


def test_dump_of_the_task_table_alone_is_taken_into_an_application(
    dsn: str, filled: Queue, empty_dsn: str, bare: Queue
) -> None:
    bare.run("CREATE TABLE accounts (id integer PRIMARY KEY, name text NOT NULL)")
    bare.run("INSERT INTO accounts SELECT generate_series(1, 2), 'Ada'")
    filled.run("UPDATE content_generation_tasks SET content_id = NULL")
    restored(empty_dsn, programs.dump(dsn, "--table", "public.content_generation_tasks"))

    migrate(empty_dsn)

    assert bare.value("SELECT count(*) FROM content_generation_tasks") == 3
    assert created_tables(bare.connection) == ["content_generation_tasks", "contents"]


def test_tables_of_a_host_are_still_its_own_after_a_restore(
    dsn: str, empty_dsn: str, queue: Queue, bare: Queue
) -> None:
    """An adopted table does not count as one that contentq has created."""
    migrate(dsn, "base")
    queue.run("CREATE TABLE accounts (id integer PRIMARY KEY, name text NOT NULL)")
    queue.run("INSERT INTO accounts VALUES (1, 'Ada')")
    migrate(dsn)
    restored(empty_dsn, programs.dump(dsn, "--schema", "public"))

    migrate(empty_dsn)
    assert created_tables(bare.connection) == ["content_generation_tasks", "contents"]

    migrate(empty_dsn, "base")
    assert bare.values("SELECT name FROM accounts") == ["Ada"]


def test_tables_that_the_models_have_created_are_taken_over(empty_dsn: str, bare: Queue) -> None:
    Base.metadata.create_all(engine_of(empty_dsn))

    changes = migrate(empty_dsn).changes

    assert [change.partition(" (")[0] for change in changes] == [
        f"adopted the existing table {name}" for name in TABLES
    ]
    assert created_tables(bare.connection) == []

    task = bare.running(topic="Tea")
    assert bare.store(task.worker, [task]) == [task.id]
    migrate(empty_dsn, "base")
    assert bare.value("SELECT count(*) FROM content_generation_tasks") == 1


def test_data_alone_goes_into_a_migrated_database(dsn: str, filled: Queue, empty_dsn: str, bare: Queue) -> None:
    migrate(empty_dsn)
    assert f"--exclude-table-data='{LEFT_OUT}'" in (ROOT / "docs/how-to/backup.md").read_text(encoding="utf-8")

    text = programs.dump(dsn, "--data-only", f"--exclude-table-data={LEFT_OUT}")
    assert restored(empty_dsn, text, "-v", "ON_ERROR_STOP=1", "--single-transaction") == []

    assert migrate(empty_dsn) == Migrated(HEAD, HEAD)
    assert rows(bare) == rows(filled)
    assert bare.usage() == filled.usage()
    assert bare.register() not in filled.values("SELECT id FROM contentq.workers")
    works(bare)
