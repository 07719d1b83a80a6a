"""The functions of contentq for a connection or session of the caller.

Each is one statement in the caller's transaction, which the caller commits; wait() needs a connection outside a
transaction. contentq.aio has the same functions for asyncio.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack, cast

import psycopg
from psycopg.rows import tuple_row

from contentq.queue import calls
from contentq.queue.calls import Call, Submission
from contentq.queue.waiting import NEEDS, Waiting, listen, refuse_transaction, unlisten
from contentq.task import NewTask, ReviewStatus, Status

if TYPE_CHECKING:
    import sqlalchemy
    from sqlalchemy.orm import Session, scoped_session

Connection: TypeAlias = "psycopg.Connection[Any] | sqlalchemy.Connection | Session | scoped_session[Any]"
"""A connection of psycopg or SQLAlchemy, or a Session."""


def submit(connection: Connection, **task: Unpack[NewTask]) -> str:
    """Inserts a task; returns its task_id. Workers can claim it after the caller's commit.

    A task whose task_id already exists is not inserted, so that a producer may retry. Raises InputRefused.
    """
    return submit_many(connection, [task])[0]


def submit_many(connection: Connection, tasks: Iterable[NewTask]) -> list[str]:
    """Inserts tasks, up to 500 per statement; returns their task_ids in order.

    Tasks whose task_id already exists are not inserted. Raises InputRefused; then the caller must roll back.
    """
    submission = Submission(tasks)
    for call in submission.calls():
        submission.add_returned(_rows(connection, call))
    return submission.task_ids()


def cancel(connection: Connection, task_id: str) -> Status | None:
    """Cancels a task: a pending one ends as failed, and the worker of a running one stops it. Returns its status.

    Returns None if the task does not exist or has ended. Raises ContentQueueError if it stays locked for 3
    seconds.
    """
    return cast("Status | None", _rows(connection, calls.cancel(task_id))[0][0])


def requeue(connection: Connection, task_id: str, note: str | None = None) -> Status | None:
    """Requeues a task that failed, timed out, or was completed with content that was rejected; returns pending.

    note: the handler reads it as the error of the previous attempt. Returns None if the task does not exist or has
    another status. Raises ContentQueueError if it stays locked for 3 seconds.
    """
    return cast("Status | None", _rows(connection, calls.requeue(task_id, note))[0][0])


def approve(
    connection: Connection,
    content_id: int,
    reviewer: str | None = None,
    note: str | None = None,
    review_status: ReviewStatus = "pending",
) -> ReviewStatus:
    """Approves content that waits for a review; returns approved.

    reviewer: default: the login of the connection. review_status: the status that the content must have; pass
    "rejected" to approve rejected content. Raises ReviewRefused if another reviewer has decided, or the content
    does not exist; then the caller must roll back.
    """
    return cast("ReviewStatus", _rows(connection, calls.approve(content_id, reviewer, note, review_status))[0][0])


def reject(
    connection: Connection,
    content_id: int,
    reviewer: str | None = None,
    note: str | None = None,
    revise: bool = False,
    review_status: ReviewStatus = "pending",
) -> str:
    """Rejects content; returns rejected. With revise, requeues its task with the note, and returns pending.

    note: the reason; a handler that revises the content gets it as task.revision_note. review_status: the status
    that the content must have; pass "approved" to reject approved content. Raises ReviewRefused if another
    reviewer has decided, the content does not exist, or its task cannot be requeued; then the caller must roll
    back.
    """
    return cast("str", _rows(connection, calls.reject(content_id, reviewer, note, revise, review_status))[0][0])


def explain(connection: Connection, task_id: str) -> list[str]:
    """Returns why a task is not running, or how it ended: at least one line, one for each reason."""
    return [row[0] for row in _rows(connection, calls.explain(task_id))]


def wait(
    connection: psycopg.Connection[Any] | str,
    task_id: str | Iterable[str] | None = None,
    *,
    batch: str | None = None,
    timeout: float | timedelta | None = None,
) -> dict[Status, int]:
    """Waits until tasks, or all tasks of a batch, have ended; returns the number of tasks by status.

    connection: a psycopg connection outside a transaction that nothing else uses meanwhile; or a DSN. task_id: one
    or several. timeout: seconds or a timedelta; default: no limit. Raises WaitTimedOut (a TimeoutError), and
    ContentQueueError if a task or batch does not exist or was deleted.
    """
    waiting = Waiting(task_id, batch, timeout)
    with _waiting_connection(connection) as session:
        channels: list[str] = []
        try:
            channels = waiting.listens_on(_rows(session, waiting.ask()))
            session.execute(listen(channels))
            while True:
                if waiting.is_to_ask:
                    _rows(session, waiting.ask())
                if waiting.has_ended(_rows(session, waiting.look())):
                    return waiting.counts
                with closing(session.notifies(timeout=waiting.pause())) as notifications:
                    for notification in notifications:
                        if waiting.is_to_look(notification.channel):
                            break
        finally:
            if channels and not session.closed and session is connection:
                session.execute(unlisten(channels))


@contextmanager
def _waiting_connection(connection: psycopg.Connection[Any] | str) -> Iterator[psycopg.Connection[Any]]:
    """Switches the connection to autocommit mode and back; or opens a new one."""
    if isinstance(connection, str):
        from contentq.database import dsn as dsns
        from contentq.database.connect import connect

        with connect(dsns.normalise(connection), "contentq wait") as opened:
            yield opened
        return
    if not isinstance(connection, psycopg.Connection):
        raise TypeError(NEEDS.format("a connection of psycopg", type(connection).__name__))
    refuse_transaction(connection)
    before = connection.autocommit
    connection.autocommit = True
    try:
        yield connection
    finally:
        if not connection.closed:
            connection.autocommit = before


def migrate(dsn: str, *, schema: str | None = None) -> list[str]:
    """Migrates a database to the schema of this version; returns what was done, one line each.

    dsn: a URL, also in SQLAlchemy's form, or key=value pairs. schema: for the three tables; default: the existing
    one, else public. Runs in its own transaction. Raises ContentQueueError.
    """
    from contentq.database import dsn as dsns
    from contentq.database import migrations

    return migrations.migrate(dsns.normalise(dsn), schema=schema).changes


def _rows(connection: Connection, call: Call) -> Sequence[Sequence[Any]]:
    with calls.translate_errors():
        if isinstance(connection, psycopg.Connection):
            with connection.cursor(row_factory=tuple_row) as cursor:
                return cursor.execute(call.written("%({})s"), call.values).fetchall()
        if calls.is_of_sqlalchemy(connection):
            import sqlalchemy
            from sqlalchemy.orm import Session, scoped_session

            if isinstance(connection, (Session, scoped_session)) and connection.autoflush:
                # Pending objects of the session may be what the call is about; queries flush them, too.
                connection.flush()
            if isinstance(connection, (sqlalchemy.Connection, Session, scoped_session)):
                return connection.execute(sqlalchemy.text(call.written(":{}")), call.values).all()
    raise TypeError(
        f"this needs a connection of psycopg or SQLAlchemy, or a Session, not {type(connection).__name__}; for "
        "asyncio, use contentq.aio"
    )
