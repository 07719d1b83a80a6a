"""cancel() and requeue(): operations on one task."""

from __future__ import annotations

import pytest

from tests.support.queue import Held, Queue, Row

ENDED = {"completed_at": "2001-01-01", "started_at": "2001-01-01"}


def change(before: Row, after: Row) -> Row:
    """The columns that differ, without those that every update changes."""
    return {
        name: value
        for name, value in after.items()
        if value != before[name] and name not in {"xmin", "ctid", "updated_at", "ready_at"}
    }


@pytest.mark.parametrize("scheduled_at", [None, "2999-01-01"])
def test_waiting_task_is_cancelled_at_once(queue: Queue, worker: int, scheduled_at: str | None) -> None:
    task = queue.add(scheduled_at=scheduled_at)
    before = queue.row(task)

    assert queue.cancel(task) == "failed"

    after = queue.row(task)
    assert after["scheduled_at"] is None
    changed = change(before, {**after, "scheduled_at": before["scheduled_at"]})
    assert changed.pop("cancel_requested_at") >= before["updated_at"]
    assert changed == {"status": "failed", "error_message": "Task cancelled"}
    assert queue.claim(worker) == []


def test_running_task_is_asked_to_stop(queue: Queue) -> None:
    task = queue.running()
    before = queue.row(task.id)

    assert queue.cancel(task.id) == "processing"

    changed = change(before, queue.row(task.id))
    assert set(changed) == {"cancel_requested_at"}


def test_cancelling_twice_keeps_the_first_time(queue: Queue) -> None:
    task = queue.running()
    queue.cancel(task.id)
    first = queue.row(task.id)["cancel_requested_at"]

    assert queue.cancel(task.id) == "processing"
    assert queue.row(task.id)["cancel_requested_at"] == first


def test_task_set_to_processing_by_hand_is_cancelled_at_once(queue: Queue) -> None:
    task = queue.add(status="processing", started_at="2001-01-01")

    assert queue.cancel(task) == "failed"
    assert queue.row(task)["error_message"] == "Task cancelled"


@pytest.mark.parametrize("status", ["completed", "failed", "timeout"])
def test_task_that_has_ended_cannot_be_cancelled(queue: Queue, status: str) -> None:
    task = queue.add(status=status, **ENDED)
    before = queue.row(task)

    assert queue.cancel(task) is None
    assert queue.row(task) == before


def test_unknown_task_cannot_be_cancelled_or_requeued(queue: Queue) -> None:
    assert queue.value("SELECT contentq.cancel('task-unknown')") is None
    assert queue.value("SELECT contentq.requeue('task-unknown')") is None


@pytest.mark.parametrize("status", ["failed", "timeout"])
def test_requeued_task_has_all_its_retries_again(queue: Queue, worker: int, status: str) -> None:
    task = queue.add(
        status=status,
        retry_count=3,
        attempt=4,
        error_message="It broke",
        cancel_requested_at="2001-01-01",
        scheduled_at="2999-01-01",
        timeout_at="2001-01-01",
        **ENDED,
    )
    before = queue.row(task)

    assert queue.requeue(task) == "pending"

    assert change(before, queue.row(task)) == {
        "status": "pending",
        "retry_count": 0,
        "scheduled_at": None,
        "completed_at": None,
        "timeout_at": None,
        "cancel_requested_at": None,
    }
    assert [row["attempt"] for row in queue.claim(worker)] == [5]


def test_deadline_still_to_come_is_kept(queue: Queue) -> None:
    task = queue.add(status="failed", timeout_at="2999-01-01")
    before = queue.row(task)

    queue.requeue(task)

    assert queue.row(task)["timeout_at"] == before["timeout_at"]


@pytest.mark.parametrize("status", ["pending", "processing", "completed"])
def test_task_that_did_not_fail_cannot_be_requeued(queue: Queue, status: str) -> None:
    task = queue.add(status=status, **ENDED)
    before = queue.row(task)

    assert queue.requeue(task) is None
    assert queue.row(task) == before


def test_requeued_task_can_be_cancelled_again(queue: Queue) -> None:
    task = queue.add()
    queue.cancel(task)
    queue.requeue(task)

    assert queue.cancel(task) == "failed"


@pytest.fixture
def rejected(queue: Queue) -> int:
    """A completed task whose content was rejected in review."""
    task = queue.running(auto_approve=False)
    queue.store(task.worker, [task], extras=['{"model": "small"}'])
    queue.run("UPDATE contents SET review_status = 'rejected'")
    return task.id


def test_task_with_rejected_content_goes_back_for_a_revision(queue: Queue, worker: int, rejected: int) -> None:
    before = queue.row(rejected)

    assert queue.requeue(rejected, "Too long; name the source") == "pending"

    assert change(before, queue.row(rejected)) == {
        "status": "pending",
        "completed_at": None,
        "error_message": "Too long; name the source",
        "revision_note": "Too long; name the source",
    }
    (again,) = queue.claim(worker)
    assert (again["attempt"], again["content_id"]) == (2, before["content_id"])
    assert again["error_message"] == "Too long; name the source"


def test_revision_gets_content_of_its_own_and_the_rejected_one_stays(
    queue: Queue, worker: int, rejected: int
) -> None:
    queue.requeue(rejected)
    (again,) = queue.claim(worker)

    assert queue.store(worker, [Held(worker, rejected, again["attempt"])]) == [rejected]

    assert queue.values("SELECT review_status FROM contents ORDER BY id") == ["rejected", "pending"]
    assert queue.row(rejected)["content_id"] == queue.value("SELECT max(id) FROM contents")
    assert queue.row(rejected)["error_message"] is None


@pytest.mark.parametrize("review", ["pending", "approved"])
def test_task_with_content_that_was_not_rejected_stays_completed(queue: Queue, rejected: int, review: str) -> None:
    queue.run("UPDATE contents SET review_status = %s", review)
    before = queue.row(rejected)

    assert queue.requeue(rejected, "Too long") is None
    assert queue.row(rejected) == before


def test_note_takes_the_place_of_the_error_and_without_one_that_stays(queue: Queue) -> None:
    task = queue.add(status="failed", error_message="It broke")

    queue.requeue(task)
    assert queue.row(task)["error_message"] == "It broke"
    queue.set(task, status="failed")
    queue.requeue(task, "x" * 9000)
    assert queue.row(task)["error_message"] == "x" * 8000 + " ... (truncated from 9000 characters)"


def test_requeue_by_the_task_alone_is_one_function(queue: Queue) -> None:
    """Older callers pass one argument."""
    queue.add(task_id="post-7", status="failed")

    assert queue.value("SELECT contentq.requeue('post-7')") == "pending"
