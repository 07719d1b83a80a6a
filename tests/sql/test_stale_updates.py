"""An application that saves all columns of an old row cannot undo what the queue did since."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

from tests.support.queue import Held, Queue, Row

SPECIFIED = [
    "id", "task_id", "content_id", "account_id", "topic", "keywords", "category", "requirements", "tone", "status",
    "priority", "retry_count", "max_retries", "submitted_at", "started_at", "completed_at", "timeout_at",
    "error_message", "auto_approve", "created_at", "updated_at",
]  # fmt: skip
"""The columns of a mapper that knows only the specification; `result`, which is JSON, is set to NULL."""

OURS = [
    "scheduled_at", "attempt", "worker_id", "cancel_requested_at", "progress", "progress_note", "gate",
    "gate_entered_at",
]  # fmt: skip
"""The columns that contentq adds."""


def save(queue: Queue, read: Row, columns: list[str]) -> None:
    """Saves a row that was read earlier with another priority, as object-relational mappers do."""
    values = {name: read[name] for name in columns} | {"priority": 9}
    update = sql.SQL("UPDATE content_generation_tasks SET {}, result = NULL WHERE id = {}").format(
        sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder()) for name in values),
        sql.Placeholder(),
    )
    queue.connection.execute(update, [*values.values(), read["id"]])


def refused(queue: Queue, read: Row, columns: list[str]) -> str:
    """The error of a refused save, which must leave the row unchanged."""
    before = queue.row(read["id"])
    with pytest.raises(psycopg.DatabaseError) as error:
        save(queue, read, columns)
    assert error.value.sqlstate == "CQ002"
    assert queue.row(read["id"]) == before
    assert "Write only the columns that you change" in str(error.value.diag.message_hint)
    return str(error.value.diag.message_primary)


@pytest.mark.parametrize("end", ["running", "completed", "failed", "snoozed", "released"])
def test_row_read_before_a_claim_cannot_be_written_back_after_it(queue: Queue, worker: int, end: str) -> None:
    id_ = queue.add(task_id="task-1")
    read = queue.row(id_)
    (row,) = queue.claim(worker)
    task = Held(worker, id_, row["attempt"])
    if end == "completed":
        assert queue.store(worker, [task]) == [id_]
    elif end == "failed":
        assert queue.fail(task) == "pending"
    elif end == "snoozed":
        assert queue.snooze(task)
    elif end == "released":
        assert queue.release(worker, [task]) == [id_]

    message = refused(queue, read, SPECIFIED + OURS)

    assert message == (
        f"task task-1 (id {id_}) was changed since this row was read: it was claimed: attempt is 1, not 0"
    )


def test_attempt_does_not_fall_between_two_claims_either(queue: Queue, worker: int) -> None:
    task = queue.running(worker)
    queue.release(worker, [task])
    read = queue.row(task.id)
    assert queue.claim(worker)[0]["attempt"] == 2

    assert "attempt is 2, not 1" in refused(queue, read, SPECIFIED + OURS)
    with pytest.raises(psycopg.DatabaseError, match="attempt is 2, not 1"):
        queue.set(task.id, attempt=1)


@pytest.mark.parametrize("end", ["completed", "failed", "snoozed", "released"])
def test_row_read_while_it_ran_cannot_be_written_back_after_its_end(queue: Queue, end: str) -> None:
    task = queue.running()
    read = queue.row(task.id)
    if end == "completed":
        assert queue.store(task.worker, [task]) == [task.id]
    elif end == "failed":
        assert queue.fail(task, permanent=True) == "failed"
    elif end == "snoozed":
        assert queue.snooze(task)
    else:
        assert queue.release(task.worker, [task]) == [task.id]

    message = refused(queue, read, SPECIFIED + OURS)

    assert ("it was completed" if end == "completed" else "attempt 1 has ended") in message


@pytest.mark.parametrize("read_while", ["pending", "running"])
def test_mapper_that_does_not_know_our_columns_cannot_forget_the_content(queue: Queue, read_while: str) -> None:
    id_ = queue.add()
    before = queue.row(id_)
    worker = queue.register()
    (row,) = queue.claim(worker)
    read = before if read_while == "pending" else queue.row(id_)
    queue.store(worker, [Held(worker, id_, row["attempt"])])

    assert "it was completed, and the update would delete its result" in refused(queue, read, SPECIFIED)
    assert queue.claim(worker) == []


def test_result_without_content_is_not_forgotten_either(queue: Queue) -> None:
    task = queue.running()
    read = queue.row(task.id)
    queue.complete(task.worker, [task], ['{"words": 5}'])

    assert "would delete its result" in refused(queue, read, SPECIFIED)


def test_content_is_not_forgotten_though_the_result_is_kept(queue: Queue) -> None:
    task = queue.running()
    queue.store(task.worker, [task])

    with pytest.raises(psycopg.DatabaseError, match="would delete its result"):
        queue.set(task.id, status="pending", content_id=None)


def test_row_that_nothing_happened_to_is_written_back(queue: Queue) -> None:
    waiting = queue.add()

    save(queue, queue.row(waiting), SPECIFIED + OURS)

    assert queue.row(waiting)["priority"] == 9


def test_running_task_can_be_given_another_priority(queue: Queue) -> None:
    task = queue.running()

    save(queue, queue.row(task.id), SPECIFIED + OURS)

    assert queue.complete(task.worker, [task]) == [task.id]


def test_completed_task_is_put_back_by_its_status_alone(queue: Queue, worker: int) -> None:
    task = queue.running(worker)
    queue.store(worker, [task])
    content = queue.row(task.id)["content_id"]

    queue.set(task.id, status="pending")

    (row,) = queue.claim(worker)
    assert (row["attempt"], row["content_id"]) == (2, content)


def test_content_of_a_completed_task_can_be_deleted(queue: Queue) -> None:
    task = queue.running()
    queue.store(task.worker, [task])

    queue.run("UPDATE content_generation_tasks SET content_id = NULL, result = NULL")
    queue.run("DELETE FROM contents")

    assert queue.status(task.id) == "completed"


@pytest.mark.parametrize("result", [None, '{"words": 5}'])
def test_completed_task_that_has_no_content_is_put_back_by_its_status_alone(
    queue: Queue, worker: int, result: str | None
) -> None:
    """Also a task completed by a plain UPDATE without a result."""
    id_ = queue.add(status="completed", completed_at="2001-01-01", result=result)

    queue.set(id_, status="pending")

    assert [row["id"] for row in queue.claim(worker)] == [id_]


def test_content_of_a_task_that_was_put_back_can_be_deleted(queue: Queue) -> None:
    task = queue.running()
    queue.store(task.worker, [task])
    queue.set(task.id, status="pending")

    queue.run("DELETE FROM contents")

    assert (queue.status(task.id), queue.row(task.id)["content_id"]) == ("pending", None)
