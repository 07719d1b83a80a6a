"""Compares the schema of a database with the schema of this version of contentq.

Tables are compared with sql/schema.sql, the pg_dump of a migrated database. Functions, views and triggers are
compared with the digests that a migration stores in contentq.definitions; contentq.doctor() reports whether
someone has changed them since.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import psycopg
from psycopg.rows import TupleRow

from contentq.database.definitions import DEFAULT_SCHEMA, definitions, in_schema
from contentq.database.locations import SQL
from contentq.database.revisions import current_revision, head_revision, known_revisions, tables_schema
from contentq.finding import Finding

Connection = psycopg.Connection[TupleRow]

SNAPSHOT = SQL / "schema.sql"

MOST_NAMED = 10
"""Maximum number of definitions named in a finding."""

_TABLE = re.compile(r"^CREATE TABLE (\S+) \(\n(.*?)\n\)", re.DOTALL | re.MULTILINE)
_COLUMN = re.compile(r'(\w+|"[^"]+") (.+?)(?= (?:DEFAULT|NOT NULL|COLLATE|GENERATED)\b|$)')
_CONSTRAINT = re.compile(r"CONSTRAINT (\w+) (.+)")
_ADDED = re.compile(r"^ALTER TABLE ONLY (\S+)\n    ADD CONSTRAINT (\w+) (.+);$", re.MULTILINE)
_INDEX = re.compile(r"^CREATE (?:UNIQUE )?INDEX (\w+) ON (\S+) .+;$", re.MULTILINE)

_COLUMNS = """
    SELECT n.nspname || '.' || c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE n.nspname IN ('contentq', %s)
      AND c.relkind IN ('r', 'p')"""
_CONSTRAINTS = """
    SELECT n.nspname || '.' || c.relname, k.conname
    FROM pg_constraint AS k
    JOIN pg_class AS c ON c.oid = k.conrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('contentq', %s)"""
_INDEXES = """
    SELECT n.nspname || '.' || t.relname, c.relname
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_class AS t ON t.oid = i.indrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('contentq', %s)"""

_WIDER = {"integer": "bigint"}
"""Types to which a column may have been widened, as docs/how-to/widen-ids.md describes for ids."""


@dataclass
class _Table:
    columns: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By name: type and definition."""

    constraints: dict[str, str] = field(default_factory=dict)
    indexes: dict[str, str] = field(default_factory=dict)
    """By name: the CREATE statement."""


def compare_schema(connection: Connection) -> list[Finding]:
    """Returns missing or different objects; empty if the database is not migrated."""
    schema, revision = tables_schema(connection), current_revision(connection)
    if schema is None or revision is None:
        return []
    if revision != head_revision():
        # The next migration creates missing objects.
        return [_of_another_revision(revision)]
    return [*_of_another_version(connection, schema), *_tables(connection, schema)]


def _of_another_revision(revision: str) -> Finding:
    is_newer = revision not in known_revisions()
    return Finding(
        "error",
        "schema_revision",
        "schema",
        f"the database has revision {revision}, but this program needs {head_revision()}",
        "Programs and workers of this version refuse to start.",
        "install the version of contentq that migrated the database, or a later one"
        if is_newer
        else "contentq migrate",
    )


def _of_another_version(connection: Connection, schema: str) -> Iterator[Finding]:
    rows = connection.execute("SELECT kind, name, source FROM contentq.definitions")
    known = {(kind, name): source for kind, name, source in rows}
    wanted = {each.key: each.source for each in definitions(schema)}
    others = sorted(key for key in known.keys() | wanted.keys() if known.get(key) != wanted.get(key))
    if others:
        named = ", ".join(name for _, name in others[:MOST_NAMED])
        yield Finding(
            "warning",
            "other_version",
            "functions, views and triggers",
            f"they are of another version of contentq: {named}{', ...' * (len(others) > MOST_NAMED)}",
            "Workers and programs of this version may call functions that are missing or behave differently.",
            "contentq migrate, with the newest version of contentq that uses this database",
        )


def _tables(connection: Connection, schema: str) -> Iterator[Finding]:
    columns: dict[str, dict[str, str]] = {}
    for table, name, kind in connection.execute(_COLUMNS, [schema]):
        columns.setdefault(table, {})[name] = kind
    constraints = set(connection.execute(_CONSTRAINTS, [schema]).fetchall())
    indexes = set(connection.execute(_INDEXES, [schema]).fetchall())
    rows = connection.execute("SELECT table_name FROM contentq.tables WHERE NOT is_created")
    taken_over = {f"{schema}.{row[0]}" for row in rows}
    for table, wanted in _read_snapshot(schema):
        if table not in columns:
            yield _missing("table_missing", table, "the table is missing", "restore it from a backup", "error")
            continue
        yield from _columns(table, wanted, columns[table], is_ours=table not in taken_over)
        if table in taken_over:
            continue
        for name, definition in wanted.constraints.items():
            if (table, name) not in constraints:
                fix = f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"
                yield _missing("constraint_missing", f"{table}.{name}", "the constraint is missing", fix)
        for name, statement in wanted.indexes.items():
            # contentq.doctor() checks the indexes of the three tables.
            if table.startswith("contentq.") and (table, name) not in indexes:
                fix = statement.replace("INDEX", "INDEX CONCURRENTLY", 1).removesuffix(";")
                yield _missing("index_missing", name, f"{table} has no such index", fix)


def _columns(table: str, wanted: _Table, found: dict[str, str], *, is_ours: bool) -> Iterator[Finding]:
    """Compares the columns of a table; in an adopted table, types may differ, and only missing columns count."""
    for name, (kind, definition) in wanted.columns.items():
        if name not in found:
            fix = f"ALTER TABLE {table} ADD COLUMN {name} {definition}"
            yield _missing("column_missing", f"{table}.{name}", "the column is missing", fix, "error")
        elif is_ours and found[name] not in (kind, _WIDER.get(kind)):
            yield Finding(
                "warning",
                "column_changed",
                f"{table}.{name}",
                f"its type is {found[name]}, but it was created as {kind}",
                "Functions and programs of contentq rely on its type.",
                f"ALTER TABLE {table} ALTER COLUMN {name} TYPE {kind}",
            )


def _missing(finding: str, subject: str, detail: str, fix: str, severity: str = "warning") -> Finding:
    return Finding(severity, finding, subject, detail, "Functions and programs of contentq rely on it.", fix)


def _read_snapshot(schema: str) -> Iterable[tuple[str, _Table]]:
    """Returns the tables of sql/schema.sql by qualified name."""
    text = in_schema(SNAPSHOT.read_text(encoding="utf-8"), schema)
    if schema != DEFAULT_SCHEMA:
        text = text.replace(f'"{schema}".', f"{schema}.")
    tables = {}
    for match in _TABLE.finditer(text):
        table = tables[match[1]] = _Table()
        for line in match[2].splitlines():
            line = line.strip().removesuffix(",")
            if constraint := _CONSTRAINT.fullmatch(line):
                table.constraints[constraint[1]] = constraint[2]
            elif column := _COLUMN.match(line):
                table.columns[column[1].strip('"')] = column[2], line.partition(" ")[2]
    for match in _ADDED.finditer(text):
        tables[match[1]].constraints[match[2]] = match[3]
    for match in _INDEX.finditer(text):
        tables[match[2]].indexes[match[1]] = match[0]
    return tables.items()
