"""Errors for an unknown task_id, with a hint when the value is the id of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contentq.errors import ContentQueueError

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow


def unknown_task(connection: psycopg.Connection[TupleRow], task_id: str) -> ContentQueueError:
    """Returns the error to raise for a task that does not exist."""
    hint = hint_at_id(connection, task_id) or "; find it with: contentq list"
    return ContentQueueError(f"there is no task {task_id}{hint}")


def hint_at_id(connection: psycopg.Connection[TupleRow], task_id: str) -> str | None:
    """Returns the end of an error message when a task has this id; otherwise None."""
    from contentq.queue.inspection import task_id_of

    found = task_id_of(connection, int(task_id)) if task_id.isdecimal() and len(task_id) < 19 else None
    return None if found is None else f", but {task_id} is an id; its task_id is {found}"
