"""Which schema revision a database has, and whether this program fits it.

Apart from migrations.py so that a command that only looks does without alembic, whose import takes longer than
most commands.
"""

from __future__ import annotations

import psycopg
from psycopg.rows import TupleRow

from contentq.database.locations import ALEMBIC
from contentq.errors import SchemaMismatch


def known_revisions() -> list[str]:
    """All revisions, oldest first: the numbers that the names of their files begin with."""
    return sorted(file.name.partition("_")[0] for file in (ALEMBIC / "versions").glob("[0-9]*_*.py"))


def head_revision() -> str:
    """The revision that this program is written for."""
    return known_revisions()[-1]


def current_revision(connection: psycopg.Connection[TupleRow]) -> str | None:
    """The revision that a database has; None when it is not migrated."""
    present = connection.execute("SELECT to_regclass('contentq.alembic_version') IS NOT NULL").fetchone()
    if present is None or not present[0]:
        return None
    row = connection.execute("SELECT version_num FROM contentq.alembic_version").fetchone()
    return None if row is None else str(row[0])


def tables_schema(connection: psycopg.Connection[TupleRow]) -> str | None:
    """The schema of the table content_generation_tasks; None when the database is not migrated."""
    present = connection.execute("SELECT to_regclass('contentq.tables') IS NOT NULL").fetchone()
    if present is None or not present[0]:
        return None
    row = connection.execute(
        "SELECT schema_name FROM contentq.tables WHERE table_name = 'content_generation_tasks'"
    ).fetchone()
    return None if row is None else str(row[0])


def created_tables(connection: psycopg.Connection[TupleRow]) -> list[str]:
    """Which of the three tables contentq has created itself: those that the way back to the base drops."""
    if tables_schema(connection) is None:
        return []
    rows = connection.execute("SELECT table_name FROM contentq.tables WHERE is_created ORDER BY table_name")
    return [str(row[0]) for row in rows]


def require_head(connection: psycopg.Connection[TupleRow]) -> None:
    """Raises SchemaMismatch, with what to do, unless the database has this program's revision."""
    found, head = current_revision(connection), head_revision()
    if found == head:
        return
    if found is None:
        raise SchemaMismatch("the database is not migrated; run: contentq migrate")
    if found in known_revisions():
        raise SchemaMismatch(
            f"the database has schema revision {found}, this program needs {head}; run: contentq migrate"
        )
    raise newer(found)


def newer(found: str) -> SchemaMismatch:
    """The error for a revision that this program does not know."""
    return SchemaMismatch(
        f"the database has schema revision {found}, which this program does not know: the program is older than "
        "the schema; install the version of contentq that migrated it, or a later one"
    )
