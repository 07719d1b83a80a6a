"""heartbeat(): the tasks that a live worker must stop, and those that it gives back because it lost the claim's
answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg
import pytest

from tests.support.queue import Held, Queue


def claimed(queue: Queue, worker: int, count: int) -> list[Held]:
    for _ in range(count):
        queue.add()
    return [Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker, count)]


def test_heartbeat_counts_as_a_sign_of_life(queue: Queue, worker: int) -> None:
    queue.silence(worker)

    assert queue.heartbeat(worker) == []

    assert queue.value("SELECT heartbeat_at > clock_timestamp() - interval '5 seconds' FROM contentq.workers")
    assert queue.rescue() == 0


@pytest.mark.slow
def test_heartbeat_reports_how_busy_the_worker_is(queue: Queue, worker: int) -> None:
    queue.heartbeat(worker, 7)
    queue.heartbeat(worker)

    assert queue.value("SELECT busy FROM contentq.workers") == 7


def test_unknown_worker_is_told_so(queue: Queue) -> None:
    with pytest.raises(psycopg.Error, match="worker 999 is not registered") as refused:
        queue.heartbeat(999)

    assert refused.value.sqlstate == "CQ001"


def test_running_tasks_are_not_mentioned(queue: Queue) -> None:
    task = queue.running()
    before = queue.row(task.id)

    assert queue.heartbeat(task.worker) == []
    assert queue.row(task.id) == before


def test_cancelled_task_is_told_until_it_ends(queue: Queue) -> None:
    task = queue.running()
    queue.cancel(task.id)

    assert queue.heartbeat(task.worker) == [(task.id, 1)]
    assert queue.heartbeat(task.worker) == [(task.id, 1)]
    queue.complete(task.worker, [task])
    assert queue.heartbeat(task.worker) == []


@pytest.mark.parametrize("status", ["pending", "completed", "failed", "timeout"])
def test_task_that_was_taken_away_is_told_once(queue: Queue, status: str) -> None:
    task = queue.running()
    queue.set(task.id, status=status, completed_at="2001-01-01")
    before = queue.row(task.id)

    assert queue.heartbeat(task.worker) == [(task.id, 1)]

    after = queue.row(task.id)
    assert after == {**before, "worker_id": None, **{name: after[name] for name in ("xmin", "ctid", "updated_at")}}
    assert queue.heartbeat(task.worker) == []


def test_worker_hears_nothing_of_the_tasks_of_others(queue: Queue, worker: int) -> None:
    cancelled, swept = queue.running(), queue.running()
    queue.cancel(cancelled.id)
    queue.set(swept.id, timeout_at="2001-01-01")
    queue.sweep()

    assert queue.heartbeat(worker) == []


def test_heartbeat_does_not_wait_for_a_task_that_someone_has_locked(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    task = queue.running()
    queue.set(task.id, status="failed")
    other = connect_queue()
    with other.connection.transaction():
        other.run("SELECT FROM content_generation_tasks FOR UPDATE")
        queue.run("SET lock_timeout = '1ms'")

        assert queue.heartbeat(task.worker) == []
    assert queue.heartbeat(task.worker) == [(task.id, 1)]


def test_tasks_that_the_worker_does_not_know_of_are_released(queue: Queue, worker: int) -> None:
    tasks = claimed(queue, worker, 4)
    known = [tasks[0], tasks[2]]

    assert queue.heartbeat_with(worker, known, queue.now()) == []

    assert [queue.status(task.id) for task in tasks] == ["processing", "pending", "processing", "pending"]
    assert {queue.row(task.id)["retry_count"] for task in tasks} == {0}


def unheard(queue: Queue, worker: int) -> Held:
    """Claims the pending task and loses the answer; the next heartbeat does not list it."""
    queue.run("UPDATE content_generation_tasks SET scheduled_at = NULL")
    ((id_, attempt),) = [(row["id"], row["attempt"]) for row in queue.claim(worker)]
    queue.heartbeat_with(worker, [], queue.now())
    return Held(worker, id_, attempt)


def test_claim_that_was_not_heard_charges_nothing_the_first_time(queue: Queue, worker: int) -> None:
    id_ = queue.add(error_message="Too short", content_id=None)

    unheard(queue, worker)

    task = queue.row(id_)
    assert (task["status"], task["retry_count"], task["error_message"]) == ("pending", 0, "Too short")
    (note,) = task["attempt_errors"]
    assert (note["attempt"], note["worker_id"], note["error_class"]) == (1, worker, "ClaimUnheard")
    assert note["message"] == (
        f"Worker {worker} claimed attempt 1 but does not know of it: the reply to the claim was lost or too "
        "large, or the outcome could not be reported; no retry is charged the first time"
    )


def test_claim_that_is_never_heard_is_charged_from_the_second_time_on_until_the_task_ends_failed(
    queue: Queue, worker: int
) -> None:
    id_ = queue.add(max_retries=2)
    charged = []
    for _ in range(4):
        assert queue.status(id_) == "pending"
        unheard(queue, worker)
        charged.append(queue.row(id_)["retry_count"])

    task = queue.row(id_)
    assert charged == [0, 1, 2, 2]
    assert (task["status"], task["attempt"]) == ("failed", 4)
    assert task["error_message"].endswith("no retry is left (max_retries 2)")
    assert "does not know of it: the reply to the claim was lost" in task["error_message"]
    assert [error["attempt"] for error in task["attempt_errors"]] == [1, 2, 3, 4]


def test_claim_that_is_not_heard_again_waits_before_it_is_tried_once_more(queue: Queue, worker: int) -> None:
    """So that a task no worker can receive does not block all others."""
    id_ = queue.add()

    unheard(queue, worker)
    assert queue.row(id_)["scheduled_at"] is None
    unheard(queue, worker)

    task = queue.row(id_)
    assert task["scheduled_at"] > task["updated_at"]


def test_claims_of_several_workers_that_are_not_heard_are_charged_together(queue: Queue, worker: int) -> None:
    id_ = queue.add()

    unheard(queue, worker)
    unheard(queue, queue.register())

    assert queue.row(id_)["retry_count"] == 1


def test_task_that_was_put_back_by_an_operator_has_all_its_retries_also_when_claims_were_not_heard(
    queue: Queue, worker: int
) -> None:
    id_ = queue.add(max_retries=0)
    for _ in range(2):
        unheard(queue, worker)
    assert queue.status(id_) == "failed"

    queue.requeue(id_)

    ((claimed_id, attempt),) = [(row["id"], row["attempt"]) for row in queue.claim(worker)]
    assert queue.complete(worker, [Held(worker, claimed_id, attempt)]) == [id_]


def test_task_past_its_deadline_that_the_worker_does_not_know_of_ends_timeout(queue: Queue) -> None:
    task = queue.running()
    queue.set(task.id, timeout_at="2001-01-01")

    queue.heartbeat_with(task.worker, [], queue.now())

    assert (queue.status(task.id), queue.row(task.id)["attempt_errors"]) == ("timeout", [])


def test_task_that_was_claimed_after_the_list_was_complete_is_kept(queue: Queue, worker: int) -> None:
    (earlier,) = claimed(queue, worker, 1)
    complete_until = queue.now()
    (later,) = claimed(queue, worker, 1)

    assert queue.heartbeat_with(worker, [], complete_until) == []

    assert [queue.status(task.id) for task in (earlier, later)] == ["pending", "processing"]


def test_nothing_is_released_while_the_list_is_not_complete(queue: Queue, worker: int) -> None:
    (task,) = claimed(queue, worker, 1)
    before = queue.row(task.id)

    assert queue.heartbeat_with(worker, []) == []

    assert queue.row(task.id) == before


def test_attempt_that_the_worker_does_not_know_of_is_released_though_it_runs_an_earlier_one(queue: Queue) -> None:
    earlier = queue.running()
    queue.set(earlier.id, status="pending")
    queue.claim(earlier.worker)

    assert queue.heartbeat_with(earlier.worker, [earlier], queue.now()) == [(earlier.id, earlier.attempt)]

    assert queue.status(earlier.id) == "pending"


def test_list_of_one_worker_leaves_the_tasks_of_others_alone(queue: Queue, worker: int) -> None:
    other = queue.running()
    by_hand = queue.add(status="processing", started_at="2001-01-01")
    before = [queue.row(id_) for id_ in (other.id, by_hand)]

    assert queue.heartbeat_with(worker, [], queue.now()) == []

    assert [queue.row(id_) for id_ in (other.id, by_hand)] == before


def test_task_that_the_worker_does_not_know_of_and_was_cancelled_ends_failed(queue: Queue) -> None:
    task = queue.running()
    queue.cancel(task.id)

    queue.heartbeat_with(task.worker, [], queue.now())

    assert (queue.status(task.id), queue.row(task.id)["error_message"]) == ("failed", "Task cancelled")


def test_locked_task_that_the_worker_does_not_know_of_is_released_later(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    task = queue.running()
    other = connect_queue()
    with other.connection.transaction():
        other.run("SELECT FROM content_generation_tasks FOR UPDATE")
        queue.run("SET lock_timeout = '1ms'")
        queue.heartbeat_with(task.worker, [], queue.now())
        assert queue.status(task.id) == "processing"

    queue.heartbeat_with(task.worker, [], queue.now())

    assert queue.status(task.id) == "pending"


def test_listed_task_that_the_worker_no_longer_holds_is_told(queue: Queue) -> None:
    worker = queue.register()
    held, released, taken, deleted = (queue.running(worker) for _ in range(4))
    queue.release(worker, [taken])
    queue.claim(queue.register())
    queue.release(worker, [released])
    queue.run("DELETE FROM content_generation_tasks WHERE id = %s", deleted.id)

    told = queue.heartbeat_with(worker, [held, released, taken, deleted])

    assert told == [(task.id, 1) for task in (released, taken, deleted)]


def test_listed_attempt_that_has_ended_is_not_told(queue: Queue) -> None:
    task = queue.running()
    queue.complete(task.worker, [task])

    assert queue.heartbeat_with(task.worker, [task], queue.now()) == []


@pytest.mark.slow
@pytest.mark.parametrize("known", [0, 20_000])
def test_cost_of_a_long_list_is_linear_also_in_a_session_that_has_planned_on_an_empty_table(
    queue: Queue, worker: int, known: int
) -> None:
    queue.run("SET plan_cache_mode = force_generic_plan")
    queue.heartbeat_with(worker, [], queue.now())
    ids = queue.values(
        "INSERT INTO content_generation_tasks (account_id, status, started_at, attempt, worker_id) "
        "SELECT %s, 'processing', '2001-01-01', 1, %s FROM generate_series(1, 20000) RETURNING id",
        queue.account,
        worker,
    )
    queue.run("SET statement_timeout = '4s'")  # comparing each pair takes about 40

    queue.heartbeat_with(worker, [Held(worker, id_, 1) for id_ in ids[:known]], queue.now())

    released = queue.value("SELECT count(*) FROM content_generation_tasks WHERE status = 'pending'")
    assert released == (0 if known else 1000)


def test_cost_of_a_very_long_list_of_forged_ids_is_linear(queue: Queue, worker: int) -> None:
    """A hash table that is filled in the order of another one takes quadratic time."""

    def seconds(number: int) -> float:
        began = time.perf_counter()
        queue.run(
            "SELECT count(*) FROM contentq.heartbeat(%s, 0, "
            "ARRAY(SELECT n::bigint FROM generate_series(1, %s) AS n), array_fill(7, ARRAY[%s]), '2001-01-01')",
            worker,
            number,
            number,
        )
        return time.perf_counter() - began

    few = min(seconds(10_000) for _ in range(3))
    queue.run("SELECT set_config('statement_timeout', %s, false)", f"{20 * 4 * few * 1000:.0f}ms")

    seconds(200_000)  # quadratic: 400 times as long
