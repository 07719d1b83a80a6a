"""The database maintains updated_at for every update."""

from __future__ import annotations

from tests.support.queue import Queue

LONG_AGO = "2001-01-01T00:00:00+00:00"


def updated_by(queue: Queue, change: str) -> bool:
    """Whether this change sets an old updated_at to the time of the transaction."""
    task = queue.add(updated_at=LONG_AGO)
    with queue.connection.transaction():
        assert queue.run(f"UPDATE content_generation_tasks SET {change} WHERE id = %s", task) == 1
        return bool(
            queue.value("SELECT updated_at = CURRENT_TIMESTAMP FROM content_generation_tasks WHERE id = %s", task)
        )


def test_any_update_sets_it(queue: Queue) -> None:
    assert updated_by(queue, "topic = 'Something else'")


def test_update_that_changes_no_value_sets_it(queue: Queue) -> None:
    assert updated_by(queue, "topic = topic")


def test_updater_cannot_choose_another_time(queue: Queue) -> None:
    assert updated_by(queue, "updated_at = '2002-02-02'")


def test_updater_cannot_remove_it(queue: Queue) -> None:
    assert updated_by(queue, "updated_at = NULL")


def test_functions_set_it(queue: Queue) -> None:
    task = queue.add(updated_at=LONG_AGO)
    with queue.connection.transaction():
        queue.cancel(task)
        assert queue.value("SELECT updated_at = CURRENT_TIMESTAMP FROM content_generation_tasks")
