"""Workers come and go: register_worker(), drain_worker(), reconcile(), deregister_worker()."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.queue import Held, Queue


def claimed(queue: Queue, worker: int, count: int) -> list[Held]:
    for _ in range(count):
        queue.add()
    return [Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker, count)]


def reconcile(queue: Queue, worker: int, held: list[Held]) -> list[int]:
    query = "SELECT contentq.reconcile(%s, %s::integer[], %s::integer[])"
    return sorted(queue.values(query, worker, [task.id for task in held], [task.attempt for task in held]))


def deregister(queue: Queue, worker: int) -> list[int]:
    return sorted(queue.values("SELECT contentq.deregister_worker(%s)", worker))


def test_worker_is_registered_with_what_it_says_of_itself(queue: Queue) -> None:
    id_ = queue.value("SELECT contentq.register_worker('host', 42, 8, 'my:handler', 'openai', '1.2')")

    (row,) = queue.rows("SELECT * FROM contentq.workers")
    assert row == {
        "id": id_,
        "hostname": "host",
        "pid": 42,
        "started_at": row["started_at"],
        "heartbeat_at": row["heartbeat_at"],
        "slots": 8,
        "busy": 0,
        "handler": "my:handler",
        "gate": "openai",
        "version": "1.2",
        "draining": False,
    }
    assert queue.value("SELECT clock_timestamp() - %s < interval '10 seconds'", row["heartbeat_at"])


def test_id_of_a_worker_is_never_used_twice(queue: Queue) -> None:
    first = queue.register()
    deregister(queue, first)

    assert queue.register() > first


def test_worker_without_slots_is_refused(queue: Queue) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        queue.register(slots=0)


def test_draining_worker_is_marked_and_keeps_its_tasks(queue: Queue) -> None:
    task = queue.running()

    queue.run("SELECT contentq.drain_worker(%s)", task.worker)

    assert queue.values("SELECT draining FROM contentq.workers") == [True]
    assert queue.complete(task.worker, [task]) == [task.id]


def test_draining_an_unknown_worker_is_no_error(queue: Queue) -> None:
    queue.run("SELECT contentq.drain_worker(999)")


def test_tasks_that_the_worker_does_not_know_of_are_released(queue: Queue, worker: int) -> None:
    tasks = claimed(queue, worker, 4)
    known = [tasks[0], tasks[2]]

    assert reconcile(queue, worker, known) == [tasks[1].id, tasks[3].id]

    assert [queue.status(task.id) for task in tasks] == ["processing", "pending", "processing", "pending"]
    assert {queue.row(task.id)["retry_count"] for task in tasks} == {0}
    assert reconcile(queue, worker, known) == []


def test_attempt_that_the_worker_does_not_know_of_is_released_though_it_runs_an_earlier_one(queue: Queue) -> None:
    earlier = queue.running()
    queue.set(earlier.id, status="pending")
    queue.claim(earlier.worker)

    assert reconcile(queue, earlier.worker, [earlier]) == [earlier.id]


def test_worker_that_knows_nothing_gets_everything_released(queue: Queue, worker: int) -> None:
    tasks = claimed(queue, worker, 3)

    assert reconcile(queue, worker, []) == [task.id for task in tasks]


def test_reconciling_leaves_the_tasks_of_others_alone(queue: Queue, worker: int) -> None:
    other = queue.running()
    by_hand = queue.add(status="processing", started_at="2001-01-01")
    before = [queue.row(id_) for id_ in (other.id, by_hand)]

    assert reconcile(queue, worker, []) == []
    assert [queue.row(id_) for id_ in (other.id, by_hand)] == before


def test_reconciled_task_that_was_cancelled_ends_failed(queue: Queue) -> None:
    task = queue.running()
    queue.cancel(task.id)

    assert reconcile(queue, task.worker, []) == []
    assert queue.row(task.id)["error_message"] == "Task cancelled"


def test_worker_that_leaves_gives_its_tasks_back_and_is_removed(queue: Queue, worker: int) -> None:
    staying, tasks = queue.running(), claimed(queue, worker, 3)
    before = queue.row(staying.id)

    assert deregister(queue, worker) == [task.id for task in tasks]

    rows = [queue.row(task.id) for task in tasks]
    assert {(row["status"], row["retry_count"], row["worker_id"]) for row in rows} == {("pending", 0, None)}
    assert queue.values("SELECT id FROM contentq.workers") == [staying.worker]
    assert queue.row(staying.id) == before


def test_worker_that_leaves_takes_its_mark_from_tasks_that_were_taken_away(queue: Queue) -> None:
    task = queue.running()
    queue.set(task.id, timeout_at="2001-01-01")
    queue.sweep()

    assert deregister(queue, task.worker) == []
    assert queue.row(task.id)["worker_id"] is None
    assert queue.status(task.id) == "timeout"


def test_unknown_worker_can_leave(queue: Queue) -> None:
    assert deregister(queue, 999) == []
