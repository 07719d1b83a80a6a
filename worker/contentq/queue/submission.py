"""Putting tasks into the queue: many at once, in one transaction, or not at all.

The rows are copied into a temporary table first, checked there, and inserted by one statement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from contentq.errors import InputRefused

Connection = psycopg.Connection[TupleRow]

MOST_SHOWN = 10
"""Problems, and duplicates, that are told one by one."""


def _text(most: int | None) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if most is not None and len(text) > most:
            raise ValueError(f"has {len(text)} characters; at most {most} fit")
        return text

    return convert


def _integer(least: int, most: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise ValueError(f"is {text[:40]!r}; it must be a whole number") from None
        if not least <= value <= most:
            raise ValueError(f"is {value}; it must be from {least} to {most}")
        return value

    return convert


def _time(text: str) -> datetime:
    try:
        value = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)
    except ValueError:
        raise ValueError(
            f"is {text[:40]!r}; it must be a time such as 2030-01-31T12:00:00+00:00 (without an offset: UTC)"
        ) from None
    return value if value.tzinfo else value.replace(tzinfo=timezone.utc)


def _boolean(text: str) -> bool:
    known = {"true": True, "t": True, "yes": True, "1": True, "false": False, "f": False, "no": False, "0": False}
    try:
        return known[text.lower()]
    except KeyError:
        raise ValueError(f"is {text[:40]!r}; it must be true or false") from None


LARGEST_INTEGER = 2_147_483_647

_COLUMNS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "task_id": ("varchar", _text(100)),
    "account_id": ("integer", _integer(1, LARGEST_INTEGER)),
    "topic": ("varchar", _text(500)),
    "keywords": ("varchar", _text(500)),
    "category": ("varchar", _text(100)),
    "requirements": ("text", _text(None)),
    "tone": ("varchar", _text(50)),
    "priority": ("integer", _integer(1, 10)),
    "max_retries": ("integer", _integer(0, LARGEST_INTEGER)),
    "submitted_at": ("timestamptz", _time),
    "scheduled_at": ("timestamptz", _time),
    "timeout_at": ("timestamptz", _time),
    "auto_approve": ("boolean", _boolean),
}
"""What a producer may set: PostgreSQL's type, and how text becomes such a value (spec.md section 1)."""

COLUMNS = tuple(_COLUMNS)


@dataclass(frozen=True)
class Record:
    """One task to be, as it was read: where it stands, and its columns as text (None: left out)."""

    line: int
    values: Sequence[str | None]


@dataclass(frozen=True)
class Submission:
    """What became of it: how many tasks were inserted, and which were there already."""

    inserted: int
    duplicates: int
    first_duplicates: list[tuple[int, str]]
    """(line, task_id) of the first few."""


def submit(
    connection: Connection,
    columns: Sequence[str],
    records: Iterator[Record],
    defaults: dict[str, str],
    read: Callable[[int], None] = lambda rows: None,
) -> Submission:
    """Inserts all records in one transaction; those whose task_id exists already are left out and counted.

    columns: names of the records' values. defaults: column values for records that leave them out, as text.
    read: told now and then how many records were read. Raises InputRefused, naming the lines, with nothing
    inserted.
    """
    columns = _checked_columns(columns)
    all_columns = [*columns, *(name for name in defaults if name not in columns)]
    if "account_id" not in all_columns:
        raise InputRefused("no account is named: add a column account_id, or give --account ID")
    _check_defaults(defaults)
    with connection.transaction():
        connection.execute(_create_incoming(all_columns))
        _copy(connection, columns, all_columns, records, defaults, read)
        _refuse(_lines(connection, _UNKNOWN_ACCOUNTS))
        if "timeout_at" in all_columns:
            _refuse(_lines(connection, _PAST_DEADLINES))
        duplicates, first = _duplicates(connection, all_columns)
        inserted = connection.execute(_insert(connection, all_columns)).rowcount
        connection.execute("DROP TABLE incoming")
    return Submission(inserted, duplicates, first)


def submit_one(connection: Connection, values: dict[str, str]) -> str | None:
    """Inserts one task with these columns, as text; returns its task_id, None when that exists already.

    Raises InputRefused.
    """
    columns = _checked_columns(list(values))
    problems: list[str] = []
    row = [_converted(name, values[name], problems) for name in columns]
    if problems:
        raise InputRefused("; ".join(problems))
    with connection.transaction():
        if "timeout_at" in values:
            late = connection.execute("SELECT %s <= clock_timestamp()", [row[columns.index("timeout_at")]])
            if (late.fetchone() or [False])[0]:
                raise InputRefused(f"timeout_at is {values['timeout_at']}, which has passed")
        statement = sql.SQL(
            "INSERT INTO public.content_generation_tasks ({}) VALUES ({}) "
            "ON CONFLICT (task_id) DO NOTHING RETURNING task_id"
        ).format(
            sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join([sql.Placeholder()] * len(row))
        )
        try:
            found = connection.execute(statement, row).fetchone()
        except psycopg.errors.ForeignKeyViolation:
            raise InputRefused(_no_account(values["account_id"])) from None
    return None if found is None else str(found[0])


