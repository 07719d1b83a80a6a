"""A link reads what the database sends between calls."""

from __future__ import annotations

import asyncio
import select

from contentq.database import database as databases
from contentq.engine.reconnecting import ReconnectingConnection
from contentq.engine.timings import Timings

from tests.engine.conftest import Database


def test_notification_that_came_together_with_the_end_of_an_answer_is_heard(dsn: str, database: Database) -> None:
    async def hear() -> int:
        heard = 0

        def count() -> None:
            nonlocal heard
            heard += 1

        link = ReconnectingConnection(databases.Database(dsn), "test", Timings(), heard=count)
        async with link.calling() as connection:
            database.execute("NOTIFY contentq_ready")
            assert select.select([connection.fileno()], [], [], 10)[0]
            connection.pgconn.consume_input()  # as the driver does for an answer; nothing is left to read
        found = heard
        await link.close()
        return found

    assert asyncio.run(hear()) == 1


def test_end_of_an_idle_connection_is_told_at_once(dsn: str, database: Database) -> None:
    async def hear() -> None:
        told = asyncio.Event()
        link = ReconnectingConnection(databases.Database(dsn), "test", Timings(), heard=told.set)
        async with link.calling() as connection:
            pid = connection.info.backend_pid
        database.execute("SELECT pg_terminate_backend(%s)", [pid])
        await asyncio.wait_for(told.wait(), 10)
        assert not link.is_open

    asyncio.run(hear())


def test_server_that_ends_idle_sessions_leaves_those_of_a_worker_alone(dsn: str, database: Database) -> None:
    name = database.info.dbname
    database.execute(f"ALTER DATABASE {name} SET idle_session_timeout = '1min'".encode())

    async def timeout_of(link: ReconnectingConnection) -> str:
        async with link.calling() as connection:
            row = await (await connection.execute("SHOW idle_session_timeout")).fetchone()
        await link.close()
        assert row is not None
        return str(row[0])

    for link in (
        ReconnectingConnection(databases.Database(dsn), "test", Timings(), prepare=True),
        ReconnectingConnection(databases.Database(dsn), "test", Timings(), heard=lambda: None),
    ):
        assert asyncio.run(timeout_of(link)) == "0"
