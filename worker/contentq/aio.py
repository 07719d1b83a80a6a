"""The queue from asyncio: what the functions of contentq itself do, to be awaited.

Each is a statement in the transaction of the caller, who commits it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack, cast

import psycopg
from psycopg.rows import tuple_row

from contentq import api
from contentq.queue import calls
from contentq.queue.calls import Call, Submission
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
        submission.took(await _rows(connection, call))
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


async def migrate(dsn: str, *, schema: str | None = None) -> list[str]:
    """Brings a database to the schema of this version of contentq, in a thread; returns what it did, a line each.

    schema: where the three tables are to be, public if it is not said. Raises ContentQueueError.
    """
    return await asyncio.to_thread(api.migrate, dsn, schema=schema)


async def _rows(connection: Connection, call: Call) -> Sequence[Sequence[Any]]:
    with calls.understood():
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
