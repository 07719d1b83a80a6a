"""The page's connections: few, each transaction with a time limit, and only for reading unless said otherwise.

What is set is set for one transaction, so that it works behind a pooler, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Concatenate, Generic, ParamSpec, TypeVar

import psycopg
from psycopg import errors

from contentq.database.connect import connect
from contentq.database.revisions import require_head
from contentq.errors import ContentQueueError
from contentq.queue.reading import Connection

T = TypeVar("T")
P = ParamSpec("P")

APPLICATION = "contentq web"

MOST_CONNECTIONS = 8

WAIT = 5.0
"""Seconds that a request waits for a connection when all are in use."""

READ_TIMEOUT = 2_000
"""Milliseconds of one statement that only reads."""

CHANGE_TIMEOUT = 10_000
"""Milliseconds of one that changes something."""

_LIMIT = "SELECT set_config('statement_timeout', %s, true)"

_RIGHTS = """
    SELECT coalesce(bool_or(has_function_privilege(oid, 'EXECUTE'))
                    FILTER (WHERE proname = 'requeue'), false),
           coalesce(bool_or(has_function_privilege(oid, 'EXECUTE')) FILTER (WHERE proname = 'approve'), false)
    FROM pg_catalog.pg_proc
    WHERE pronamespace = 'contentq'::pg_catalog.regnamespace AND proname IN ('requeue', 'approve')
"""


class Busy(ContentQueueError):
    """All connections are in use."""


@dataclass(frozen=True)
class Part(Generic[T]):
    """A part of a page: what was read, or why it is missing."""

    value: T | None
    missing: str | None = None
    """`denied` when the login may not read it, `slow` when that took too long."""


@dataclass(frozen=True)
class Rights:
    """What the login may do, so that the page offers nothing else; the database decides in the end."""

    operate: bool = False
    review: bool = False


class Database:
    """Connections for pages, which run in threads; they are kept for the next page."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._idle: list[Connection] = []
        self.rights = Rights()
        """As of the newest connection."""

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction in which all that is read is of one moment, and nothing can be changed.

        Raises DatabaseUnreachable, SchemaMismatch or Busy.
        """
        with self._transaction(READ_TIMEOUT, read_only=True) as connection:
            yield connection

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """A transaction in which something is changed. Raises DatabaseUnreachable, SchemaMismatch or Busy."""
        with self._transaction(CHANGE_TIMEOUT, read_only=False) as connection:
            yield connection

    def close(self) -> None:
        """Closes the connections that are not in use."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _transaction(self, timeout: int, *, read_only: bool) -> Iterator[Connection]:
        with self._connection() as connection:
            # What BEGIN is sent with.
            level = psycopg.IsolationLevel.REPEATABLE_READ if read_only else psycopg.IsolationLevel.READ_COMMITTED
            connection.isolation_level, connection.read_only = level, read_only
            with connection.transaction():
                connection.execute(_LIMIT, [str(timeout)])
                yield connection

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        if not self._free.acquire(timeout=WAIT):
            raise Busy("all connections of this page to the database are in use; try again")
        try:
            connection = self._open()
            try:
                yield connection
            finally:
                if connection.closed:
                    connection.close()
                else:
                    self._idle.append(connection)
        finally:
            self._free.release()

    def _open(self) -> Connection:
        """One that was used before, if it is still good; else a new one."""
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                with suppress(psycopg.OperationalError):
                    connection.execute("")
                    return connection
                connection.close()
        connection = connect(self._dsn, APPLICATION)
        try:
            require_head(connection)
            operate, review = connection.execute(_RIGHTS).fetchone() or (False, False)
            self.rights = Rights(operate, review)
        except BaseException:
            connection.close()
            raise
        return connection


def read_part(
    connection: Connection, read: Callable[Concatenate[Connection, P], T], *values: P.args, **named: P.kwargs
) -> Part[T]:
    """Reads a part of a page without which the others can be shown: it may be denied to the login, or slow."""
    try:
        with connection.transaction():
            return Part(read(connection, *values, **named))
    except errors.InsufficientPrivilege:
        return Part(None, "denied")
    except errors.QueryCanceled:
        return Part(None, "slow")
