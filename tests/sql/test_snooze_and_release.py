"""snooze() and release(): back to pending without a charge."""

from __future__ import annotations

from datetime import timedelta

from tests.support.queue import Held, Queue


def test_snoozed_task_waits_and_nothing_is_charged(queue: Queue) -> None:
    task = queue.running(retry_count=2)
    before = queue.row(task.id)

    assert queue.snooze(task, "1 hour", "The provider answered 429")

    after = queue.row(task.id)
    wait = after["scheduled_at"] - queue.value("SELECT clock_timestamp()")
    assert timedelta(minutes=59) < wait <= timedelta(hours=1)
    changed = {"status": "pending", "worker_id": None, "error_message": "The provider answered 429"}
    volatile = {name: after[name] for name in ("xmin", "ctid", "updated_at", "scheduled_at")}
    assert after == {**before, **changed, **volatile}
    assert queue.claim(task.worker) == []


def test_snooze_without_a_message_keeps_the_earlier_error(queue: Queue) -> None:
    task = queue.running(error_message="An earlier error")

    queue.snooze(task)

    assert queue.row(task.id)["error_message"] == "An earlier error"


def test_snooze_until_now_is_ready_at_once_in_its_next_attempt(queue: Queue) -> None:
    task = queue.running()

    assert queue.snooze(task, "-1 second")

    assert queue.row(task.id)["scheduled_at"] is None
    assert [row["attempt"] for row in queue.claim(task.worker)] == [2]


def test_long_message_of_a_snooze_is_cut(queue: Queue) -> None:
    task = queue.running()

    queue.snooze(task, message="x" * 9000)

    assert queue.row(task.id)["error_message"] == "x" * 8000 + " ... (truncated from 9000 characters)"


def test_released_task_is_ready_and_nothing_is_charged(queue: Queue) -> None:
    task = queue.running(error_message="An earlier error")
    before = queue.row(task.id)

    assert queue.release(task.worker, [task]) == [task.id]

    after = queue.row(task.id)
    changed = {"status": "pending", "worker_id": None}
    assert after == {**before, **changed, **{name: after[name] for name in ("xmin", "ctid", "updated_at")}}
    assert [row["attempt"] for row in queue.claim(task.worker)] == [2]


def test_release_tells_which_of_a_batch_went_back(queue: Queue, worker: int) -> None:
    ids = [queue.add() for _ in range(4)]
    tasks = [Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker, 10)]
    queue.cancel(ids[0])
    queue.complete(worker, [tasks[1]])

    assert queue.release(worker, tasks) == ids[2:]
    assert [queue.status(id_) for id_ in ids] == ["failed", "completed", "pending", "pending"]
