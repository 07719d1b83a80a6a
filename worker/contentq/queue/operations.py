"""What operators do to tasks, over a plain connection in autocommit mode."""

from __future__ import annotations

from datetime import timedelta

from contentq.queue.reading import Connection, read_value

BATCH = 1000
"""Rows in one call; each is a transaction of its own, so that no lock is held for long."""

_DELETE = "DELETE FROM contentq.tasks WHERE task_id = %s AND status <> 'processing' RETURNING status"

_STATUS = "SELECT status FROM contentq.tasks WHERE task_id = %s"


def cancel(connection: Connection, task_id: str) -> str | None:
    """Cancels a task; its new status, None when that is refused."""
    return _text(connection, "SELECT contentq.cancel(%s)", task_id)


def requeue(connection: Connection, task_id: str, note: str | None = None) -> str | None:
    """Puts a task back that has failed, timed out, or has rejected content; its new status, None when refused.

    note: what the handler finds as the error of the attempt before.
    """
    return _text(connection, "SELECT contentq.requeue(%s, %s)", task_id, note)


def delete(connection: Connection, task_id: str) -> str | None:
    """Deletes a task that is not processing; its last status, None when that is refused. Its content stays."""
    return _text(connection, _DELETE, task_id)


def status_of(connection: Connection, task_id: str) -> str | None:
    """The status of a task, None when there is no such task."""
    return _text(connection, _STATUS, task_id)


def sweep_timeouts(connection: Connection) -> int:
    """Ends every task whose deadline has passed; how many."""
    return _until_done(connection, "SELECT contentq.sweep_timeouts(%s)", [BATCH])


def rescue_dead_workers(connection: Connection) -> int:
    """Takes back every task of a worker that has gone silent; how many."""
    return _until_done(
        connection, "SELECT contentq.rescue_dead_workers(heartbeat_timeout) FROM contentq.settings", []
    )


def cleanup(connection: Connection, older_than: timedelta) -> int:
    """Deletes every completed task that ended longer ago than this; how many."""
    return _until_done(connection, "SELECT contentq.cleanup(%s, %s)", [older_than, BATCH])


def cleanup_failed(connection: Connection, older_than: timedelta) -> int:
    """Deletes every task that failed or timed out longer ago than this; how many."""
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
