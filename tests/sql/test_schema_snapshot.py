"""sql/schema.sql shows every change of the schema for review."""

from __future__ import annotations

import pytest

from tests.support.schema_snapshot import SNAPSHOT, snapshot
from tests.support.servers import Server


@pytest.mark.in_public
def test_committed_snapshot_is_the_schema_of_a_migrated_database(server: Server, dsn: str) -> None:
    if server.major < 16:
        pytest.skip("before PostgreSQL 16, a server prints views in other words")

    assert SNAPSHOT.read_text(encoding="utf-8") == snapshot(dsn), "run: python -m tests.support.schema_snapshot"
