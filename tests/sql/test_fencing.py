"""A report is accepted only from the worker that holds the task, in its current attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.queue import Held, Queue

Report = Callable[[Queue, Held], object]

REPORTS: dict[str, tuple[Report, object]] = {
    "complete": (lambda queue, task: queue.complete(task.worker, [task], ['{"success": true}']), []),
    "store": (lambda queue, task: queue.store(task.worker, [task]), []),
    "fail": (lambda queue, task: queue.fail(task), None),
    "fail permanently": (lambda queue, task: queue.fail(task, permanent=True), None),
    "snooze": (lambda queue, task: queue.snooze(task), False),
    "release": (lambda queue, task: queue.release(task.worker, [task]), []),
}
"""By name: the report, and its result if it is not accepted."""

each_report = pytest.mark.parametrize("report", REPORTS)


def assert_refused(queue: Queue, report: str, task: Held) -> None:
    send, refusal = REPORTS[report]
    before = queue.row(task.id)

    assert send(queue, task) == refusal
    assert queue.row(task.id) == before
    assert queue.value("SELECT count(*) FROM contents") == 0


@each_report
def test_worker_that_does_not_hold_the_task_is_refused(queue: Queue, report: str) -> None:
    task = queue.running()

    assert_refused(queue, report, replace(task, worker=queue.register()))


@each_report
@pytest.mark.parametrize("difference", [-1, 1])
def test_attempt_that_is_not_the_current_one_is_refused(queue: Queue, report: str, difference: int) -> None:
    task = queue.running()

    assert_refused(queue, report, replace(task, attempt=task.attempt + difference))


@each_report
def test_stale_worker_changes_nothing_of_a_task_taken_over(queue: Queue, report: str) -> None:
    stale = queue.running()
    queue.silence(stale.worker)
    assert queue.rescue() == 1
    assert queue.claim(queue.register())[0]["id"] == stale.id

    assert_refused(queue, report, stale)


@each_report
def test_worker_that_claimed_the_task_again_cannot_report_its_earlier_attempt(queue: Queue, report: str) -> None:
    earlier = queue.running()
    queue.release(earlier.worker, [earlier])
    assert queue.claim(earlier.worker)[0]["id"] == earlier.id

    assert_refused(queue, report, earlier)


@each_report
@pytest.mark.parametrize("status", ["pending", "completed", "failed", "timeout"])
def test_task_that_is_not_processing_is_left_alone(queue: Queue, report: str, status: str) -> None:
    task = queue.running()
    queue.set(task.id, status=status, completed_at="2001-01-01")

    assert_refused(queue, report, task)


@each_report
def test_task_set_to_processing_by_hand_cannot_be_reported(queue: Queue, worker: int, report: str) -> None:
    task = queue.add(status="processing", started_at="2001-01-01")

    assert_refused(queue, report, Held(worker, task, 0))


@each_report
def test_task_that_does_not_exist_is_not_reported(queue: Queue, worker: int, report: str) -> None:
    send, refusal = REPORTS[report]

    assert send(queue, Held(worker, 999, 1)) == refusal


@each_report
def test_second_report_of_the_same_attempt_is_refused(queue: Queue, report: str) -> None:
    send, refusal = REPORTS[report]
    task = queue.running()
    assert send(queue, task) != refusal
    before = queue.row(task.id)

    assert send(queue, task) == refusal
    assert queue.row(task.id) == before
