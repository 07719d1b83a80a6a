"""The comments of tables and columns. sql/comments.sql is their only copy, and each migration restores them.

In adopted tables, only columns that contentq added get a comment; in an adopted task table, also columns without
one.
"""

from __future__ import annotations

import re

import psycopg
from psycopg.rows import TupleRow

from contentq.database.definitions import in_schema
from contentq.database.locations import SQL

_COMMENT = re.compile(
    r"^COMMENT ON (?:TABLE|COLUMN) (\w+\.\w+)(?:\.(\w+))? IS\s((?:\s*'(?:[^']|'')*')+);", re.MULTILINE
)
_PART = re.compile(r"'((?:[^']|'')*)'")

_PLACES = """
    SELECT format('%s %s', CASE WHEN w.col = '' THEN 'TABLE' ELSE 'COLUMN' END,
                  concat_ws('.', c.oid::regclass, nullif(w.col, ''))) AS place,
           w.comment, d.description,
           t.is_created IS NOT DISTINCT FROM false AS is_taken_over,
           EXISTS (SELECT FROM unnest(t.added) AS s (statement)
                   WHERE s.statement LIKE '%DROP COLUMN IF EXISTS ' || w.col) AS is_added,
           t.table_name
    FROM (VALUES
{values}
    ) AS w (tab, col, comment)
    JOIN pg_class AS c ON c.oid = to_regclass(w.tab)
    LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = w.col AND NOT a.attisdropped
    LEFT JOIN pg_description AS d
        ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid = coalesce(a.attnum, 0)
    LEFT JOIN contentq.tables AS t ON c.oid = to_regclass(format('%I.%I', t.schema_name, t.table_name))
    WHERE w.col = '' OR a.attnum IS NOT NULL"""

_DIFFERENT = """
    SELECT p.place, p.comment
    FROM ({places}) AS p
    WHERE p.description IS DISTINCT FROM p.comment
      AND (NOT p.is_taken_over
           OR p.is_added
           OR p.table_name = 'content_generation_tasks' AND p.place LIKE 'COLUMN%' AND p.description IS NULL)"""

_GIVEN_TO_A_HOST = """
    SELECT p.place, NULL AS comment
    FROM ({places}) AS p
    WHERE p.is_taken_over
      AND p.description = p.comment"""

_EACH = """
DO $do$
DECLARE
    each record;
BEGIN
    FOR each IN {query}
    LOOP
        EXECUTE format('COMMENT ON %s IS %L', each.place, each.comment);
    END LOOP;
END;
$do$;
"""


def comments() -> list[tuple[str, str, str]]:
    """Table, column (empty for the table itself) and comment, for tables in schema public."""
    text = (SQL / "comments.sql").read_text(encoding="utf-8")
    return [
        (found[1], found[2] or "", "".join(_PART.findall(found[3])).replace("''", "'"))
        for found in _COMMENT.finditer(text)
    ]


def _different(schema: str) -> str:
    return _DIFFERENT.format(places=_places(schema))


def _places(schema: str) -> str:
    rows = [
        f"        ({_literal(in_schema(table, schema))}, {_literal(column)}, {_literal(comment)})"
        for table, column, comment in comments()
    ]
    return _PLACES.format(values=",\n".join(rows))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def write_comments_sql(schema: str) -> str:
    """SQL that sets the comments of tables and columns that differ."""
    return _EACH.format(query=_different(schema))


def remove_comments_sql(schema: str) -> str:
    """SQL that removes contentq's comments from columns of a host, as long as contentq.tables lists them."""
    query = _EACH.format(query=_GIVEN_TO_A_HOST.format(places=_places(schema)))
    # contentq.tables does not exist at the first migration.
    return query.replace(
        "BEGIN\n", "BEGIN\n    IF to_regclass('contentq.tables') IS NULL THEN\n        RETURN;\n    END IF;\n"
    )


def restore_comments(connection: psycopg.Connection[TupleRow], schema: str) -> list[str]:
    """Restores missing and changed comments; returns one line for each."""
    different = [str(row[0]) for row in connection.execute(_different(schema).encode())]
    if different:
        connection.execute(write_comments_sql(schema).encode())
    parts = [place.split(" ", 1) for place in different]
    return [f"restored the comment of {kind.lower()} {name}" for kind, name in parts]
