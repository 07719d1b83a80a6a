"""Definitions of tables, functions and views from PostgreSQL's catalogs, in a comparable form."""

from __future__ import annotations

from typing import Any

from tests.support.databases import Connection

_COLUMNS = """
    SELECT a.attnum - (SELECT count(*) FROM pg_attribute AS gone
                       WHERE gone.attrelid = a.attrelid AND gone.attisdropped AND gone.attnum < a.attnum
                         AND gone.attnum > 0) AS position,
           a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS not_null,
           pg_get_expr(d.adbin, d.adrelid) AS "default", a.attidentity AS identity,
           col_description(a.attrelid, a.attnum) AS comment
    FROM pg_attribute AS a
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = %(table)s::regclass AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum"""

_INDEXES = """
    SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition
    FROM pg_index AS i
    WHERE i.indrelid = %(table)s::regclass
    ORDER BY 1"""

_CONSTRAINTS = """
    SELECT c.conname AS name, pg_get_constraintdef(c.oid) AS definition
    FROM pg_constraint AS c
    WHERE c.conrelid = %(table)s::regclass AND c.contype <> 't'
    ORDER BY 1"""

_COMMENT = "SELECT obj_description(%(table)s::regclass, 'pg_class')"

_FUNCTIONS = """
    SELECT p.proname, pg_get_functiondef(p.oid), obj_description(p.oid, 'pg_proc')
    FROM pg_proc AS p
    WHERE p.pronamespace = 'contentq'::regnamespace
    ORDER BY p.oid::regprocedure::text"""

_VIEWS = """
    SELECT c.relname, pg_get_viewdef(c.oid), obj_description(c.oid, 'pg_class')
    FROM pg_class AS c
    WHERE c.relnamespace = 'contentq'::regnamespace AND c.relkind = 'v'
    ORDER BY c.relname"""


def table(connection: Connection, name: str) -> dict[str, Any]:
    """Columns, indexes, constraints and comments of a table, without triggers."""
    values = {"table": name}
    comment = connection.execute(_COMMENT, values).fetchone()
    assert comment is not None
    return {
        "comment": comment[0],
        "columns": connection.execute(_COLUMNS, values).fetchall(),
        "indexes": dict(connection.execute(_INDEXES, values).fetchall()),
        "constraints": dict(connection.execute(_CONSTRAINTS, values).fetchall()),
    }


def functions(connection: Connection) -> list[Any]:
    """(name, definition, comment) of each function in schema contentq."""
    return connection.execute(_FUNCTIONS).fetchall()


def views(connection: Connection) -> list[Any]:
    """(name, definition, comment) of each view in schema contentq."""
    return connection.execute(_VIEWS).fetchall()
