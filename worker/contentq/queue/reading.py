"""Reads rows, independent of the DateStyle and IntervalStyle of the database.

psycopg reads times in text form only in PostgreSQL's ISO style. Changing the setting of the session would not
help, because clients of a pooler in transaction mode share sessions. These queries get binary results, which no
setting changes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import RowFactory, TupleRow, dict_row, tuple_row
from psycopg.types.datetime import TimestamptzBinaryLoader
from psycopg.types.numeric import Float4BinaryLoader

Connection = psycopg.Connection[TupleRow]

Values = Sequence[Any] | Mapping[str, Any] | None

Statement = str | sql.Composed

INFINITY = "infinity"

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""Day 0 of PostgreSQL's binary times: https://www.postgresql.org/docs/current/datatype-datetime.html"""

_PERIOD = timedelta(days=146_097) // timedelta(microseconds=1)
"""Microseconds of 400 years, after which the calendar repeats."""


def read_rows(connection: Connection, query: Statement, values: Values = None) -> list[dict[str, Any]]:
    """Returns all rows of a query as dictionaries."""
    return _execute(connection, dict_row, query, values).fetchall()


def read_row(connection: Connection, query: Statement, values: Values = None) -> dict[str, Any] | None:
    """Returns the first row of a query; None if there is none."""
    return _execute(connection, dict_row, query, values).fetchone()


def read_value(connection: Connection, query: Statement, values: Values = None) -> Any:
    """Returns the first column of the first row; None if there is none."""
    row = _execute(connection, tuple_row, query, values).fetchone()
    return None if row is None else row[0]


def read_values(connection: Connection, query: Statement, values: Values = None) -> list[Any]:
    """Returns the first column of every row."""
    return [row[0] for row in _execute(connection, tuple_row, query, values).fetchall()]


def _execute(
    connection: Connection, row_factory: RowFactory[Any], query: Statement, values: Values
) -> psycopg.Cursor[Any]:
    cursor = connection.cursor(binary=True, row_factory=row_factory)
    cursor.adapters.register_loader("timestamptz", TimeLoader)
    cursor.adapters.register_loader("float4", RealLoader)
    return cursor.execute(query.encode() if isinstance(query, str) else query, values)


class TimeLoader(TimestamptzBinaryLoader):
    """Loads times; those that Python cannot represent, such as infinity, become text."""

    def load(self, data: Any) -> Any:
        """Loads a value that PostgreSQL sent."""
        try:
            return super().load(data)
        except psycopg.DataError:
            return _far_time(struct.unpack("!q", data)[0])


class RealLoader(Float4BinaryLoader):
    """Loads single-precision numbers as their shortest decimal fraction: 0.1, not 0.10000000149."""

    def load(self, data: Any) -> Any:
        """Loads a value that PostgreSQL sent; None for NaN and infinity, which JSON does not have."""
        number: float = super().load(data)
        if not math.isfinite(number):
            return None
        for digits in range(6, 9):
            shorter = float(f"{number:.{digits}g}")
            if struct.pack("!f", shorter) == bytes(data):
                return shorter
        return number


def _far_time(microseconds: int) -> str:
    """Formats a time before year 1 or after year 9999 as PostgreSQL does."""
    if microseconds in (2**63 - 1, -(2**63)):
        return INFINITY if microseconds > 0 else f"-{INFINITY}"
    periods, rest = divmod(microseconds, _PERIOD)
    within = _EPOCH + timedelta(microseconds=rest)
    year = within.year + 400 * periods
    shown = f"{year if year > 0 else 1 - year:04}-{within:%m-%d %H:%M:%S}+00"
    return shown if year > 0 else f"{shown} BC"
