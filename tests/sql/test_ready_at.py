"""ready_at: the time from which a task waits for its latest attempt, without deliberate delays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tests.support.queue import Held, Queue

PAST = "2001-01-01"

PutBack = Callable[[Queue, Held], None]

AN_HOUR_AGO = "clock_timestamp() - interval '1 hour'"


def waited(queue: Queue, task: int) -> timedelta:
    """How long a task has waited for its latest attempt."""
    value = queue.value(
        "SELECT started_at - coalesce(ready_at, submitted_at) FROM content_generation_tasks WHERE id = %s", task
    )
    assert isinstance(value, timedelta)
    assert value >= timedelta(0)
    return value


def age(queue: Queue, task: int) -> None:
    """Makes a task an hour older, by shifting its times."""
    queue.run(
        "UPDATE content_generation_tasks SET submitted_at = submitted_at - interval '1 hour', "
        "ready_at = ready_at - interval '1 hour', started_at = started_at - interval '1 hour', "
        "scheduled_at = scheduled_at - interval '1 hour', updated_at = CURRENT_TIMESTAMP WHERE id = %s",
        task,
    )


def started(queue: Queue, worker: int, task: int) -> Held:
    (row,) = queue.claim(worker)
    assert row["id"] == task
    return Held(worker, task, row["attempt"])


def test_task_that_was_never_put_back_waits_since_its_submission(queue: Queue, worker: int) -> None:
    task = queue.add()
    age(queue, task)

    started(queue, worker, task)

    assert queue.row(task)["ready_at"] is None
    assert waited(queue, task) >= timedelta(hours=1)


@pytest.mark.parametrize("through", ["claim", "promotion"])
def test_scheduled_task_waits_since_its_time(queue: Queue, worker: int, through: str) -> None:
    task = queue.add(scheduled_at="2999-01-01")
    age(queue, task)
    queue.run(f"UPDATE content_generation_tasks SET scheduled_at = {AN_HOUR_AGO} + interval '50 minutes'")
    if through == "promotion":
        assert queue.value("SELECT contentq.promote_scheduled()") == 1

    started(queue, worker, task)

    assert timedelta(minutes=10) <= waited(queue, task) < timedelta(minutes=11)


@pytest.mark.parametrize("time", ["-infinity", PAST])
def test_time_before_the_submission_is_none_at_which_it_waited(queue: Queue, worker: int, time: str) -> None:
    tasks = [queue.add(scheduled_at=time) for _ in range(3)]
    assert len(queue.claim(worker, 3)) == 3
    assert all(waited(queue, task) < timedelta(minutes=1) for task in tasks)


def test_task_that_is_claimed_by_name_before_its_time_has_not_waited(queue: Queue, worker: int) -> None:
    task = queue.add(scheduled_at="infinity")
    age(queue, task)

    assert queue.claim_named(worker, [task]) == [task]

    assert waited(queue, task) < timedelta(seconds=10)


def failed_at_once(queue: Queue, held: Held) -> None:
    queue.fail(held, retry_after="0 seconds")


def failed_with_a_delay(queue: Queue, held: Held) -> None:
    queue.fail(held, retry_after="1 hour")
    queue.run(
        "UPDATE content_generation_tasks SET scheduled_at = clock_timestamp(), updated_at = CURRENT_TIMESTAMP"
    )


def snoozed(queue: Queue, held: Held) -> None:
    queue.value("SELECT contentq.snooze(%s, %s, %s, now())", held.worker, held.id, held.attempt)


def released(queue: Queue, held: Held) -> None:
    queue.release(held.worker, [held])


def revised(queue: Queue, held: Held) -> None:
    assert queue.revise(held) == "pending"


def requeued(queue: Queue, held: Held) -> None:
    queue.fail(held, permanent=True)
    queue.requeue(held.id)


def put_back_by_hand(queue: Queue, held: Held) -> None:
    queue.set(held.id, status="pending")


def put_back_by_hand_as_new(queue: Queue, held: Held) -> None:
    queue.set(held.id, status="pending", started_at=None)


def rescued(queue: Queue, held: Held) -> None:
    queue.silence(held.worker)
    assert queue.rescue() == 1


@pytest.mark.parametrize(
    ("put_back", "scheduled_at"),
    [
        (failed_at_once, None),
        (failed_at_once, PAST),
        (failed_with_a_delay, PAST),
        (snoozed, PAST),
        (released, None),
        (revised, PAST),
        (requeued, PAST),
        (put_back_by_hand, None),
        (put_back_by_hand_as_new, PAST),
        (rescued, PAST),
    ],
)
def test_task_that_comes_back_waits_since_it_came_back(
    queue: Queue, put_back: PutBack, scheduled_at: str | None
) -> None:
    first, second = queue.register(), queue.register()
    task = queue.add(scheduled_at=scheduled_at)
    held = started(queue, first, task)
    age(queue, task)

    put_back(queue, held)
    started(queue, second, task)

    assert queue.row(task)["attempt"] == 2
    assert waited(queue, task) < timedelta(minutes=1)


def test_task_that_never_started_and_is_requeued_waits_since_then(queue: Queue, worker: int) -> None:
    task = queue.add()
    age(queue, task)
    queue.value("SELECT contentq.cancel(task_id) FROM content_generation_tasks")

    queue.requeue(task)
    started(queue, worker, task)

    assert waited(queue, task) < timedelta(minutes=1)


def test_schedule_that_is_taken_away_by_hand_ends_then(queue: Queue, worker: int) -> None:
    task = queue.add(scheduled_at="2999-01-01")
    age(queue, task)

    queue.set(task, scheduled_at=None)
    started(queue, worker, task)

    assert waited(queue, task) < timedelta(minutes=1)


def test_change_of_something_else_leaves_it(queue: Queue, worker: int) -> None:
    task = queue.add()
    age(queue, task)

    queue.set(task, priority=9)
    started(queue, worker, task)

    assert waited(queue, task) >= timedelta(hours=1)


def test_who_says_when_it_was_ready_is_believed(queue: Queue) -> None:
    task = queue.add(status="failed")

    queue.set(task, status="pending", ready_at=PAST)

    ready_at = queue.row(task)["ready_at"]
    assert isinstance(ready_at, datetime)
    assert ready_at.year in (2000, 2001)
