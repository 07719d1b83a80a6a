"""The schema of the three tables, and a migration's messages about adopted tables."""

from __future__ import annotations

import re

import psycopg
from psycopg.rows import TupleRow

from contentq.database.definitions import DEFAULT_SCHEMA
from contentq.errors import ContentQueueError

_SCHEMA_NAME = re.compile(r"(?!pg_|contentq$|information_schema$)[a-z_][a-z0-9_]{0,62}")
SCHEMA_COMMENT = "The tables of contentq."


def create_schema_sql(schema: str) -> str:
    """Returns SQL that creates the schema with a comment that marks it as contentq's."""
    return f"CREATE SCHEMA {schema};\nCOMMENT ON SCHEMA {schema} IS '{SCHEMA_COMMENT}';"


def choose_schema(wanted: str | None, known: str | None) -> str:
    """Returns the schema of the tables: the existing one, else the wanted one. Raises ContentQueueError."""
    if wanted is not None and not _SCHEMA_NAME.fullmatch(wanted):
        raise ContentQueueError(
            f"{wanted!r} cannot be the schema of the tables: use up to 63 lower-case letters, digits and "
            "underscores, and no name that PostgreSQL or contentq uses itself"
        )
    if known is not None and wanted not in (None, known):
        raise ContentQueueError(
            f"the tables are in schema {known!r}, not in {wanted!r}: omit --schema (a database has one queue)"
        )
    return known or wanted or DEFAULT_SCHEMA


def describe_taken_over(connection: psycopg.Connection[TupleRow]) -> list[str]:
    """Returns a line for each adopted table."""
    rows = connection.execute(
        "SELECT table_name, cardinality(added) FROM contentq.tables WHERE NOT is_created ORDER BY table_name"
    ).fetchall()
    return [
        f"adopted the existing table {name}" + (f" (additions: {number})" if number else "")
        for name, number in rows
    ]


_TASKS_TAKEN_OVER = """
    SELECT count(*) FILTER (WHERE t.status = 'pending'), count(*) FILTER (WHERE t.status = 'processing')
    FROM contentq.tasks AS t
    WHERE t.status IN ('pending', 'processing')
      AND EXISTS (SELECT FROM contentq.tables AS h
                  WHERE h.table_name = 'content_generation_tasks' AND NOT h.is_created)"""


def describe_tasks_taken_over(connection: psycopg.Connection[TupleRow]) -> list[str]:
    """Returns notes about unended tasks of a table that was just adopted."""
    row = connection.execute(_TASKS_TAKEN_OVER).fetchone()
    pending, processing = row or (0, 0)
    notes = []
    if pending:
        notes.append(f"pending tasks adopted: {pending}; workers claim them as soon as they start")
    if processing:
        notes.append(
            f"processing tasks adopted: {processing}; no worker of contentq runs them, and they stay "
            "processing until your own program ends them. If it does not, cancel and requeue them: see "
            "docs/how-to/adopt-an-application.md"
        )
    return notes


_FOUND = """
    SELECT f.subject, f.detail, f.why, f.fix
    FROM (
        SELECT * FROM contentq.doctor_host_tables()
        UNION ALL
        SELECT * FROM contentq.doctor_rights()
    ) AS f
    ORDER BY f.finding, f.subject"""


def collect_notes(connection: psycopg.Connection[TupleRow]) -> list[str]:
    """Returns notes on unexpected behaviour that is not an error."""
    return [
        f"{subject}: {detail}. {why} To fix it: {fix}" for subject, detail, why, fix in connection.execute(_FOUND)
    ]
