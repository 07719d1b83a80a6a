"""Changes of tasks by operators, over a plain connection in autocommit mode."""

from __future__ import annotations

from datetime import timedelta

from contentq.queue.reading import Connection, read_value

BATCH = 1000
"""Rows per call; each call is its own transaction, so that locks are short."""

_DELETE = "DELETE FROM contentq.tasks WHERE task_id = %s AND status <> 'processing' RETURNING status"

_STATUS = "SELECT status FROM contentq.tasks WHERE task_id = %s"


def cancel(connection: Connection, task_id: str) -> str | None:
    """Cancels a task; returns its new status, or None if that is refused."""
    return _text(connection, "SELECT contentq.cancel(%s)", task_id)


def requeue(connection: Connection, task_id: str, note: str | None = None) -> str | None:
    """Requeues a task that failed, timed out, or has rejected content; returns its new status, or None if refused.

    note: the handler reads it as the error of the previous attempt.
    """
    return _text(connection, "SELECT contentq.requeue(%s, %s)", task_id, note)


def delete(connection: Connection, task_id: str) -> str | None:
    """Deletes a task that is not processing; returns its last status, or None if refused. Its content stays."""
    return _text(connection, _DELETE, task_id)


def status_of(connection: Connection, task_id: str) -> str | None:
    """Returns the status of a task; None if the task does not exist."""
    return _text(connection, _STATUS, task_id)


def sweep_timeouts(connection: Connection) -> int:
    """Ends all tasks whose deadline has passed; returns their number."""
    return _until_done(connection, "SELECT contentq.sweep_timeouts(%s)", [BATCH])


def rescue_dead_workers(connection: Connection) -> int:
    """Rescues all tasks of workers that send no heartbeats; returns their number."""
    return _until_done(
        connection, "SELECT contentq.rescue_dead_workers(heartbeat_timeout) FROM contentq.settings", []
    )


def cleanup(connection: Connection, older_than: timedelta) -> int:
    """Deletes completed tasks that ended longer ago than this; returns their number."""
    return _until_done(connection, "SELECT contentq.cleanup(%s, %s)", [older_than, BATCH])


def cleanup_failed(connection: Connection, older_than: timedelta) -> int:
    """Deletes failed and timed-out tasks that ended longer ago than this; returns their number."""
    return _until_done(connection, "SELECT contentq.cleanup_failed(%s, %s)", [older_than, BATCH])


def _text(connection: Connection, query: str, *values: str | None) -> str | None:
    found: str | None = read_value(connection, query, values)
    return found


def _until_done(connection: Connection, query: str, values: list[object]) -> int:
    total = 0
    while True:
        changed = int(read_value(connection, query, values) or 0)
        total += changed
        if changed < BATCH:
            return total
