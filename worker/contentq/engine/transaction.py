"""Ends a handler's own transaction: commits it with the completion of the task, or rolls it back."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

import psycopg
from psycopg.rows import TupleRow

from contentq.database.connect import cut
from contentq.engine.connections import HandlerConnections
from contentq.engine.database_errors import one_line
from contentq.engine.results import refusal_by_database
from contentq.engine.usage import usage_of_outcome
from contentq.queue.contract import completion_call
from contentq.queue.outcomes import Completed, Failed, Outcome, Stored

log = logging.getLogger("contentq.worker")

Committed = Callable[[Outcome, str | None], None]


async def finish(
    connection: psycopg.AsyncConnection[TupleRow],
    outcome: Outcome | None,
    connections: HandlerConnections,
    committed: Committed,
) -> Outcome | None:
    """Commits the handler's work and the completion, both or neither; returns what is left to report."""
    try:
        if not isinstance(outcome, Completed | Stored):
            return outcome
        cutting = asyncio.get_running_loop().call_later(connections.commit_timeout, cut, connection)
        try:
            counted = await _complete(connection, outcome)
            if counted:
                await connection.commit()
        finally:
            cutting.cancel()
        committed(outcome, "completed" if counted else None)
    except (psycopg.Error, UnicodeError) as error:
        assert isinstance(outcome, Completed | Stored)
        return _outcome_of_failed_commit(outcome, error)
    finally:
        await connections.close_async(connection)
    return None


def finish_in_thread(
    connection: psycopg.Connection[TupleRow],
    outcome: Outcome | None,
    connections: HandlerConnections,
    committed: Committed,
) -> Outcome | None:
    """The same for a handler that runs in a thread."""
    try:
        if not isinstance(outcome, Completed | Stored):
            return outcome
        cutting = threading.Timer(connections.commit_timeout, cut, [connection])
        cutting.daemon = True
        cutting.start()
        try:
            counted = _complete_in_thread(connection, outcome)
            if counted:
                connection.commit()
        finally:
            cutting.cancel()
        committed(outcome, "completed" if counted else None)
    except (psycopg.Error, UnicodeError) as error:
        assert isinstance(outcome, Completed | Stored)
        return _outcome_of_failed_commit(outcome, error)
    finally:
        connections.close(connection)
    return None


async def _complete(connection: psycopg.AsyncConnection[TupleRow], outcome: Completed | Stored) -> bool:
    """Completes the task, and returns whether that counted. Waits while another session has locked the row."""
    is_said = False
    while True:
        try:
            async with connection.transaction():
                cursor = await connection.execute(*completion_call(outcome))
                return await cursor.fetchone() is not None
        except psycopg.errors.LockNotAvailable as error:
            is_said = is_said or _log_held_up(outcome, error)


def _complete_in_thread(connection: psycopg.Connection[TupleRow], outcome: Completed | Stored) -> bool:
    is_said = False
    while True:
        try:
            with connection.transaction():
                return connection.execute(*completion_call(outcome)).fetchone() is not None
        except psycopg.errors.LockNotAvailable as error:
            is_said = is_said or _log_held_up(outcome, error)


def _log_held_up(outcome: Completed | Stored, error: psycopg.Error) -> bool:
    place = (error.diag.context or "").partition("\n")[0]
    log.warning(
        "completion in the handler's transaction waits for a lock task=%s: %s", outcome.held.task_id, place
    )
    return True


def _outcome_of_failed_commit(outcome: Completed | Stored, error: Exception) -> Outcome:
    """The failure to report. If the commit took effect after all, this report will not count."""
    if isinstance(error, psycopg.DataError | UnicodeError):
        return refusal_by_database(outcome, one_line(error))
    message = f"the handler's transaction was not committed: {one_line(error)}"
    return Failed(outcome.held, message, type(error).__name__, usage=usage_of_outcome(outcome))