def _checked_columns(columns: Sequence[str]) -> list[str]:
    for position, name in enumerate(columns):
        if name not in _COLUMNS:
            raise InputRefused(f"there is no column {name!r} for a producer; there are {', '.join(COLUMNS)}")
        if name in columns[:position]:
            raise InputRefused(f"the column {name!r} is named twice")
    return list(columns)


def _check_defaults(defaults: dict[str, str]) -> None:
    problems: list[str] = []
    for name, text in defaults.items():
        _converted(name, text, problems)
    if problems:
        raise InputRefused("; ".join(problems))


def _converted(name: str, text: str | None, problems: list[str]) -> Any:
    if text is None:
        return None
    try:
        return _COLUMNS[name][1](text)
    except ValueError as error:
        problems.append(f"{name} {error}")
        return None


def _copy(
    connection: Connection,
    columns: Sequence[str],
    all_columns: Sequence[str],
    records: Iterator[Record],
    defaults: dict[str, str],
    read: Callable[[int], None],
) -> None:
    """Reads, converts and copies every record; after the first few problems it gives up."""
    converters = [_COLUMNS[name][1] for name in columns]
    given: list[str | None] = [defaults.get(name) for name in columns]
    constant = [_COLUMNS[name][1](defaults[name]) for name in all_columns[len(columns) :]]
    problems: list[tuple[int, str]] = []
    count = 0
    with connection.cursor().copy("COPY incoming FROM STDIN") as copy:
        for record in records:
            row: list[Any] = [record.line]
            try:
                for convert, text, default in zip(converters, record.values, given, strict=True):
                    value = default if text is None else text
                    row.append(None if value is None else convert(value))
            except ValueError as error:
                problems.append((record.line, f"{columns[len(row) - 1]} {error}"))
                if len(problems) >= MOST_SHOWN:
                    break
                continue
            row += constant
            copy.write_row(row)
            count += 1
            if count % 1000 == 0:
                read(count)
        if problems:
            _refuse(problems)
    read(count)
    if count == 0:
        raise InputRefused("there is no task in it")


def _create_incoming(columns: Sequence[str]) -> sql.Composed:
    definitions = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(_COLUMNS[name][0])) for name in columns]
    return sql.SQL("CREATE TEMPORARY TABLE incoming (line integer, {}) ON COMMIT DROP").format(
        sql.SQL(", ").join(definitions)
    )


_UNKNOWN_ACCOUNTS = """
    SELECT i.line, i.account_id
    FROM incoming AS i
    WHERE NOT EXISTS (SELECT FROM public.accounts AS a WHERE a.id = i.account_id)
    ORDER BY i.line
    LIMIT 10"""

_PAST_DEADLINES = """
    SELECT i.line, i.timeout_at
    FROM incoming AS i
    WHERE i.timeout_at <= clock_timestamp()
    ORDER BY i.line
    LIMIT 10"""

_DUPLICATES = """
    SELECT i.line, i.task_id, count(*) OVER ()
    FROM (SELECT line, task_id, row_number() OVER (PARTITION BY task_id ORDER BY line) AS n FROM incoming) AS i
    WHERE i.task_id IS NOT NULL
      AND (i.n > 1 OR EXISTS (SELECT FROM public.content_generation_tasks AS t WHERE t.task_id = i.task_id))
    ORDER BY i.line
    LIMIT 10"""

_DEFAULTS = """
    SELECT a.attname, pg_get_expr(d.adbin, d.adrelid)
    FROM pg_attribute AS a
    JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = 'public.content_generation_tasks'::regclass"""


def _lines(connection: Connection, query: str) -> list[tuple[int, str]]:
    if query is _UNKNOWN_ACCOUNTS:
        return [(line, _no_account(id_)) for line, id_ in connection.execute(query).fetchall()]
    return [
        (line, f"timeout_at is {at.isoformat()}, which has passed")
        for line, at in connection.execute(query).fetchall()
    ]


def _no_account(id_: object) -> str:
    if id_ is None:
        return "no account is named: fill account_id, or give --account ID"
    return f"there is no account {id_}; add it with: INSERT INTO accounts (name) VALUES ('…') RETURNING id"


def _duplicates(connection: Connection, columns: Sequence[str]) -> tuple[int, list[tuple[int, str]]]:
    if "task_id" not in columns:
        return 0, []
    rows = connection.execute(_DUPLICATES).fetchall()
    return (rows[0][2] if rows else 0), [(line, task_id) for line, task_id, _ in rows]


def _insert(connection: Connection, columns: Sequence[str]) -> sql.Composed:
    """Inserts in the order of the lines; a value that is left out becomes the table's own default."""
    defaults: dict[str, Any] = dict(connection.execute(_DEFAULTS).fetchall())
    values = [
        sql.SQL("coalesce(i.{}, {})").format(sql.Identifier(name), sql.SQL(defaults[name]))
        if name in defaults
        else sql.SQL("i.{}").format(sql.Identifier(name))
        for name in columns
    ]
    return sql.SQL(
        "INSERT INTO public.content_generation_tasks ({}) SELECT {} FROM incoming AS i ORDER BY i.line "
        "ON CONFLICT (task_id) DO NOTHING"
    ).format(sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join(values))


def _refuse(problems: list[tuple[int, str]]) -> None:
    if problems:
        told = "\n".join(f"  line {line}: {problem}" for line, problem in problems[:MOST_SHOWN])
        raise InputRefused(f"nothing was inserted; correct this and submit again:\n{told}")
