"""Compares the schema revision of a database with the one of this program.

Separate from migrations.py, so that commands that only read do not import alembic, which takes longer than most
commands.
"""

from __future__ import annotations

import psycopg
from psycopg.rows import TupleRow

from contentq.database.locations import ALEMBIC
from contentq.errors import SchemaMismatch


def known_revisions() -> list[str]:
    """All revisions, oldest first: the numbers at the start of their file names."""
    return sorted(file.name.partition("_")[0] for file in (ALEMBIC / "versions").glob("[0-9]*_*.py"))


def head_revision() -> str:
    """The revision that this program needs."""
    return known_revisions()[-1]


def current_revision(connection: psycopg.Connection[TupleRow]) -> str | None:
    """The revision of a database; None if it is not migrated."""
    present = connection.execute("SELECT to_regclass('contentq.alembic_version') IS NOT NULL").fetchone()
    if present is None or not present[0]:
        return None
    row = connection.execute("SELECT version_num FROM contentq.alembic_version").fetchone()
    return None if row is None else str(row[0])


def tables_schema(connection: psycopg.Connection[TupleRow]) -> str | None:
    """The schema of the table content_generation_tasks; None if the database is not migrated."""
    present = connection.execute("SELECT to_regclass('contentq.tables') IS NOT NULL").fetchone()
    if present is None or not present[0]:
        return None
    row = connection.execute(
        "SELECT schema_name FROM contentq.tables WHERE table_name = 'content_generation_tasks'"
    ).fetchone()
    return None if row is None else str(row[0])


def created_tables(connection: psycopg.Connection[TupleRow]) -> list[str]:
    """Which of the three tables contentq has created; a downgrade to base drops them."""
    if tables_schema(connection) is None:
        return []
    rows = connection.execute("SELECT table_name FROM contentq.tables WHERE is_created ORDER BY table_name")
    return [str(row[0]) for row in rows]


def require_head(connection: psycopg.Connection[TupleRow]) -> None:
    """Raises SchemaMismatch unless the database has this program's revision."""
    found, head = current_revision(connection), head_revision()
    if found == head:
        return
    if found is None:
        raise SchemaMismatch("the database is not migrated; run: contentq migrate")
    if found in known_revisions():
        raise SchemaMismatch(
            f"the database has schema revision {found}, but this program needs {head}; run: contentq migrate"
        )
    raise newer(found)


def newer(found: str) -> SchemaMismatch:
    """The error for a revision that this program does not know."""
    return SchemaMismatch(
        f"the database has schema revision {found}, which this program does not know because it is older; install "
        "the version of contentq that migrated the database, or a later one"
    )
