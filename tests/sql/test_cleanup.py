"""cleanup() and cleanup_failed() delete old tasks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.queue import Queue


def cleanup(queue: Queue, older_than: str = "30 days", max_rows: int = 1000) -> int:
    return int(queue.value("SELECT contentq.cleanup(%s::interval, %s)", older_than, max_rows))


def completed(queue: Queue, age: str) -> int:
    return queue.add(status="completed", completed_at=queue.value("SELECT clock_timestamp() - %s::interval", age))


def cleanup_failed(queue: Queue, older_than: str = "30 days", max_rows: int = 1000) -> int:
    return int(queue.value("SELECT contentq.cleanup_failed(%s::interval, %s)", older_than, max_rows))


def failed(queue: Queue, age: str, status: str = "failed") -> int:
    """A task that ended this long ago."""
    return queue.add(status=status, updated_at=queue.value("SELECT clock_timestamp() - %s::interval", age))


def ids(queue: Queue) -> list[int]:
    return queue.values("SELECT id FROM content_generation_tasks ORDER BY id")


def test_completed_tasks_older_than_thirty_days_are_deleted(queue: Queue) -> None:
    completed(queue, "31 days")
    recent = completed(queue, "29 days")

    assert queue.value("SELECT contentq.cleanup()") == 1
    assert ids(queue) == [recent]


@pytest.mark.parametrize("status", ["pending", "processing", "failed", "timeout"])
def test_tasks_that_are_not_completed_are_kept(queue: Queue, status: str) -> None:
    task = queue.add(status=status, submitted_at="2001-01-01", started_at="2001-01-01", completed_at="2001-01-01")

    assert cleanup(queue) == 0
    assert ids(queue) == [task]


def test_age_can_be_chosen(queue: Queue) -> None:
    completed(queue, "2 hours")

    assert cleanup(queue, "3 hours") == 0
    assert cleanup(queue, "1 hour") == 1


def test_oldest_go_first_up_to_max_rows(queue: Queue) -> None:
    younger, _oldest = completed(queue, "40 days"), completed(queue, "50 days")

    assert cleanup(queue, max_rows=1) == 1
    assert ids(queue) == [younger]


def test_content_stays(queue: Queue) -> None:
    task = queue.running()
    queue.store(task.worker, [task])
    queue.set(task.id, completed_at="2001-01-01")

    assert cleanup(queue) == 1
    assert queue.value("SELECT count(*) FROM contents") == 1


def test_row_that_someone_has_locked_is_passed_over(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    locked, _free = completed(queue, "40 days"), completed(queue, "40 days")
    other = connect_queue()
    with other.connection.transaction():
        other.run("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", locked)

        assert cleanup(queue) == 1
        assert ids(queue) == [locked]
    assert cleanup(queue) == 1


@pytest.mark.parametrize("status", ["failed", "timeout"])
def test_failed_tasks_are_deleted_so_long_after_they_ended(queue: Queue, status: str) -> None:
    failed(queue, "31 days", status)
    kept = [failed(queue, "29 days", status), completed(queue, "99 days"), queue.add(updated_at="2001-01-01")]

    assert cleanup_failed(queue) == 1
    assert ids(queue) == kept


def test_failed_tasks_go_by_id_up_to_max_rows(queue: Queue) -> None:
    tasks = [failed(queue, "40 days") for _ in range(3)]

    assert cleanup_failed(queue, max_rows=2) == 2
    assert ids(queue) == tasks[2:]


def test_failed_task_that_someone_has_locked_is_passed_over(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    locked, _free = failed(queue, "40 days"), failed(queue, "40 days")
    other = connect_queue()
    with other.connection.transaction():
        other.run("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", locked)

        assert cleanup_failed(queue) == 1
    assert ids(queue) == [locked]
