"""maintain(): housekeeping, done by the worker that calls first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.support.queue import Queue

SHORTEST_WAIT, LONGEST_WAIT = timedelta(milliseconds=100), timedelta(seconds=4)


def maintain(queue: Queue) -> timedelta:
    wait = queue.value("SELECT contentq.maintain()")
    assert isinstance(wait, timedelta)
    return wait


def watched(queue: Queue, since: str, last_call: str = "1 second") -> None:
    """Simulates calls without a gap for this long."""
    queue.run(
        "UPDATE contentq.maintenance SET watched_since = clock_timestamp() - %s::interval, "
        "ran_at = clock_timestamp() - %s::interval",
        since,
        last_call,
    )


def watched_for(queue: Queue) -> timedelta:
    found = queue.value("SELECT clock_timestamp() - watched_since FROM contentq.maintenance")
    assert isinstance(found, timedelta)
    return found


def test_it_ends_overdue_tasks(queue: Queue) -> None:
    task = queue.add(timeout_at="2001-01-01")

    maintain(queue)

    assert queue.status(task) == "timeout"


def test_it_makes_scheduled_tasks_ready(queue: Queue) -> None:
    due, later = queue.add(scheduled_at="2001-01-01"), queue.add(scheduled_at="2999-01-01")

    maintain(queue)

    assert queue.row(due)["scheduled_at"] is None
    assert queue.row(later)["scheduled_at"] is not None


def test_it_rescues_the_tasks_of_dead_workers(queue: Queue) -> None:
    task = queue.running()
    queue.silence(task.worker)
    watched(queue, "1 minute")

    maintain(queue)

    assert queue.status(task.id) == "pending"
    assert queue.values("SELECT id FROM contentq.workers") == []


def test_first_call_begins_to_watch_and_rescues_no_one(queue: Queue) -> None:
    task = queue.running()
    queue.silence(task.worker, "1 day")

    maintain(queue)

    assert queue.status(task.id) == "processing"
    assert watched_for(queue) < timedelta(seconds=5)


def test_after_a_gap_no_one_is_rescued_before_the_silence_has_passed_again(queue: Queue) -> None:
    task = queue.running()
    queue.silence(task.worker, "1 day")

    watched(queue, since="1 hour", last_call="7 seconds")
    maintain(queue)
    assert watched_for(queue) < timedelta(seconds=5)
    assert queue.status(task.id) == "processing"

    watched(queue, since="5 seconds")
    maintain(queue)
    assert queue.status(task.id) == "processing"

    watched(queue, since="11 seconds")
    maintain(queue)
    assert queue.status(task.id) == "pending"


def test_worker_that_is_heard_again_after_a_gap_keeps_its_tasks(queue: Queue) -> None:
    task = queue.running()
    queue.silence(task.worker, "1 day")
    watched(queue, since="1 hour", last_call="1 day")
    maintain(queue)
    queue.heartbeat(task.worker)

    watched(queue, since="11 seconds")
    maintain(queue)

    assert queue.status(task.id) == "processing"


def test_calls_in_time_are_no_gap(queue: Queue) -> None:
    watched(queue, since="1 hour", last_call="3 seconds")

    maintain(queue)

    assert watched_for(queue) >= timedelta(hours=1)


def test_gap_and_silence_follow_the_setting(queue: Queue) -> None:
    queue.run("UPDATE contentq.settings SET heartbeat_timeout = '1 minute'")
    task = queue.running()
    queue.silence(task.worker, "50 seconds")

    watched(queue, since="1 hour", last_call="30 seconds")
    maintain(queue)
    assert watched_for(queue) >= timedelta(hours=1)
    assert queue.status(task.id) == "processing"

    queue.silence(task.worker, "70 seconds")
    maintain(queue)
    assert queue.status(task.id) == "pending"


def test_it_deletes_completed_tasks_past_their_retention(queue: Queue) -> None:
    queue.add(status="completed", completed_at="2001-01-01")

    maintain(queue)

    assert queue.value("SELECT count(*) FROM content_generation_tasks") == 0


def test_it_looks_for_old_tasks_once_a_minute(queue: Queue) -> None:
    maintain(queue)
    queue.add(status="completed", completed_at="2001-01-01")
    maintain(queue)
    assert queue.value("SELECT count(*) FROM content_generation_tasks") == 1

    queue.run("UPDATE contentq.maintenance SET cleaned_at = clock_timestamp() - interval '61 seconds'")
    maintain(queue)
    assert queue.value("SELECT count(*) FROM content_generation_tasks") == 0


@pytest.mark.parametrize(("retention", "left"), [(None, 2), ("30 days", 1), ("50 days", 2)])
def test_it_deletes_failed_tasks_when_the_settings_say_so(queue: Queue, retention: str | None, left: int) -> None:
    queue.run("UPDATE contentq.settings SET failed_retention = %s::interval", retention)
    queue.add(status="failed", updated_at=queue.now() - timedelta(days=40))
    queue.add(status="timeout", updated_at=queue.now() - timedelta(days=20))
    queue.run("UPDATE contentq.maintenance SET cleaned_at = '2001-01-01'")

    maintain(queue)

    assert queue.value("SELECT count(*) FROM content_generation_tasks") == left


def test_without_a_retention_everything_is_kept(queue: Queue) -> None:
    queue.run("UPDATE contentq.settings SET retention = NULL")
    queue.add(status="completed", completed_at="2001-01-01")

    maintain(queue)

    assert queue.value("SELECT count(*) FROM content_generation_tasks") == 1


def test_only_one_of_those_who_call_at_once_does_it(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    first, task = connect_queue(), queue.add(timeout_at="2001-01-01")
    with first.connection.transaction():
        maintain(first)

        assert maintain(queue) == LONGEST_WAIT
        assert queue.status(task) == "pending"
    maintain(queue)
    assert queue.status(task) == "timeout"


def test_nothing_to_wait_for_is_asked_again_after_the_longest_wait(queue: Queue) -> None:
    assert maintain(queue) == LONGEST_WAIT


@pytest.mark.parametrize("timeout_at", ["2999-01-01", "infinity"])
def test_deadline_far_off_is_asked_again_after_the_longest_wait(queue: Queue, timeout_at: str) -> None:
    queue.add(timeout_at=timeout_at)

    assert maintain(queue) == LONGEST_WAIT


def test_it_wants_to_be_called_soon_after_the_next_deadline(queue: Queue) -> None:
    queue.add(timeout_at=queue.value("SELECT clock_timestamp() + interval '3 seconds'"))

    assert SHORTEST_WAIT <= maintain(queue) < timedelta(seconds=3.5)


def test_it_wants_to_be_called_when_the_next_worker_may_have_died(queue: Queue, worker: int) -> None:
    queue.silence(worker, "8 seconds")
    watched(queue, since="1 hour")

    assert SHORTEST_WAIT <= maintain(queue) < timedelta(seconds=2.5)


def test_it_never_wants_to_be_called_at_once_without_need(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    queue.add(timeout_at="2001-01-01")
    other = connect_queue()
    with other.connection.transaction():
        other.run("SELECT FROM content_generation_tasks FOR UPDATE")

        assert maintain(queue) >= SHORTEST_WAIT


@pytest.mark.parametrize(
    "columns", ["(account_id, timeout_at)", "(account_id, completed_at, status)"], ids=["deadlines", "old tasks"]
)
def test_more_work_than_one_call_does_is_gone_on_with_at_once(queue: Queue, columns: str) -> None:
    values = "%s, timestamptz '2001-01-01'" + (", 'completed'" if "status" in columns else "")
    queue.run(
        f"INSERT INTO content_generation_tasks {columns} SELECT {values} FROM generate_series(1, 1001)",
        queue.account,
    )

    assert maintain(queue) == timedelta(0)
    assert maintain(queue) > timedelta(0)
    assert (
        queue.value("SELECT count(*) FROM content_generation_tasks WHERE status IN ('pending', 'completed')") == 0
    )


def test_step_that_fails_is_said_stops_no_other_and_is_not_tried_again_at_once(queue: Queue) -> None:
    warnings: list[str | None] = []
    queue.connection.add_notice_handler(lambda notice: warnings.append(notice.message_primary))
    overdue, scheduled = queue.add(timeout_at="2001-01-01"), queue.add(scheduled_at="2001-01-01")
    queue.run("ALTER TABLE content_generation_tasks ADD CONSTRAINT mine CHECK (status <> 'timeout')")

    assert maintain(queue) == LONGEST_WAIT

    assert len(warnings) == 1
    assert str(warnings[0]).startswith("contentq.maintain() could not sweep: new row for relation")
    assert queue.status(overdue) == "pending"
    assert queue.row(scheduled)["scheduled_at"] is None
