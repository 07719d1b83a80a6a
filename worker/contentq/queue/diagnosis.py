"""Finds problems of the queue: those that SQL can detect, and those that only a client can see.

The SQL function contentq.doctor() sees the database from inside. Only a client sees a pooler in between, the
difference of the clocks, and whether the schema matches this program.
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
"""Seconds that this machine's clock may differ from the database's."""

STATEMENT_TIMEOUT = "30s"
"""Limit of the SQL function, which takes less than a second unless the server is overloaded."""

_SHARING_LOOKS = 5
"""How often two clients of a pooler are compared, because another client may get the session in between."""

_DOCTOR = """
    SELECT severity, finding, subject, detail, why, fix
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
    """Returns all findings, worst first.

    connection: in autocommit mode. patience: how long a transaction may be open. open_another: opens a second
    connection to the same database. has_listen_dsn: whether workers have a DSN that bypasses the pooler.
    """
    found = [*compare_schema(connection), *_compare_clocks(connection)]
    if not has_listen_dsn:
        found += _look_for_pooler(connection, open_another)
    if read_value(connection, _HAS_DOCTOR):
        found += _ask_the_database(connection, patience)
    return in_order(found)


def in_order(found: Iterable[Finding]) -> list[Finding]:
    """Sorts findings, worst first."""
    return sorted(found, key=lambda each: SEVERITIES.index(each.severity))


def ask_the_database(connection: Connection, patience: timedelta) -> list[Finding]:
    """Returns the findings of the SQL function, worst first; uses the connection's transaction, if any."""
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
            f"its clock is {where} the clock of the database",
            "The queue uses the clock of the database. Times computed on this machine, such as deadlines and "
            "delays, and the times in logs do not match it.",
            "synchronize the clocks of both machines with NTP",
        )


def _look_for_pooler(connection: Connection, open_another: Callable[[], Connection]) -> Iterator[Finding]:
    """Detects a pooler: two clients that are connected at the same time use the same session."""
    if leads_to_the_server(connection):
        return
    with open_another() as other:
        is_shared = any(read_value(connection, _PID) == read_value(other, _PID) for _ in range(_SHARING_LOOKS))
    if is_shared:
        yield Finding(
            "advice",
            "pooler",
            "connection",
            "it goes through a pooler whose clients share sessions (transaction mode)",
            "A worker on this connection gets no notifications of new tasks; it finds them only by polling.",
            "contentq worker --listen-dsn DSN (or CONTENTQ_LISTEN_DSN), where DSN bypasses the pooler",
        )
