"""The schema that the three tables are in, and what a migration says of tables that were there before it."""

from __future__ import annotations

import re

import psycopg
from psycopg.rows import TupleRow

from contentq.database.definitions import DEFAULT_SCHEMA
from contentq.errors import ContentQueueError

_SCHEMA_NAME = re.compile(r"(?!pg_|contentq$|information_schema$)[a-z_][a-z0-9_]{0,62}")
SCHEMA_COMMENT = "The tables of contentq."


def create_schema_sql(schema: str) -> str:
    """Creates the schema, marked as contentq's."""
    return f"CREATE SCHEMA {schema};\nCOMMENT ON SCHEMA {schema} IS '{SCHEMA_COMMENT}';"


def choose_schema(wanted: str | None, known: str | None) -> str:
    """The schema for the tables: where they are, else where they are wanted. Raises ContentQueueError."""
    if wanted is not None and not _SCHEMA_NAME.fullmatch(wanted):
        raise ContentQueueError(
            f"{wanted!r} cannot be the schema of the tables: use lower-case letters, digits and underscores, at "
            "most 63 of them, and no name that PostgreSQL or contentq uses itself"
        )
    if known is not None and wanted not in (None, known):
        raise ContentQueueError(
            f"the tables are in schema {known!r}, not in {wanted!r}: leave --schema out (a database has one queue)"
        )
    return known or wanted or DEFAULT_SCHEMA


def describe_taken_over(connection: psycopg.Connection[TupleRow]) -> list[str]:
    """The tables that were there and were taken over, a line each."""
    rows = connection.execute(
        "SELECT table_name, cardinality(added) FROM contentq.tables WHERE NOT is_created ORDER BY table_name"
    ).fetchall()
    return [
        f"took over table {name}, which was there" + (f" (additions: {number})" if number else "")
        for name, number in rows
    ]


_TASKS_TAKEN_OVER = """
    SELECT count(*) FILTER (WHERE t.status = 'pending'), count(*) FILTER (WHERE t.status = 'processing')
    FROM contentq.tasks AS t
    WHERE t.status IN ('pending', 'processing')
      AND EXISTS (SELECT FROM contentq.tables AS h
                  WHERE h.table_name = 'content_generation_tasks' AND NOT h.is_created)"""


def describe_tasks_taken_over(connection: psycopg.Connection[TupleRow]) -> list[str]:
    """What becomes of the tasks of a table that has just been taken over and that have not ended."""
    row = connection.execute(_TASKS_TAKEN_OVER).fetchone()
    pending, processing = row or (0, 0)
    notes = []
    if pending:
        notes.append(f"tasks that are pending: {pending}; workers begin them as soon as they are started")
    if processing:
        notes.append(
            f"tasks that are processing: {processing}; no worker of contentq holds them, and they stay so until "
            "your own program ends them. When none does, cancel and requeue them: "
            "see docs/how-to/adopt-an-application.md"
        )
    return notes


_FOUND = """
    SELECT f.subject, f.detail, f.why, f.mend
    FROM (
        SELECT * FROM contentq.doctor_host_tables()
        UNION ALL
        SELECT * FROM contentq.doctor_rights()
    ) AS f
    ORDER BY f.finding, f.subject"""


def collect_notes(connection: psycopg.Connection[TupleRow]) -> list[str]:
    """What works otherwise than one may expect, though nothing is wrong with it."""
    return [
        f"{subject}: {detail}. {why} What mends it: {mend}"
        for subject, detail, why, mend in connection.execute(_FOUND)
    ]
