"""Inserts tasks in one transaction: all or none.

Rows are processed in batches: each is copied into a temporary table with the types of the queue's columns, checked
there by one query, and inserted by one statement. That is about as quick as COPY, needs memory for two batches,
and still knows the line of a refused value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any, TypeAlias

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from contentq.errors import InputRefused
from contentq.queue.accounts import no_account
from contentq.queue.columns import BEGINS_WITH_A_YEAR, NAMES, PROBLEM, TIMES
from contentq.task import LARGEST_ID, SETTABLE, Column

Connection = psycopg.Connection[TupleRow]

Row = list[Any]
"""The values of a task as text, in the order of its columns ("" for a missing one), and its line number."""

Default: TypeAlias = str | timedelta
"""The value of a column in rows that leave it out: text, or a duration from now."""

BATCH = 5_000
"""Rows that are copied, checked and inserted together."""

MOST_SHOWN = 10
"""Maximum number of problems and duplicates that are reported one by one."""


@dataclass
class Submitted:
    """The result: the number of tasks inserted, and of tasks that already existed."""

    inserted: int = 0
    duplicates: int = 0
    first_duplicates: list[tuple[int, str]] = field(default_factory=list)
    """(line, task_id) of the first ones."""


def submit(
    connection: Connection,
    columns: Sequence[str],
    rows: Iterable[Row],
    defaults: Mapping[str, Default],
    inserted: Callable[[int], None] = lambda _number: None,
) -> Submitted:
    """Inserts the rows in one transaction; skips and counts those whose task_id already exists.

    columns: the names of the rows' values. inserted: called after each batch with the number of rows done.
    Raises InputRefused, which names the lines; then nothing is inserted.
    """
    _check(columns, defaults)
    done = Submitted()

    def finish(batch: list[Row], taking: Future[list[tuple[int, str]]]) -> None:
        duplicates = taking.result()
        done.inserted += len(batch) - len(duplicates)
        done.duplicates += len(duplicates)
        done.first_duplicates += duplicates[: MOST_SHOWN - len(done.first_duplicates)]
        inserted(done.inserted + done.duplicates)

    # The next batch is read while the database processes this one.
    with _all_or_nothing(connection), ThreadPoolExecutor(1) as pool:
        intake = _Intake(connection, columns, defaults)
        under_way: tuple[list[Row], Future[list[tuple[int, str]]]] | None = None
        for batch in _batches(rows):
            if under_way is not None:
                finish(*under_way)
            under_way = batch, pool.submit(intake.take, batch)
        if under_way is not None:
            finish(*under_way)
        if done.inserted + done.duplicates == 0:
            raise InputRefused("the input contains no task")
    return done


def submit_one(connection: Connection, values: Mapping[str, Default]) -> str | None:
    """Inserts one task with these columns; returns its task_id, or None if that already exists.

    Raises InputRefused.
    """
    _check((), values)
    with _all_or_nothing(connection):
        return _Intake(connection, (), values).take_one()


@contextmanager
def _all_or_nothing(connection: Connection) -> Iterator[None]:
    try:
        with connection.transaction():
            yield
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        # A rule of this database that the checks here do not know.
        parts = [error.diag.message_primary, error.diag.message_detail]
        raise InputRefused(f"the database refused a task: {'; '.join(filter(None, parts))}") from None


def _check(columns: Sequence[str], defaults: Mapping[str, Default]) -> None:
    if "account_id" not in columns and "account_id" not in defaults:
        raise InputRefused("no account given: add a column account_id, or use --account")
    for name, value in defaults.items():
        if isinstance(value, timedelta):
            continue
        problem = PROBLEM[name](value)
        if problem:
            raise InputRefused(f"{name} {problem}")
        if not value.isprintable() and any("\ud800" <= character <= "\udfff" for character in value):
            raise InputRefused(f"{name} is not UTF-8; check the value and the encoding of the locale")


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, BATCH)):
        yield batch


class _Intake:
    """Inserts batches of rows, within the caller's transaction."""

    def __init__(self, connection: Connection, columns: Sequence[str], defaults: Mapping[str, Default]) -> None:
        self._connection = connection
        self._columns = columns
        self._all_have_ids = "task_id" in defaults
        self._times = [place for place, name in enumerate(columns) if name in TIMES]
        # Times without an offset then mean the same everywhere, and 01/02/2030 is refused.
        connection.execute("SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'")
        names = _names(NAMES)
        connection.execute(_CREATE_INCOMING)
        self._copy = sql.SQL("COPY pg_temp.incoming ({}) FROM STDIN (NULL '')").format(_names([*columns, "line"]))
        self._problems = sql.SQL(_PROBLEMS).format(
            self._select_resolved(_CHECKED, defaults), no_account(connection).format("%s"), MOST_SHOWN
        )
        self._insert = sql.SQL(_INSERT).format(names=names, resolved=self._select_resolved(NAMES, defaults))
        self._insert_new = sql.SQL(_INSERT_NEW).format(insert=self._insert)

    def take(self, batch: list[Row]) -> list[tuple[int, str]]:
        """Inserts a batch; returns (line, task_id) of tasks that already existed. Raises InputRefused."""
        undated = self._find_undated(batch)
        if undated:
            raise _refusal(undated)
        try:
            with self._connection.cursor().copy(self._copy) as copy:
                for row in batch:
                    copy.write_row(row)
        except psycopg.DataError as error:
            raise _refusal(self._explain(batch, error)) from None
        self._refuse_problems(lines=True)
        duplicates: list[tuple[int, str]] = []
        if self._has_ids(batch):
            duplicates = [(line, task_id) for line, task_id in self._connection.execute(self._insert_new)]
        else:
            self._connection.execute(self._insert)
        self._connection.execute("TRUNCATE pg_temp.incoming")
        return duplicates

    def take_one(self) -> str | None:
        """Inserts a task from the defaults alone; returns its task_id, or None if it already existed."""
        self._connection.execute("INSERT INTO pg_temp.incoming (line) VALUES (1)")
        self._refuse_problems(lines=False)
        found = self._connection.execute(
            self._insert + sql.SQL(" ON CONFLICT (task_id) DO NOTHING RETURNING task_id")
        ).fetchone()
        return None if found is None else str(found[0])

    def _select_resolved(self, columns: Sequence[str], defaults: Mapping[str, Default]) -> sql.Composed:
        """Selects the values to insert: of the row, else of the option, else the table's default."""
        of_table: dict[str, str] = dict(self._connection.execute(_DEFAULTS).fetchall())
        given = {name: _expression(default) for name, default in defaults.items()}
        values = [
            sql.SQL("coalesce({name}, {default}) AS {name}").format(
                name=sql.Identifier(name), default=given.get(name, _from_catalog(of_table.get(name, "NULL")))
            )
            for name in columns
        ]
        return sql.SQL("SELECT line, {} FROM pg_temp.incoming").format(sql.SQL(", ").join(values))

    def _refuse_problems(self, lines: bool) -> None:
        problems = self._connection.execute(self._problems).fetchall()
        if problems and lines:
            raise _refusal([f"line {line}: {problem}" for line, problem in problems])
        if problems:
            raise InputRefused(problems[0][1])

    def _has_ids(self, batch: list[Row]) -> bool:
        if self._all_have_ids or "task_id" not in self._columns:
            return self._all_have_ids
        place = self._columns.index("task_id")
        return any(row[place] for row in batch)

    def _find_undated(self, batch: list[Row]) -> list[str]:
        """Reports relative or special times, which PostgreSQL would accept: tomorrow, 12:00 today, infinity."""
        problems = (
            f"line {row[-1]}: {self._columns[place]} {PROBLEM[self._columns[place]](row[place])}"
            for row in batch
            for place in self._times
            if row[place] and not BEGINS_WITH_A_YEAR(row[place])
        )
        return list(islice(problems, MOST_SHOWN))

    def _explain(self, batch: list[Row], error: psycopg.DataError) -> list[str]:
        """Describes the problems of the first rows of a batch that PostgreSQL refused to copy."""
        problems: list[str] = []
        for row in batch:
            for name, value in zip(self._columns, row, strict=False):
                problem = PROBLEM[name](value) if value else None
                if problem:
                    problems.append(f"line {row[-1]}: {name} {problem}")
        if not problems:
            problems = [f"line {_refused_row(batch, error)[-1]}: {error.diag.message_primary}"]
        return problems[:MOST_SHOWN]


