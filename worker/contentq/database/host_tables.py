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
            "your own program ends them. When none does, cancel and requeue them: see docs/adopting.md"
        )
    return notes


_UNFILLED = """
    SELECT a.attname
    FROM pg_attribute AS a
    JOIN contentq.tables AS t ON t.table_name = 'content_generation_tasks'
    JOIN pg_type AS y ON y.oid = a.atttypid
    WHERE a.attrelid = to_regclass(format('%I.%I', t.schema_name, t.table_name))
      AND a.attnum > 0
      AND NOT a.attisdropped
      AND (a.attnotnull OR y.typnotnull)
      AND NOT a.atthasdef
      AND y.typdefault IS NULL
      AND a.attidentity = ''
      AND a.attname <> 'account_id'
    ORDER BY a.attnum"""
_SECURED = """
    SELECT t.table_name
    FROM contentq.tables AS t
    JOIN pg_class AS c ON c.oid = to_regclass(format('%I.%I', t.schema_name, t.table_name))
    WHERE c.relrowsecurity
      AND NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid AND p.polname = 'contentq_all_accounts')
    ORDER BY t.table_name"""


_OPEN_SCHEMAS = """
    SELECT n.nspname
    FROM pg_namespace AS n
    WHERE (n.nspname = 'public' OR n.nspname IN (SELECT t.schema_name FROM contentq.tables AS t))
      AND EXISTS (
          SELECT
          FROM aclexplode(n.nspacl) AS a
          WHERE a.grantee = 0
            AND a.privilege_type = 'CREATE')
    ORDER BY n.nspname"""
"""Schemas in which anyone may create: the default of public up to PostgreSQL 14, which an upgrade keeps."""

_TRIGGER_RIGHTS = """
    SELECT c.oid::regclass::text, string_agg(DISTINCT g.name, ', ' ORDER BY g.name)
    FROM pg_class AS c
    CROSS JOIN LATERAL aclexplode(c.relacl) AS a
    LEFT JOIN pg_roles AS r ON r.oid = a.grantee
    CROSS JOIN LATERAL (SELECT coalesce(quote_ident(r.rolname), 'PUBLIC') AS name) AS g
    WHERE c.relkind IN ('r', 'p')
      AND (c.relnamespace = 'contentq'::regnamespace
           OR c.oid IN (SELECT to_regclass(format('%I.%I', t.schema_name, t.table_name))
                        FROM contentq.tables AS t))
      AND a.privilege_type = 'TRIGGER'
      AND a.grantee <> c.relowner
      AND r.rolsuper IS NOT TRUE
    GROUP BY c.oid
    ORDER BY 1"""
"""Tables on which others than the owner may make triggers, and who they are: GRANT ALL includes that."""


def collect_notes(connection: psycopg.Connection[TupleRow]) -> list[str]:
    """What works otherwise than one may expect, though nothing is wrong with it."""
    open_schemas = [str(row[0]) for row in connection.execute(_OPEN_SCHEMAS)]
    unfilled = [str(row[0]) for row in connection.execute(_UNFILLED)]
    secured = [str(row[0]) for row in connection.execute(_SECURED)]
    notes = [
        f"content_generation_tasks.{name} is NOT NULL without a default: contentq submit cannot insert tasks, "
        "only producers that fill it can"
        for name in unfilled
    ]
    notes += [
        f"anyone may create objects in schema {name}, which other programs, and people in psql, may then run "
        f"unknowingly; to end that: REVOKE CREATE ON SCHEMA {name} FROM PUBLIC"
        for name in open_schemas
    ]
    notes += [
        f"{roles} may make triggers on {table}, which would run with the rights of whoever changes it, superusers "
        f"included; to end that: REVOKE TRIGGER ON {table} FROM {roles}"
        for table, roles in connection.execute(_TRIGGER_RIGHTS)
    ]
    if secured:
        notes.append(
            f"row level security is on for {', '.join(secured)}: a worker, and whoever submits, sees and changes "
            "only the rows that a policy gives to its role; see docs/adopting.md"
        )
    return notes
