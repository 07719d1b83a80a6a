"""rescue_dead_workers(): tasks of silent workers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.support.queue import Held, Queue
from tests.support.waiting import eventually


def workers(queue: Queue) -> list[int]:
    return queue.values("SELECT id FROM contentq.workers ORDER BY id")


def test_task_of_a_silent_worker_goes_back_with_one_retry_charged(queue: Queue) -> None:
    task = queue.running()
    queue.silence(task.worker)
    before = queue.row(task.id)

    assert queue.rescue() == 1

    after = queue.row(task.id)
    assert "The worker that ran attempt 1 died" in after["error_message"]
    assert f"worker {task.worker}, host pid 4711, silent since" in after["error_message"]
    assert after["error_message"].endswith("retry 1 of 3 follows")
    (error,) = after["attempt_errors"]
    assert (error["attempt"], error["worker_id"], error["error_class"]) == (1, task.worker, "WorkerDied")
    changed = {"status": "pending", "retry_count": 1, "worker_id": None}
    volatile = {name: after[name] for name in ("xmin", "ctid", "updated_at", "error_message", "attempt_errors")}
    assert after == {**before, **changed, **volatile}


def test_rescued_task_can_be_claimed_at_once(queue: Queue, worker: int) -> None:
    task = queue.running()
    queue.silence(task.worker)
    queue.rescue()

    (row,) = queue.claim(worker)

    assert (row["id"], row["attempt"]) == (task.id, 2)


@pytest.mark.parametrize("max_retries", [0, 1, 3])
def test_task_that_kills_its_workers_ends_failed(queue: Queue, max_retries: int) -> None:
    task = queue.add(max_retries=max_retries)
    for _ in range(max_retries + 1):
        worker = queue.register()
        assert [row["id"] for row in queue.claim(worker)] == [task]
        queue.silence(worker)
        assert queue.rescue() == 1

    row = queue.row(task)
    assert (row["status"], row["retry_count"], row["attempt"]) == ("failed", max_retries, max_retries + 1)
    assert row["error_message"].endswith(f"no retry is left (max_retries {max_retries})")


def test_silent_worker_is_removed_and_told_so_when_it_comes_back(queue: Queue) -> None:
    task = queue.running()
    queue.silence(task.worker)

    queue.rescue()

    assert workers(queue) == []
    assert queue.fail(task) is None


def test_live_worker_and_its_tasks_are_left_alone(queue: Queue) -> None:
    task = queue.running()
    before = queue.row(task.id)

    assert queue.rescue() == 0
    assert queue.row(task.id) == before
    assert workers(queue) == [task.worker]


def test_silence_is_measured_against_the_bound_that_is_given(queue: Queue) -> None:
    task = queue.running()
    queue.silence(task.worker, "20 seconds")

    assert queue.rescue("30 seconds") == 0
    assert queue.rescue("10 seconds") == 1


def test_silent_worker_without_tasks_is_removed(queue: Queue, worker: int) -> None:
    queue.silence(worker)

    assert queue.rescue() == 0
    assert workers(queue) == []


def test_task_of_a_worker_that_is_not_registered_is_taken_back(queue: Queue) -> None:
    orphan = queue.add(status="processing", started_at="2001-01-01", worker_id=999, attempt=1)

    assert queue.rescue() == 1

    row = queue.row(orphan)
    assert (row["status"], row["retry_count"], row["worker_id"]) == ("pending", 1, None)
    assert "worker 999, no longer registered" in row["error_message"]


def test_task_set_to_processing_by_hand_is_left_alone(queue: Queue) -> None:
    by_hand = queue.add(status="processing", started_at="2001-01-01")
    before = queue.row(by_hand)

    assert queue.rescue() == 0
    assert queue.row(by_hand) == before


def test_cancelled_task_of_a_silent_worker_ends_failed(queue: Queue) -> None:
    task = queue.running()
    queue.cancel(task.id)
    queue.silence(task.worker)

    assert queue.rescue() == 1

    row = queue.row(task.id)
    assert (row["status"], row["error_message"], row["retry_count"]) == ("failed", "Task cancelled", 0)
    assert row["worker_id"] is None


def test_mark_of_a_silent_worker_on_ended_tasks_is_removed(queue: Queue) -> None:
    task = queue.running()
    queue.set(task.id, timeout_at="2001-01-01")
    queue.sweep()
    queue.silence(task.worker)

    assert queue.rescue() == 0
    assert queue.row(task.id)["worker_id"] is None
    assert queue.status(task.id) == "timeout"


def test_worker_is_given_up_though_one_of_its_tasks_is_locked_and_that_one_is_taken_later(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    task = queue.running()
    queue.silence(task.worker)
    other = connect_queue()
    with other.connection.transaction():
        other.run("SELECT FROM content_generation_tasks FOR UPDATE")

        assert queue.rescue() == 0
        assert workers(queue) == []
    with pytest.raises(psycopg.Error, match="is not registered"):
        queue.heartbeat(task.worker)
    assert queue.rescue() == 1
    assert "no longer registered" in queue.row(task.id)["error_message"]


@pytest.mark.slow
def test_more_tasks_than_one_call_takes_are_taken_by_the_next(queue: Queue, worker: int) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id) SELECT %s FROM generate_series(1, 1001)", queue.account
    )
    assert len(queue.claim(worker, 2000)) == 1001
    queue.silence(worker)

    assert queue.rescue() == 1000
    assert queue.rescue() == 1
    assert queue.rescue() == 0


@pytest.mark.slow
def test_task_that_a_live_worker_claims_while_the_rescue_is_under_way_is_left_to_it(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    dead = queue.register(slots=300)
    tasks = [queue.add() for _ in range(200)]
    queue.claim(dead, 200)
    queue.silence(dead)
    # The rescue waits at its first task, after it has selected all of them.
    queue.run(
        "CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END $$"
    )
    queue.run(
        "CREATE TRIGGER wait_here BEFORE UPDATE ON content_generation_tasks "
        f"FOR EACH ROW WHEN (OLD.id = {tasks[0]}) EXECUTE FUNCTION wait_here()"
    )
    rescuer, live = connect_queue(), queue.register()
    with ThreadPoolExecutor(1) as pool:
        with queue.connection.transaction():
            queue.run("SELECT pg_advisory_xact_lock(42)")
            rescuing = pool.submit(rescuer.rescue)
            other = connect_queue()
            eventually(lambda: other.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == 1)
            other.release(dead, [Held(dead, tasks[-1], 1)])
            assert [row["id"] for row in other.claim(live)] == [tasks[-1]]
        rescued = rescuing.result(10)

    row = queue.row(tasks[-1])
    assert (row["status"], row["worker_id"], row["retry_count"], rescued) == ("processing", live, 0, 199)


def test_orphan_that_a_live_worker_claims_is_left_to_it(queue: Queue) -> None:
    task = queue.running()
    queue.run("DELETE FROM contentq.workers WHERE id = %s", task.worker)
    assert queue.rescue() == 1
    live = queue.register()
    queue.claim(live)

    assert queue.rescue() == 0
    assert queue.row(task.id)["worker_id"] == live


def test_task_of_a_worker_that_was_told_to_stop_and_killed_is_not_charged(queue: Queue) -> None:
    task = queue.running(max_retries=0)
    queue.run("SELECT contentq.drain_worker(%s)", task.worker)
    queue.silence(task.worker)
    before = queue.row(task.id)

    assert queue.rescue() == 1

    after = queue.row(task.id)
    volatile = {name: after[name] for name in ("xmin", "ctid", "updated_at")}
    assert after == {**before, "status": "pending", "worker_id": None, **volatile}
    assert queue.heartbeat(queue.register()) == []


def test_cancelled_task_of_a_worker_that_was_told_to_stop_ends_failed(queue: Queue) -> None:
    task = queue.running()
    queue.cancel(task.id)
    queue.run("SELECT contentq.drain_worker(%s)", task.worker)
    queue.silence(task.worker)

    assert queue.rescue() == 1

    row = queue.row(task.id)
    assert (row["status"], row["error_message"]) == ("failed", "Task cancelled")


def rescued_tasks(queue: Queue) -> list[tuple[object, ...]]:
    query = "SELECT worker_id, hostname, pid, is_charged, id, attempt, status FROM contentq.rescued_tasks"
    return [tuple(row.values()) for row in queue.rows(query)]


def test_what_was_taken_from_whom_is_kept_and_raised_as_a_warning(queue: Queue) -> None:
    killed, stopping = queue.running(max_retries=0), queue.running()
    queue.run("SELECT contentq.drain_worker(%s)", stopping.worker)
    idle = queue.register()
    queue.running()
    for worker in (killed.worker, stopping.worker, idle):
        queue.silence(worker)
    warnings: list[str] = []
    queue.connection.add_notice_handler(lambda notice: warnings.append(str(notice.message_primary)))

    queue.rescue()

    assert sorted(rescued_tasks(queue)) == sorted(
        [
            (killed.worker, "host", 4711, True, killed.id, 1, "failed"),
            (stopping.worker, "host", 4711, False, stopping.id, 1, "pending"),
        ]
    )
    (row,) = queue.rows("SELECT * FROM contentq.dead_workers WHERE worker_id = %s", idle)
    assert (row["ids"], row["handler"], row["version"], row["draining"]) == ([], "template", "1.0", False)
    assert row["started_at"] > row["heartbeat_at"]
    assert len(warnings) == 3
    for worker, count in ((killed.worker, 1), (stopping.worker, 1), (idle, 0)):
        start = f"tasks rescued from a dead worker: {count} (worker {worker}, host pid 4711, silent since "
        (warning,) = (warning for warning in warnings if warning.startswith(start))
        assert warning.endswith("because it was draining") is (worker == stopping.worker)


def test_tasks_of_a_worker_that_is_not_registered_are_named_too(queue: Queue) -> None:
    orphan = queue.add(status="processing", started_at="2001-01-01", worker_id=999, attempt=7)

    queue.rescue()

    assert rescued_tasks(queue) == [(999, None, None, True, orphan, 7, "pending")]


def test_dead_workers_are_forgotten_after_the_retention(queue: Queue) -> None:
    for age, retention, kept in (("29 days", None, 1), ("31 days", None, 0), ("2 days", "1 day", 0)):
        queue.silence(queue.register())
        queue.rescue()
        queue.run("UPDATE contentq.dead_workers SET found_at = clock_timestamp() - %s::interval", age)
        queue.run("UPDATE contentq.settings SET retention = %s::interval", retention)
        queue.run("UPDATE contentq.maintenance SET cleaned_at = '2001-01-01'")

        queue.value("SELECT contentq.maintain()")

        assert queue.value("SELECT count(*) FROM contentq.dead_workers") == kept
