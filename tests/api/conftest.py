"""Connections of every kind on which the functions of the Python API are called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any, Protocol

import contentq
import psycopg
import pytest
from contentq import aio
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from tests.support.databases import Connection
from tests.support.engines import async_engine_of, engine_of


class Caller(Protocol):
    """Calls an API function by name on one kind of connection; its transaction stays open."""

    def __call__(self, function: str, *values: Any, **named: Any) -> Any: ...

    def commit(self) -> None: ...

    def rollback(self) -> None: ...


class _Sync:
    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def __call__(self, function: str, *values: Any, **named: Any) -> Any:
        return getattr(contentq, function)(self.connection, *values, **named)

    def commit(self) -> None:
        self.connection.commit()

    def rollback(self) -> None:
        self.connection.rollback()


class _Async:
    def __init__(self, connection: Any, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self.connection = connection
        self.run = run

    def __call__(self, function: str, *values: Any, **named: Any) -> Any:
        return self.run(getattr(aio, function)(self.connection, *values, **named))

    def commit(self) -> None:
        self.run(self.connection.commit())

    def rollback(self) -> None:
        self.run(self.connection.rollback())


@contextmanager
def _psycopg(dsn: str) -> Iterator[Any]:
    with psycopg.connect(dsn) as connection:
        yield connection


@contextmanager
def _sqlalchemy(dsn: str) -> Iterator[Any]:
    with engine_of(dsn).connect() as connection:
        yield connection


@contextmanager
def _session(dsn: str) -> Iterator[Any]:
    with Session(engine_of(dsn)) as session:
        yield session


@contextmanager
def _scoped(dsn: str) -> Iterator[Any]:
    sessions = scoped_session(sessionmaker(engine_of(dsn)))
    yield sessions
    sessions.remove()


@asynccontextmanager
async def _async_psycopg(dsn: str) -> AsyncIterator[Any]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        yield connection


@asynccontextmanager
async def _async_sqlalchemy(dsn: str) -> AsyncIterator[Any]:
    async with async_engine_of(dsn).connect() as connection:
        yield connection


@asynccontextmanager
async def _async_session(dsn: str) -> AsyncIterator[Any]:
    engine = async_engine_of(dsn)
    from sqlalchemy.ext.asyncio import AsyncSession

    async with AsyncSession(engine) as session:
        yield session


SYNC = {"psycopg": _psycopg, "sqlalchemy": _sqlalchemy, "session": _session, "scoped session": _scoped}
ASYNC = {
    "async psycopg": _async_psycopg,
    "async sqlalchemy": _async_sqlalchemy,
    "async session": _async_session,
}


@pytest.fixture(params=[*SYNC, *ASYNC])
def call(request: pytest.FixtureRequest, dsn: str) -> Iterator[Caller]:
    """The API on each kind of connection, in a session that does not use UTC."""
    dsn = psycopg.conninfo.make_conninfo(dsn, options="-c TimeZone=Asia/Kathmandu")
    with ExitStack() as opened:
        if request.param in SYNC:
            yield _Sync(opened.enter_context(SYNC[request.param](dsn)))
            return
        loop = opened.enter_context(asyncio.Runner())
        context = ASYNC[request.param](dsn)
        connection = loop.run(_entered(context))
        yield _Async(connection, loop.run)
        loop.run(_left(context))


async def _entered(context: Any) -> Any:
    return await context.__aenter__()


async def _left(context: Any) -> None:
    await context.__aexit__(None, None, None)


@pytest.fixture
def account(database: Connection) -> int:
    """The id of an account."""
    row = database.execute("INSERT INTO accounts (name) VALUES ('Ada') RETURNING id").fetchone()
    assert row is not None
    return int(row[0])
