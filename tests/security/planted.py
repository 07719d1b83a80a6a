"""Objects planted in schemas in which everyone may create. They match better, or are found earlier, than
PostgreSQL's own.

Each records the role that has run it.
"""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

from contentq.database.locations import SQL
from psycopg import sql

from tests.support.queue import Queue

RAN = "SELECT what FROM planted.ran WHERE who <> %s GROUP BY what ORDER BY what"

_TYPES = [
    "text",
    "varchar",
    "name",
    "integer",
    "bigint",
    "numeric",
    "boolean",
    "timestamptz",
    "interval",
    "jsonb",
    "oid",
    "regclass",
]
_ARGUMENTS = [
    [],
    *([each] for each in (*_TYPES, "json", "text[]", "bigint[]", "integer[]", "name[]", "xid", "float8")),
    *map(list, product(("text", "varchar", "name", "jsonb"), ("text", "varchar", "integer"))),
    *map(list, product(("integer", "bigint", "oid"), ("integer", "bigint"))),
    ["timestamptz", "text"],
    ["text", "timestamptz"],
]
"""Types of functions; operators take any two of them."""
_OPERATORS = ["=", "<>", "<", "<=", ">", ">=", "||", "->", "->>", "+", "-", "*", "/", "~", "~~", "%"]
_RESULTS = {"||": "text", "->": "jsonb", "->>": "text", "+": "timestamptz", "-": "interval", "*": "interval"}

_NOTE = """
    CREATE FUNCTION {schema}.{name}({arguments}) RETURNS {result} LANGUAGE plpgsql SET search_path = pg_catalog AS
    $note$ BEGIN INSERT INTO planted.ran VALUES (current_user, {what}); RETURN NULL; END $note$"""
"""It fails in a read-only transaction, which also shows that it ran."""

_VIEWS = [
    "alembic_version",
    "tasks",
    "workers",
    "settings",
    "gates",
    "pg_class",
    "pg_namespace",
    "pg_proc",
    "pg_attribute",
    "pg_roles",
    "pg_stat_activity",
    "pg_locks",
    "pg_database",
    "pg_type",
    "pg_index",
    "pg_constraint",
    "pg_trigger",
]
"""Names of relations of PostgreSQL and contentq."""

_DOMAINS = ("text", "regclass", "jsonb", "json", "timestamptz", "oid", "xid", "xid8", "regnamespace", "name")


def plant(queue: Queue, role: str, schema: str) -> None:
    """Has a role create all of them in a schema in which it may. The session is a superuser's again afterwards."""
    names = _names_of_functions(queue)
    queue.run(f"SET ROLE {role}")
    queue.run("SET search_path = pg_catalog")
    queue.run("SET check_function_bodies = off")
    for name, arguments in product(names, _ARGUMENTS):
        _create(queue, schema, name, arguments, "text")
    for number, (left, right) in enumerate(product(_TYPES, _TYPES)):
        for operator in _OPERATORS:
            result = _RESULTS.get(operator, "boolean")
            function = f"planted_{number}_{_OPERATORS.index(operator)}"
            _create(queue, schema, function, [left, right], result, what=f"{left} {operator} {right}")
            queue.run(
                f'CREATE OPERATOR "{schema}".{operator} '
                f'(LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = "{schema}".{function})'.replace("%", "%%")
            )
    _create(queue, schema, "planted_row", [], "text", what="a view")
    for name in _VIEWS:
        queue.run(
            f'CREATE VIEW "{schema}".{name} AS SELECT "{schema}".planted_row() AS version_num, 1 AS oid, 1 AS id'
        )
    for name in _DOMAINS:
        _create(queue, schema, f"planted_{name}", [name], "boolean", what=f"type {name}")
        check = f'"{schema}".planted_{name}(VALUE) IS NULL'
        queue.run(f'CREATE DOMAIN "{schema}".{name} AS pg_catalog.{name} CHECK ({check})')
    queue.run("RESET ROLE")
    queue.run("RESET search_path")


def _names_of_functions(queue: Queue) -> list[str]:
    """PostgreSQL functions that contentq calls somewhere."""
    texts = [
        file.read_text() for file in [*SQL.rglob("*.sql"), *Path(SQL).parent.rglob("worker/contentq/**/*.py")]
    ]
    called = {name for text in texts for name in re.findall(r"\b([a-z_0-9]+)\(", text)}
    return queue.values(
        "SELECT DISTINCT proname::text FROM pg_catalog.pg_proc WHERE proname = ANY (%s)", [*called]
    )


def _create(
    queue: Queue, schema: str, name: str, arguments: list[str], result: str, what: str | None = None
) -> None:
    statement = sql.SQL(_NOTE).format(
        schema=sql.Identifier(schema),
        name=sql.Identifier(name),
        arguments=sql.SQL(", ").join(map(sql.SQL, arguments)),
        result=sql.SQL(result),
        what=sql.Literal(what or f"{name}({', '.join(arguments)})"),
    )
    queue.connection.execute(statement)
