"""The queue from Python, on a connection or session that the caller has.

Each is a statement in the transaction of the caller, who commits it; wait() needs a connection without one.
contentq.aio has the same for asyncio.
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
"""A connection of psycopg or of SQLAlchemy, or a Session."""


def submit(connection: Connection, **task: Unpack[NewTask]) -> str:
    """Inserts a task; returns its task_id. It can be claimed once the caller has committed.

    A task whose task_id exists already is not inserted, so that a producer may repeat itself. Raises InputRefused.
    """
    return submit_many(connection, [task])[0]


def submit_many(connection: Connection, tasks: Iterable[NewTask]) -> list[str]:
    """Inserts tasks, 500 with a statement; returns the task_id of each, in their order.

    Those whose task_id exists already are not inserted. Raises InputRefused, after which the caller rolls back.
    """
    submission = Submission(tasks)
    for call in submission.calls():
        submission.add_returned(_rows(connection, call))
    return submission.task_ids()


def cancel(connection: Connection, task_id: str) -> Status | None:
    """Ends a waiting task as failed, or asks the worker of a running one to stop it; returns its status then.

    None: there is no such task, or it has ended. Raises ContentQueueError when it stays locked for 3 seconds.
    """
    return cast("Status | None", _rows(connection, calls.cancel(task_id))[0][0])


def requeue(connection: Connection, task_id: str, note: str | None = None) -> Status | None:
    """Puts a task back that is failed or timeout, or completed with content that was rejected; returns pending.

    note: what the handler finds as the error of the attempt before. None: it is none of these, or there is no
    such task. Raises ContentQueueError when it stays locked for 3 seconds.
    """
    return cast("Status | None", _rows(connection, calls.requeue(task_id, note))[0][0])


def approve(
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
    return cast("ReviewStatus", _rows(connection, calls.approve(content_id, reviewer, note, review_status))[0][0])


def reject(
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
    return cast("str", _rows(connection, calls.reject(content_id, reviewer, note, revise, review_status))[0][0])


def explain(connection: Connection, task_id: str) -> list[str]:
    """Why a task is not running, or what became of it: a line for each reason, at least one."""
    return [row[0] for row in _rows(connection, calls.explain(task_id))]


def wait(
    connection: psycopg.Connection[Any] | str,
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
    """The connection in autocommit mode, as it was afterwards; or a new one."""
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
    """Brings a database to the schema of this version of contentq; returns what it did, a line each.

    dsn: a URL, also one written for SQLAlchemy, or key=value pairs. schema: where the three tables are to be,
    public if it is not said; the database remembers it. It is a transaction of its own: all of it, or nothing.
    Raises ContentQueueError.
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
                # As a query does: what waits in the session may be what this is about.
                connection.flush()
            if isinstance(connection, (sqlalchemy.Connection, Session, scoped_session)):
                return connection.execute(sqlalchemy.text(call.written(":{}")), call.values).all()
    raise TypeError(
        f"this needs a connection of psycopg or SQLAlchemy, or a Session, not {type(connection).__name__}; for "
        "those of asyncio there is contentq.aio"
    )