def _refused_row(batch: list[Row], error: psycopg.DataError) -> Row:
    """The row at which COPY stopped: the first number in the context of the error, in any language."""
    number = re.search(r"\d+", error.diag.context or "")
    return batch[int(number[0]) - 1 if number else 0]


def _refusal(problems: Sequence[str]) -> InputRefused:
    return InputRefused(problems[0] if len(problems) == 1 else "\n  ".join(["the first problems are", *problems]))


def _expression(default: Default) -> sql.Composable:
    if isinstance(default, timedelta):
        return sql.SQL("clock_timestamp() + {}").format(sql.Literal(default))
    return sql.Literal(default)


def _names(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _from_catalog(expression: str) -> sql.SQL:
    """Wraps an expression from PostgreSQL's catalog."""
    return sql.SQL(expression)


def _incoming(column: Column) -> str:
    """A column of the temporary table: as in the queue, but wide enough for any id."""
    is_id = column.most == LARGEST_ID
    return f"{column.name}::bigint AS {column.name}" if is_id else column.name


_CREATE_INCOMING = f"""
    CREATE TEMPORARY TABLE incoming ON COMMIT DROP AS
    SELECT 0 AS line, {", ".join(_incoming(column) for column in SETTABLE)}
    FROM contentq.tasks
    WITH NO DATA"""

_DEFAULTS = """
    SELECT a.attname, pg_get_expr(d.adbin, d.adrelid)
    FROM pg_attribute AS a
    JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    JOIN contentq.tables AS t ON t.table_name = 'content_generation_tasks'
    WHERE a.attrelid = format('%I.%I', t.schema_name, t.table_name)::regclass"""

_CHECKED = ("account_id", "priority", "max_retries", "scheduled_at", "timeout_at")

_PROBLEMS = """
    SELECT r.line, p.problem
    FROM ({}) AS r
    LEFT JOIN contentq.accounts AS a ON a.id = r.account_id
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN r.account_id IS NULL THEN
                'account_id is empty; fill it in, or use --account'
            WHEN a.id IS NULL THEN
                format({}, r.account_id)
            WHEN r.priority NOT BETWEEN 1 AND 10 THEN
                format('priority is %s; it must be a whole number from 1 to 10', r.priority)
            WHEN r.max_retries < 0 THEN
                format('max_retries is %s; it must be a whole number of 0 or more', r.max_retries)
            WHEN r.timeout_at <= clock_timestamp() THEN
                format('timeout_at is %s, which is in the past; the database''s clock shows %s',
                       r.timeout_at, date_trunc('second', clock_timestamp()))
            WHEN r.timeout_at <= r.scheduled_at THEN
                format('it is scheduled for %s, but its deadline timeout_at is %s; it could never run',
                       r.scheduled_at, r.timeout_at)
        END AS problem
    ) AS p
    WHERE p.problem IS NOT NULL
    ORDER BY r.line
    LIMIT {}"""

_INSERT = """
    INSERT INTO contentq.tasks ({names})
    SELECT {names} FROM ({resolved}) AS r ORDER BY r.line"""

_INSERT_NEW = """
    WITH added AS ({insert} ON CONFLICT (task_id) DO NOTHING RETURNING task_id)
    SELECT i.line, i.task_id
    FROM (SELECT line, task_id, row_number() OVER (PARTITION BY task_id ORDER BY line) AS n
          FROM pg_temp.incoming
          WHERE task_id IS NOT NULL) AS i
    WHERE i.n > 1 OR NOT EXISTS (SELECT FROM added AS a WHERE a.task_id = i.task_id)
    ORDER BY i.line"""
"""Inserts rows; returns those that already existed. Of equal task_ids in a batch, the first is the new one."""
