"""A task_id that is none: the message says so, or whose it would be as an id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contentq.errors import ContentQueueError

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow


def unknown_task(connection: psycopg.Connection[TupleRow], task_id: str) -> ContentQueueError:
    """The error to raise for a task that does not exist."""
    hint = hint_at_id(connection, task_id) or "; find it with: contentq list"
    return ContentQueueError(f"there is no task {task_id}{hint}")


def hint_at_id(connection: psycopg.Connection[TupleRow], task_id: str) -> str | None:
    """The end of a message that there is no such task, when there is one with this id; else None."""
    from contentq.queue.inspection import task_id_of

    found = task_id_of(connection, int(task_id)) if task_id.isdecimal() and len(task_id) < 19 else None
    return None if found is None else f", but {task_id} is an id; its task_id is {found}"
