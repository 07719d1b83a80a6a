"""The queue from asyncio: what the functions of contentq itself do, to be awaited.

Each is a statement in the transaction of the caller, who commits it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack, cast

import psycopg
from psycopg.rows import tuple_row

from contentq import api
from contentq.queue import calls
from contentq.queue.calls import Call, Submission
from contentq.queue.waiting import NEEDS, Waiting, listen, refuse_transaction, unlisten
from contentq.task import NewTask, ReviewStatus, Status

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session

Connection: TypeAlias = (
    "psycopg.AsyncConnection[Any] | AsyncConnection | AsyncSession | async_scoped_session[AsyncSession]"
)
"""An asyncio connection of psycopg or of SQLAlchemy, or an AsyncSession."""


async def submit(connection: Connection, **task: Unpack[NewTask]) -> str:
    """Inserts a task; returns its task_id. It can be claimed once the caller has committed.

    A task whose task_id exists already is not inserted, so that a producer may repeat itself. Raises InputRefused.
    """
    return (await submit_many(connection, [task]))[0]


async def submit_many(connection: Connection, tasks: Iterable[NewTask]) -> list[str]:
    """Inserts tasks, 500 with a statement; returns the task_id of each, in their order.

    Those whose task_id exists already are not inserted. Raises InputRefused, after which the caller rolls back.
    """
    submission = Submission(tasks)
    for call in submission.calls():
        submission.add_returned(await _rows(connection, call))
    return submission.task_ids()


async def cancel(connection: Connection, task_id: str) -> Status | None:
    """Ends a waiting task as failed, or asks the worker of a running one to stop it; returns its status then.

    None: there is no such task, or it has ended. Raises ContentQueueError when it stays locked for 3 seconds.
    """
    return cast("Status | None", (await _rows(connection, calls.cancel(task_id)))[0][0])


async def requeue(connection: Connection, task_id: str, note: str | None = None) -> Status | None:
    """Puts a task back that is failed or timeout, or completed with content that was rejected; returns pending.

    note: what the handler finds as the error of the attempt before. None: it is none of these, or there is no
    such task. Raises ContentQueueError when it stays locked for 3 seconds.
    """
    return cast("Status | None", (await _rows(connection, calls.requeue(task_id, note)))[0][0])


async def approve(
    connection: Connection,
    content_id: int,
    reviewer: str | None = None,
    note: str | None = None,
    review_status: ReviewStatus = "pending",
) -> ReviewStatus:
    """Approves content that waits for its review; returns approved.

    reviewer: who decides; the login of the connection, unless it is said. review_status: what the content must be
    now: to approve what was rejected, say "rejected". Raises ReviewRefused, after which the caller rolls back,
    when another reviewer has decided, or there is no such content.
    """
    return cast(
        "ReviewStatus", (await _rows(connection, calls.approve(content_id, reviewer, note, review_status)))[0][0]
    )


async def reject(
    connection: Connection,
    content_id: int,
    reviewer: str | None = None,
    note: str | None = None,
    revise: bool = False,
    review_status: ReviewStatus = "pending",
) -> str:
    """Rejects content; returns rejected. With revise, its task goes back with the note: the answer is pending.

    note: why; the handler that revises it finds it as task.revision_note. review_status: what the content must be
    now: to send approved content back, say "approved". Raises ReviewRefused, after which the caller rolls back,
    when another reviewer has decided, there is no such content, or its task cannot go back.
    """
    return cast(
        "str", (await _rows(connection, calls.reject(content_id, reviewer, note, revise, review_status)))[0][0]
    )


async def explain(connection: Connection, task_id: str) -> list[str]:
    """Why a task is not running, or what became of it: a line for each reason, at least one."""
    return [row[0] for row in await _rows(connection, calls.explain(task_id))]


async def wait(
    connection: psycopg.AsyncConnection[Any] | str,
    task_id: str | Iterable[str] | None = None,
    *,
    batch: str | None = None,
    timeout: float | timedelta | None = None,
) -> dict[Status, int]:
    """Waits until tasks, or all tasks of a batch, have ended; returns how many of them have which status.

    connection: one of psycopg that is in no transaction and that nobody else uses meanwhile; or a DSN, to which
    one is opened. task_id: one, or several. timeout: seconds, or a timedelta; without it, as long as it takes.
    Raises WaitTimedOut (a TimeoutError), ContentQueueError when there is no such task or batch, or it was deleted.
    """
    waiting = Waiting(task_id, batch, timeout)
    async with _waiting_connection(connection) as session:
        channels: list[str] = []
        try:
            channels = waiting.listens_on(await _rows(session, waiting.ask()))
            await session.execute(listen(channels))
            while True:
                if waiting.is_to_ask:
                    await _rows(session, waiting.ask())
                if waiting.has_ended(await _rows(session, waiting.look())):
                    return waiting.counts
                async with aclosing(session.notifies(timeout=waiting.pause())) as notifications:
                    async for notification in notifications:
                        if waiting.is_to_look(notification.channel):
                            break
        finally:
            if channels and not session.closed and session is connection:
                await session.execute(unlisten(channels))


@asynccontextmanager
async def _waiting_connection(
    connection: psycopg.AsyncConnection[Any] | str,
) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """The connection in autocommit mode, as it was afterwards; or a new one."""
    if isinstance(connection, str):
        from contentq.database import dsn as dsns
        from contentq.database.connect import connect_async

        async with await connect_async(dsns.normalise(connection), "contentq wait") as opened:
            yield opened
        return
    if not isinstance(connection, psycopg.AsyncConnection):
        raise TypeError(NEEDS.format("an asyncio connection of psycopg", type(connection).__name__))
    refuse_transaction(connection)
    before = connection.autocommit
    await connection.set_autocommit(True)
    try:
        yield connection
    finally:
        if not connection.closed:
            await connection.set_autocommit(before)


async def migrate(dsn: str, *, schema: str | None = None) -> list[str]:
    """Brings a database to the schema of this version of contentq, in a thread; returns what it did, a line each.

    schema: where the three tables are to be, public if it is not said. Raises ContentQueueError.
    """
    return await asyncio.to_thread(api.migrate, dsn, schema=schema)


async def _rows(connection: Connection, call: Call) -> Sequence[Sequence[Any]]:
    with calls.translate_errors():
        if isinstance(connection, psycopg.AsyncConnection):
            async with connection.cursor(row_factory=tuple_row) as cursor:
                await cursor.execute(call.written("%({})s"), call.values)
                return await cursor.fetchall()
        if calls.is_of_sqlalchemy(connection):
            import sqlalchemy
            from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session

            if isinstance(connection, (AsyncSession, async_scoped_session)) and connection.autoflush:
                # As a query does: what waits in the session may be what this is about.
                await connection.flush()
            if isinstance(connection, (AsyncConnection, AsyncSession, async_scoped_session)):
                return (await connection.execute(sqlalchemy.text(call.written(":{}")), call.values)).all()
    raise TypeError(
        f"this needs an asyncio connection of psycopg or SQLAlchemy, or an AsyncSession, not "
        f"{type(connection).__name__}; for others there are the functions of contentq itself"
    )
