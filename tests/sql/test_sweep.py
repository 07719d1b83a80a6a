"""sweep_timeouts(): deadlines of pending and running tasks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.queue import Queue

PAST, FUTURE = "2001-01-01", "2999-01-01"


@pytest.mark.parametrize("scheduled_at", [None, FUTURE])
def test_waiting_task_past_its_deadline_ends_timeout(queue: Queue, scheduled_at: str | None) -> None:
    task = queue.add(timeout_at=PAST, scheduled_at=scheduled_at)
    before = queue.row(task)

    assert queue.sweep() == 1

    after = queue.row(task)
    changed = {"status": "timeout", "error_message": "Task timeout before execution", "scheduled_at": None}
    assert after == {**before, **changed, **{name: after[name] for name in ("xmin", "ctid", "updated_at")}}


def test_task_that_waits_for_its_next_attempt_keeps_the_error_of_the_last(queue: Queue) -> None:
    task = queue.add(attempt=2, error_message="429", scheduled_at=FUTURE, timeout_at=PAST)

    assert queue.sweep() == 1

    message = "Task timeout before the next attempt; the last one ended with: 429"
    assert queue.row(task)["error_message"] == message


def test_running_task_past_its_deadline_ends_timeout_and_its_worker_is_told(queue: Queue) -> None:
    task = queue.running()
    queue.set(task.id, timeout_at=PAST)
    before = queue.row(task.id)

    assert queue.sweep() == 1

    after = queue.row(task.id)
    changed = {"status": "timeout", "error_message": "Task execution timeout"}
    assert after == {**before, **changed, **{name: after[name] for name in ("xmin", "ctid", "updated_at")}}
    assert queue.heartbeat(task.worker) == [(task.id, task.attempt)]


def test_task_set_to_processing_by_hand_is_ended_by_its_deadline(queue: Queue) -> None:
    task = queue.add(status="processing", started_at=PAST, timeout_at=PAST)

    assert queue.sweep() == 1
    assert queue.row(task)["status"] == "timeout"
    assert queue.row(task)["error_message"] == "Task execution timeout"


def test_cancelled_task_past_its_deadline_ends_failed(queue: Queue) -> None:
    task = queue.running()
    queue.cancel(task.id)
    queue.set(task.id, timeout_at=PAST)

    assert queue.sweep() == 1
    assert queue.row(task.id)["status"] == "failed"
    assert queue.row(task.id)["error_message"] == "Task cancelled"
    assert queue.heartbeat(task.worker) == [(task.id, task.attempt)]


@pytest.mark.parametrize("timeout_at", [None, FUTURE])
def test_task_whose_deadline_has_not_passed_is_left_alone(queue: Queue, timeout_at: str | None) -> None:
    tasks = [
        queue.add(timeout_at=timeout_at),
        queue.add(timeout_at=timeout_at, status="processing", started_at=PAST),
    ]
    before = [queue.row(task) for task in tasks]

    assert queue.sweep() == 0
    assert [queue.row(task) for task in tasks] == before


@pytest.mark.parametrize("status", ["completed", "failed", "timeout"])
def test_task_that_has_ended_is_left_alone(queue: Queue, status: str) -> None:
    task = queue.add(status=status, timeout_at=PAST, completed_at=PAST)
    before = queue.row(task)

    assert queue.sweep() == 0
    assert queue.row(task) == before


def test_longest_overdue_come_first_up_to_max_rows(queue: Queue) -> None:
    later, sooner = queue.add(timeout_at="2002-01-01"), queue.add(timeout_at="2001-01-01")

    assert queue.sweep(1) == 1
    assert (queue.status(later), queue.status(sooner)) == ("pending", "timeout")
    assert [queue.sweep(), queue.sweep()] == [1, 0]


def test_row_that_someone_has_locked_is_passed_over(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    locked, free = queue.add(timeout_at=PAST), queue.add(timeout_at=PAST)
    other = connect_queue()
    with other.connection.transaction():
        other.run("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", locked)

        assert queue.sweep() == 1
        assert queue.status(free) == "timeout"
    assert queue.sweep() == 1
