"""Connections in whose statements nobody's objects run: a name without a schema is PostgreSQL's own.

Whoever may create objects in a schema of the search_path (in public, everyone may up to PostgreSQL 14) can make an
operator or a function that fits a statement's types better than PostgreSQL's own, and what a session of contentq
then calls runs with the rights of its user. So the search_path leads nowhere else; and no statement waits for a
lock for ever.

A session that belongs to one client is set once. Behind a pooler in transaction mode sessions are shared, and a
setting would become another client's: there it is made for each transaction, in the same round trip as its
statement.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow

SEARCH_PATH = "pg_catalog, pg_temp"

LOCK_TIMEOUT = "3s"
"""What a statement waits for a lock at most, unless a function or a migration says otherwise."""

_SETTINGS = {"search_path": SEARCH_PATH, "lock_timeout": LOCK_TIMEOUT}

_OF_TRANSACTION = "SELECT " + ", ".join(
    f"pg_catalog.set_config('{name}', '{value}', true)" for name, value in _SETTINGS.items()
)


def _of_session(backend_pid: int) -> str:
    """Sets the session if it is this client's own: a pooler gives its clients process ids of its own making."""
    is_own = f"pg_catalog.int4eq(pg_catalog.pg_backend_pid(), {backend_pid})"
    return "SELECT " + ", ".join(
        f"CASE WHEN {is_own} THEN pg_catalog.set_config('{name}', '{value}', false) END"
        for name, value in _SETTINGS.items()
    )


class SecuredConnection(psycopg.Connection[TupleRow]):
    """A connection that is to be secured once it is open; see secure()."""

    is_direct = False
    """Whether it leads to the server itself, and not to a pooler."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.cursor_factory = _Cursor

    def secure(self) -> None:
        """Sets the session, or finds that each transaction is to be."""
        row = psycopg.Cursor(self).execute(_of_session(self.info.backend_pid).encode()).fetchone()
        self.is_direct = row is not None and row[0] is not None

    @contextmanager
    def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> Iterator[psycopg.Transaction]:
        """As psycopg's."""
        begins = _begins_a_transaction(self)
        with super().transaction(savepoint_name, force_rollback) as transaction:
            if begins:
                psycopg.Cursor(self).execute(_OF_TRANSACTION.encode())
            yield transaction


class _Cursor(psycopg.Cursor[Any]):
    def execute(self, *arguments: Any, **named: Any) -> Any:
        connection = self.connection
        assert isinstance(connection, SecuredConnection)
        if not _begins_a_transaction(connection):
            return super().execute(*arguments, **named)
        with connection.pipeline():
            psycopg.Cursor(connection).execute(_OF_TRANSACTION.encode())
            super().execute(*arguments, **named)
        return self


class SecuredAsyncConnection(psycopg.AsyncConnection[TupleRow]):
    """The same for asyncio."""

    is_direct = False
    """Whether it leads to the server itself, and not to a pooler."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.cursor_factory = _AsyncCursor

    async def secure(self) -> None:
        """Sets the session, or finds that each transaction is to be."""
        cursor = await psycopg.AsyncCursor(self).execute(_of_session(self.info.backend_pid).encode())
        row = await cursor.fetchone()
        self.is_direct = row is not None and row[0] is not None

    @asynccontextmanager
    async def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> AsyncIterator[psycopg.AsyncTransaction]:
        """As psycopg's."""
        begins = _begins_a_transaction(self)
        async with super().transaction(savepoint_name, force_rollback) as transaction:
            if begins:
                await psycopg.AsyncCursor(self).execute(_OF_TRANSACTION.encode())
            yield transaction


class _AsyncCursor(psycopg.AsyncCursor[Any]):
    async def execute(self, *arguments: Any, **named: Any) -> Any:
        connection = self.connection
        assert isinstance(connection, SecuredAsyncConnection)
        if not _begins_a_transaction(connection):
            return await super().execute(*arguments, **named)
        async with connection.pipeline():
            await psycopg.AsyncCursor(connection).execute(_OF_TRANSACTION.encode())
            await super().execute(*arguments, **named)
        return self


def _begins_a_transaction(connection: SecuredConnection | SecuredAsyncConnection) -> bool:
    """Whether what comes next is a transaction of its own that is to be set."""
    if connection.is_direct or not connection.autocommit:
        return False
    return connection.info.transaction_status == TransactionStatus.IDLE
