"""Connections on which only PostgreSQL's own objects run: a name without a schema never finds other ones.

A user who can create objects in a schema of the search_path (up to PostgreSQL 14, everyone in public) can create
an operator or function that matches a statement better than PostgreSQL's own. It would then run with the rights of
contentq's login. Therefore the search_path contains no other schema. Also, no statement waits for a lock for ever.

In a session that belongs to one client, this is set once. Behind a pooler in transaction mode, sessions are
shared, and the setting would affect other clients. There it is set for each transaction, in the same round trip as
its first statement.
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
"""How long a statement waits for a lock, unless a function or a migration sets another limit."""

_SETTINGS = {"search_path": SEARCH_PATH, "lock_timeout": LOCK_TIMEOUT}

_OF_TRANSACTION = "SELECT " + ", ".join(
    f"pg_catalog.set_config('{name}', '{value}', true)" for name, value in _SETTINGS.items()
)


def _of_session(backend_pid: int) -> str:
    """Sets the session if it belongs to this client; a pooler reports other process ids to its clients."""
    is_own = f"pg_catalog.int4eq(pg_catalog.pg_backend_pid(), {backend_pid})"
    return "SELECT " + ", ".join(
        f"CASE WHEN {is_own} THEN pg_catalog.set_config('{name}', '{value}', false) END"
        for name, value in _SETTINGS.items()
    )


class SecuredConnection(psycopg.Connection[TupleRow]):
    """A connection on which secure() must be called after it is open."""

    is_direct = False
    """Whether the connection goes to the server without a pooler."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.cursor_factory = _Cursor

    def secure(self) -> None:
        """Sets the session, or detects that each transaction must be set."""
        row = psycopg.Cursor(self).execute(_of_session(self.info.backend_pid).encode()).fetchone()
        self.is_direct = row is not None and row[0] is not None

    @contextmanager
    def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> Iterator[psycopg.Transaction]:
        """Like psycopg's."""
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
    """Whether the connection goes to the server without a pooler."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.cursor_factory = _AsyncCursor

    async def secure(self) -> None:
        """Sets the session, or detects that each transaction must be set."""
        cursor = await psycopg.AsyncCursor(self).execute(_of_session(self.info.backend_pid).encode())
        row = await cursor.fetchone()
        self.is_direct = row is not None and row[0] is not None

    @asynccontextmanager
    async def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> AsyncIterator[psycopg.AsyncTransaction]:
        """Like psycopg's."""
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
    """Whether the next statement starts a transaction that must be set."""
    if connection.is_direct or not connection.autocommit:
        return False
    return connection.info.transaction_status == TransactionStatus.IDLE
