"""The page's database connections: few, with a time limit per transaction, and read-only by default.

Settings apply to one transaction, so that they also work behind a pooler.
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
"""Seconds that a request waits for a connection if all are in use."""

READ_TIMEOUT = 2_000
"""Time limit of a read-only statement, in milliseconds."""

CHANGE_TIMEOUT = 10_000
"""Time limit of a statement that changes something, in milliseconds."""

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
    """A part of a page: the value, or why it is missing."""

    value: T | None
    missing: str | None = None
    """`denied` if the login may not read it, `slow` if reading it took too long."""


@dataclass(frozen=True)
class Rights:
    """What the login may do, so that the page offers only that; the database enforces it."""

    operate: bool = False
    review: bool = False


class Database:
    """The connections of pages, which run in threads; idle connections are reused."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._idle: list[Connection] = []
        self.rights = Rights()
        """The rights at the newest connection."""

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read-only transaction in which all data is of one moment.

        Raises DatabaseUnreachable, SchemaMismatch or Busy.
        """
        with self._transaction(READ_TIMEOUT, read_only=True) as connection:
            yield connection

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """A transaction that may change something. Raises DatabaseUnreachable, SchemaMismatch or Busy."""
        with self._transaction(CHANGE_TIMEOUT, read_only=False) as connection:
            yield connection

    def close(self) -> None:
        """Closes idle connections."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _transaction(self, timeout: int, *, read_only: bool) -> Iterator[Connection]:
        with self._connection() as connection:
            # psycopg sends these with BEGIN.
            level = psycopg.IsolationLevel.REPEATABLE_READ if read_only else psycopg.IsolationLevel.READ_COMMITTED
            connection.isolation_level, connection.read_only = level, read_only
            with connection.transaction():
                connection.execute(_LIMIT, [str(timeout)])
                yield connection

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        if not self._free.acquire(timeout=WAIT):
            raise Busy("all database connections of this page are in use; try again")
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
        """Returns an idle connection that still works, or a new one."""
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
    """Reads a part of a page; the other parts are shown even if the login may not read it, or it is slow."""
    try:
        with connection.transaction():
            return Part(read(connection, *values, **named))
    except errors.InsufficientPrivilege:
        return Part(None, "denied")
    except errors.QueryCanceled:
        return Part(None, "slow")
