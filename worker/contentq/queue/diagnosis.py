"""Looking for what is wrong with the queue, or soon will be: what SQL finds, and what only a client can see.

The SQL function contentq.doctor() knows the database from within. From without, one sees a pooler on the way to
it, how far the clock here is from its own, and whether its schema is that of this program.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

import psycopg

from contentq.database.connect import leads_to_the_server
from contentq.database.drift import compare_schema
from contentq.finding import SEVERITIES, Finding
from contentq.queue.reading import Connection, read_rows, read_value

CLOCK_TOLERANCE = 5.0
"""Seconds that the clock here may differ from the one of the database."""

STATEMENT_TIMEOUT = "30s"
"""What the SQL function may take at most. It takes less than a second unless the server is overloaded."""

_SHARING_LOOKS = 5
"""How often two clients of a pooler are compared: another client may come in between."""

_DOCTOR = """
    SELECT severity, finding, subject, detail, why, mend
    FROM contentq.doctor(%s)"""
_HAS_DOCTOR = "SELECT pg_catalog.to_regprocedure('contentq.doctor(interval)') IS NOT NULL"
_PID = "SELECT pg_catalog.pg_backend_pid()"
_TIME = "SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8"


def examine(
    connection: Connection,
    patience: timedelta,
    open_another: Callable[[], Connection],
    has_listen_dsn: bool = False,
) -> list[Finding]:
    """All that is found, the worst first.

    connection: in autocommit mode. patience: how long a transaction may be open. open_another: connects once more,
    in the same way. has_listen_dsn: whether workers are given a way past the pooler.
    """
    found = [*compare_schema(connection), *_compare_clocks(connection)]
    if not has_listen_dsn:
        found += _look_for_pooler(connection, open_another)
    if read_value(connection, _HAS_DOCTOR):
        found += _ask_the_database(connection, patience)
    return in_order(found)


def in_order(found: Iterable[Finding]) -> list[Finding]:
    """The worst first."""
    return sorted(found, key=lambda each: SEVERITIES.index(each.severity))


def ask_the_database(connection: Connection, patience: timedelta) -> list[Finding]:
    """What the SQL function finds, the worst first; in whatever transaction the connection is."""
    return in_order(Finding(**row) for row in read_rows(connection, _DOCTOR, [patience]))


def _ask_the_database(connection: Connection, patience: timedelta) -> list[Finding]:
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    connection.read_only = True
    with connection.transaction():
        connection.execute(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'".encode())
        return ask_the_database(connection, patience)


def _compare_clocks(connection: Connection) -> Iterator[Finding]:
    began = time.time()
    theirs = read_value(connection, _TIME)
    ended = time.time()
    ahead, behind = began - theirs, theirs - ended
    if max(ahead, behind) > CLOCK_TOLERANCE:
        where = f"{ahead:.0f} seconds ahead of" if ahead > behind else f"{behind:.0f} seconds behind"
        yield Finding(
            "advice",
            "clock_differs",
            "this machine",
            f"its clock is {where} the one of the database",
            "The queue goes by the clock of the database; times that are computed here (deadlines, delays), and "
            "those of logs, do not fit it.",
            "let the clocks of both machines be kept by NTP",
        )


def _look_for_pooler(connection: Connection, open_another: Callable[[], Connection]) -> Iterator[Finding]:
    """Two clients that get the same session after each other, while both are connected, share it."""
    if leads_to_the_server(connection):
        return
    with open_another() as other:
        is_shared = any(read_value(connection, _PID) == read_value(other, _PID) for _ in range(_SHARING_LOOKS))
    if is_shared:
        yield Finding(
            "advice",
            "pooler",
            "connection",
            "it leads through a pooler whose clients share sessions (transaction mode)",
            "A worker on it hears of no new task, and looks for them now and then instead.",
            "contentq worker --listen-dsn DSN (or CONTENTQ_LISTEN_DSN), where DSN leads to the server itself",
        )
