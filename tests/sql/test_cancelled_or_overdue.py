"""A task that was cancelled or passed its deadline while it ran ends that way, whatever its worker reports."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.queue import Held, Queue
from tests.support.waiting import eventually

Report = Callable[[Queue, Held], object]

REPORTS: dict[str, tuple[Report, object, object]] = {
    "complete": (lambda queue, task: queue.complete(task.worker, [task], ["{}"]), [], []),
    "store": (lambda queue, task: queue.store(task.worker, [task]), [], []),
    "fail": (lambda queue, task: queue.fail(task), "failed", "timeout"),
    "fail permanently": (lambda queue, task: queue.fail(task, permanent=True), "failed", "timeout"),
    "snooze": (lambda queue, task: queue.snooze(task), False, False),
    "release": (lambda queue, task: queue.release(task.worker, [task]), [], []),
}
"""By name: the report, its result for a cancelled task, and its result after the deadline."""

each_report = pytest.mark.parametrize("report", REPORTS)


def assert_ended(queue: Queue, task: Held, before: dict[str, object], status: str, message: str) -> None:
    after = queue.row(task.id)
    changed = {"status": status, "error_message": message, "worker_id": None}
    volatile = {name: after[name] for name in ("xmin", "ctid", "updated_at")}
    assert after == {**before, **changed, **volatile}
    assert queue.value("SELECT count(*) FROM contents") == 0


@each_report
def test_cancelled_task_ends_failed(queue: Queue, report: str) -> None:
    send, answer, _ = REPORTS[report]
    task = queue.running()
    assert queue.cancel(task.id) == "processing"
    before = queue.row(task.id)

    assert send(queue, task) == answer
    assert_ended(queue, task, before, "failed", "Task cancelled")


@each_report
def test_task_past_its_deadline_ends_timeout(queue: Queue, report: str) -> None:
    send, _, answer = REPORTS[report]
    task = queue.running()
    queue.set(task.id, timeout_at="2001-01-01")
    before = queue.row(task.id)

    assert send(queue, task) == answer
    assert_ended(queue, task, before, "timeout", "Task execution timeout")


@each_report
def test_cancelling_wins_over_the_deadline(queue: Queue, report: str) -> None:
    send, answer, _ = REPORTS[report]
    task = queue.running()
    queue.cancel(task.id)
    queue.set(task.id, timeout_at="2001-01-01")
    before = queue.row(task.id)

    assert send(queue, task) == answer
    assert_ended(queue, task, before, "failed", "Task cancelled")


@each_report
def test_cancel_that_commits_while_the_report_waits_for_it_is_not_lost(
    queue: Queue, connect_queue: Callable[[], Queue], report: str
) -> None:
    send, answer, _ = REPORTS[report]
    task, operator, reporter = queue.running(), connect_queue(), connect_queue()
    with ThreadPoolExecutor(1) as pool:
        with operator.connection.transaction():
            assert operator.cancel(task.id) == "processing"
            before = operator.row(task.id)
            answered = pool.submit(send, reporter, task)
            eventually(
                lambda: queue.value(
                    "SELECT cardinality(pg_blocking_pids(%s)) > 0", reporter.connection.info.backend_pid
                )
            )
        assert answered.result(10) == answer
    assert_ended(queue, task, before, "failed", "Task cancelled")


@each_report
def test_stale_report_of_an_overtaken_task_changes_nothing(queue: Queue, report: str) -> None:
    send = REPORTS[report][0]
    task = queue.running()
    queue.cancel(task.id)
    queue.set(task.id, timeout_at="2001-01-01")
    before = queue.row(task.id)

    send(queue, Held(queue.register(), task.id, task.attempt))
    send(queue, Held(task.worker, task.id, task.attempt - 1))

    assert queue.row(task.id) == before


def test_rest_of_the_batch_counts(queue: Queue, worker: int) -> None:
    ids = [queue.add() for _ in range(4)]
    tasks = [Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker, 10)]
    queue.cancel(ids[1])
    queue.set(ids[2], timeout_at="2001-01-01")

    assert queue.complete(worker, tasks) == [ids[0], ids[3]]
    assert [queue.status(id_) for id_ in ids] == ["completed", "failed", "timeout", "completed"]
