"""heartbeat(): what a live worker is told to stop."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from tests.support.queue import Queue


def test_heartbeat_counts_as_a_sign_of_life(queue: Queue, worker: int) -> None:
    queue.silence(worker)

    assert queue.heartbeat(worker) == []

    assert queue.value("SELECT heartbeat_at > clock_timestamp() - interval '5 seconds' FROM contentq.workers")
    assert queue.rescue() == 0


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
