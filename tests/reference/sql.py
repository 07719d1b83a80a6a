"""docs/reference/sql.md: tables, views and functions of a migrated database, from their COMMENTs."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tests.docs.markdown import ROOT
from tests.reference.page import TO_WRITE, code, prose, table, with_names, wrapped
from tests.support.databases import Connection

INTERNAL_TABLES = {
    "alembic_version",
    "awaited",
    "budget_events",
    "cap_locks",
    "claimers",
    "definitions",
    "durations",
    "gate_counts",
    "gate_events",
    "maintenance",
    "needed_indexes",
    "silent_commits",
    "wakeups",
}
"""Tables that only contentq's own functions read; they may change with any release."""

OF_TABLES = {"accounts": "accounts", "contents": "contents", "tasks": "content_generation_tasks"}
"""The views that show a table unchanged."""

SETTINGS = "settings"
"""The table with a separate page."""

PRODUCER, WORKER, OPERATOR = "contentq_producer", "contentq_worker", "contentq_operator"
READER, REVIEWER = "contentq_reader", "contentq_reviewer"

AUDIENCES = {
    "Functions for workers": [{WORKER}, {WORKER, OPERATOR, READER}],
    "Functions for workers and operators": [{WORKER, OPERATOR}],
    "Functions for operators": [{OPERATOR}],
    "Functions for operators and readers": [{OPERATOR, READER}],
    "Functions for reviewers": [{REVIEWER}, {OPERATOR, READER, REVIEWER}],
    "Functions for every role": [
        {PRODUCER, OPERATOR, READER, REVIEWER},
        {PRODUCER, WORKER, OPERATOR, READER, REVIEWER},
    ],
    "Functions for the owner": [set[str]()],
}
"""The roles that may call the functions of each section."""

_FIRST = ("accounts", "contents", "content_generation_tasks", "gates", "budgets", "usage", "workers")
_LONG = 100

_RELATIONS = """
    SELECT c.oid::integer, n.nspname, c.relname, obj_description(c.oid, 'pg_class')
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind = %s
      AND n.nspname IN ('public', 'contentq')
    ORDER BY n.nspname DESC, c.relname"""

_COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attidentity <> '',
           a.attnotnull, col_description(a.attrelid, a.attnum)
    FROM pg_attribute AS a
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = %s
      AND a.attnum > 0
      AND NOT a.attisdropped
    ORDER BY a.attnum"""

_FUNCTIONS = """
    SELECT p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
           obj_description(p.oid, 'pg_proc')
    FROM pg_proc AS p
    WHERE p.pronamespace = 'contentq'::regnamespace
      AND obj_description(p.oid, 'pg_proc') !~ '^(Internal|Trigger):'
    ORDER BY p.proname"""


def tables(database: Connection) -> str:
    """The tables for others to read, with their columns."""
    found = {
        name: (oid, name if schema == "public" else f"contentq.{name}", comment)
        for oid, schema, name, comment in database.execute(_RELATIONS, ["r"]).fetchall()
        if name not in INTERNAL_TABLES and name != SETTINGS
    }
    return "\n".join(
        part
        for name in [*_FIRST, *sorted(found.keys() - set(_FIRST))]
        for part in (f"### {found[name][1]}\n", wrapped(prose(found[name][2])), _columns(database, found[name][0]))
    )


def views(database: Connection) -> str:
    """The views, with their columns."""
    parts = []
    for oid, _, name, comment in database.execute(_RELATIONS, ["v"]).fetchall():
        parts += [f"### contentq.{name}\n", wrapped(prose(comment))]
        if name in OF_TABLES:
            parts.append(f"Columns: those of [{OF_TABLES[name]}](#{OF_TABLES[name]}).\n")
            continue
        columns = [
            f"`{column}` {_type(kind)}" for column, kind, *_ in database.execute(_COLUMNS, [oid]).fetchall()
        ]
        parts.append(wrapped(f"Columns: {', '.join(columns)}."))
    return "\n".join(parts)


def functions(database: Connection) -> str:
    """The functions that are not internal, by the roles that may call them."""
    roles, order = _grants()
    by_audience: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, arguments, result, comment in database.execute(_FUNCTIONS).fetchall():
        audience = next(title for title, sets in AUDIENCES.items() if roles[name] in sets)
        by_audience[audience].append((name, _function(name, arguments, result, comment, roles[name])))
    return "\n".join(
        part
        for audience in AUDIENCES
        if audience in by_audience
        for part in (
            f"## {audience}\n",
            *(text for _, text in sorted(by_audience[audience], key=lambda each: order.get(each[0], 0))),
        )
    )


def settings(database: Connection, by_hand: Mapping[str, str]) -> str:
    """The settings, with the handwritten notes on each."""
    oid = next(oid for oid, _, name, _ in database.execute(_RELATIONS, ["r"]).fetchall() if name == SETTINGS)
    rows = [
        [
            code(name),
            _type(kind),
            _default(default, False) or "NULL",
            prose(comment),
            by_hand.get(code(name), TO_WRITE),
        ]
        for name, kind, default, _, _, comment in database.execute(_COLUMNS, [oid]).fetchall()
        if name != "only_row"
    ]
    return table(["setting", "type", "default", "what it does", "range, and more about it"], rows)


def _columns(database: Connection, oid: int) -> str:
    rows = [
        [
            code(name),
            _type(kind),
            _default(default, identity) or ("" if required else "NULL"),
            prose(comment or ""),
        ]
        for name, kind, default, identity, required, comment in database.execute(_COLUMNS, [oid]).fetchall()
    ]
    return table(["column", "type", "default", "what it is"], rows)


def _function(name: str, arguments: str, result: str, comment: str, roles: set[str]) -> str:
    parts = [_without_casts(each) for each in re.split(r", (?=\w+ \w|OUT )", arguments)] if arguments else []
    names = [each.removeprefix("OUT ").split()[0] for each in parts]
    returns = f"→ {_type(result)}"
    signature = [f"{name}({', '.join(parts)})", f"    {returns}"]
    if len(signature[0]) + len(returns) < _LONG:
        signature = [f"{signature[0]} {returns}"]
    elif len(signature[0]) > _LONG:
        signature = [f"{name}(", *(f"    {each}," for each in parts[:-1]), f"    {parts[-1]}", f") {returns}"]
    parts = [
        f"### {name}\n",
        "\n".join(f"    {line}" for line in signature) + "\n",
        wrapped(prose(with_names(comment, names))),
    ]
    if roles:
        parts.append(wrapped(f"Roles: {', '.join(code(role) for role in sorted(roles))}."))
    return "\n".join(parts)


def _grants() -> tuple[defaultdict[str, set[str]], dict[str, int]]:
    """From sql/roles.sql: the roles that may call a function, and the order of the functions in that file."""
    text = (ROOT / "sql/roles.sql").read_text(encoding="utf-8")
    listed = re.search(r"functions constant jsonb := '(\{.+?\})'", text, re.DOTALL)
    assert listed is not None
    granted: Mapping[str, Sequence[str]] = json.loads(listed[1])
    roles: defaultdict[str, set[str]] = defaultdict(set)
    order: dict[str, int] = {}
    for role, function in _pairs(granted):
        roles[function] |= set(role.split(", "))
        order.setdefault(function, len(order))
    return roles, order


def _pairs(granted: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    return ((roles, function) for roles, functions in granted.items() for function in functions)


def _type(name: str) -> str:
    return (
        name.replace("public.", "")
        .replace("timestamp with time zone", "timestamptz")
        .replace("character varying", "varchar")
        .replace("double precision", "float8")
    )


def _default(expression: str | None, identity: bool) -> str:
    if identity:
        return "next id"
    if expression and "|" in expression:  # which would end a table cell
        return "generated"
    return code(_without_casts(expression)) if expression else ""


def _without_casts(text: str) -> str:
    return _type(re.sub(r"::[a-z ]+(\[\])?", "", text))
