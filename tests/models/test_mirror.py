"""The models declare exactly the tables that the migrations create."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from contentq.models import Base

from tests.support import catalog
from tests.support.databases import Connection
from tests.support.engines import engine_of


@pytest.fixture
def declared(empty_dsn: str) -> Iterator[Connection]:
    """A database created by create_all() alone."""
    Base.metadata.create_all(engine_of(empty_dsn))
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("table", ["accounts", "contents", "content_generation_tasks"])
@pytest.mark.parametrize("aspect", ["comment", "columns", "indexes", "constraints"])
def test_models_declare_the_migrated_table(
    database: Connection, declared: Connection, table: str, aspect: str
) -> None:
    assert catalog.table(declared, table)[aspect] == catalog.table(database, table)[aspect]


def test_models_declare_every_table_of_the_default_schema(database: Connection) -> None:
    tables = database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()

    assert {name for (name,) in tables} == set(Base.metadata.tables)
