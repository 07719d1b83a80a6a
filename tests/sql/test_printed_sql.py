"""The printed SQL of the migrations has the same effect in psql as migrate()."""

from __future__ import annotations

import subprocess

import psycopg
import pytest
from contentq.database.migrations import Migrated, migrate, migration_sql
from contentq.database.revisions import current_revision, head_revision

from tests.support.programs import client
from tests.support.queue import Queue
from tests.support.schema_snapshot import dump

HEAD = head_revision()


def psql(dsn: str, text: str) -> None:
    command = [str(client("psql")), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", dsn]
    subprocess.run(command, input=text, capture_output=True, text=True, check=True)


@pytest.mark.slow
def test_printed_sql_makes_the_same_schema(empty_dsn: str, dsn: str) -> None:
    psql(empty_dsn, migration_sql())

    assert dump(empty_dsn) == dump(dsn)
    assert migrate(empty_dsn) == Migrated(HEAD, HEAD)


@pytest.mark.slow
def test_printed_sql_can_be_run_revision_by_revision(empty_dsn: str, dsn: str) -> None:
    psql(empty_dsn, migration_sql("0001"))
    psql(empty_dsn, migration_sql("head", "0001"))

    assert dump(empty_dsn) == dump(dsn)


@pytest.mark.slow
def test_printed_way_down_leaves_nothing(empty_dsn: str) -> None:
    migrate(empty_dsn)

    psql(empty_dsn, migration_sql("base", "head"))

    with psycopg.connect(empty_dsn) as connection:
        assert current_revision(connection) is None
        queue = Queue(connection)
        assert queue.values("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []
