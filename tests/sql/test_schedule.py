"""Tasks that may not start before a certain time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.plans import scans
from tests.support.queue import Queue

PAST, FUTURE = "2001-01-01", "2999-01-01"


def promote(queue: Queue, max_rows: int = 1000) -> int:
    return int(queue.value("SELECT contentq.promote_scheduled(%s)", max_rows))


def test_task_scheduled_for_later_is_not_claimed(queue: Queue, worker: int) -> None:
    task = queue.add(scheduled_at=FUTURE)

    assert queue.claim(worker, 10) == []
    assert queue.status(task) == "pending"


def test_claim_takes_a_scheduled_task_whose_time_has_come(queue: Queue, worker: int) -> None:
    task = queue.add(scheduled_at=PAST)

    (claimed,) = queue.claim(worker)

    assert claimed["id"] == task
    assert claimed["scheduled_at"] is None


def test_due_task_takes_its_place_by_priority_and_submission(queue: Queue, worker: int) -> None:
    ready = queue.add(priority=5)
    due = queue.add(priority=6, scheduled_at=PAST)

    assert [row["id"] for row in queue.claim(worker, 10)] == [due, ready]


def test_promoting_makes_due_tasks_ready_and_no_others(queue: Queue) -> None:
    due, later = queue.add(scheduled_at=PAST), queue.add(scheduled_at=FUTURE)
    ended = queue.add(scheduled_at=PAST, status="failed")
    untouched = [queue.row(task) for task in (later, ended)]

    assert promote(queue) == 1
    assert queue.row(due)["scheduled_at"] is None
    assert [queue.row(task) for task in (later, ended)] == untouched


def test_promoting_stops_at_max_rows_and_begins_with_the_longest_due(queue: Queue) -> None:
    second, first = queue.add(scheduled_at="2002-01-01"), queue.add(scheduled_at="2001-01-01")

    assert promote(queue, 1) == 1
    assert queue.row(first)["scheduled_at"] is None
    assert queue.row(second)["scheduled_at"] is not None


def test_nothing_scheduled_has_no_next_time(queue: Queue, worker: int) -> None:
    queue.add(scheduled_at=FUTURE, status="failed")
    assert queue.next_claim_in(worker) is None


def test_next_time_is_that_of_the_first_scheduled_task(queue: Queue, worker: int) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, scheduled_at) "
        "SELECT %s, clock_timestamp() + hours * interval '1 hour' FROM generate_series(1, 3) AS hours",
        queue.account,
    )

    found = queue.next_claim_in(worker)

    assert found is not None
    assert timedelta(minutes=59) < found <= timedelta(hours=1)


def test_next_time_is_never_negative(queue: Queue, worker: int) -> None:
    queue.add(scheduled_at=PAST)

    assert queue.next_claim_in(worker) == timedelta(0)


def test_task_put_off_for_ever_does_not_hide_the_others(queue: Queue, worker: int) -> None:
    queue.add(scheduled_at="infinity")
    assert queue.next_claim_in(worker) is None
    assert queue.claim(worker, 10) == []

    queue.add(scheduled_at=PAST)
    assert queue.next_claim_in(worker) == timedelta(0)


def add_due(queue: Queue, number: int, scheduled_at: str = f"'{PAST}'") -> None:
    """Adds due tasks of all priorities."""
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, priority, scheduled_at) "
        f"SELECT {queue.account}, 1 + mod(7 * n, 10), {scheduled_at} FROM generate_series(1, {number}) AS n"
    )


@pytest.mark.slow
def test_tasks_of_one_instant_are_claimed_in_order_and_not_changed_before(queue: Queue, worker: int) -> None:
    add_due(queue, 5_000)
    expected = queue.values("SELECT id FROM content_generation_tasks ORDER BY priority DESC, submitted_at, id")
    claim = f"SELECT contentq.claim({worker}, 100)"

    assert [scans(queue, claim, undo=True).changed for _ in range(3)] == [100] * 3
    assert [row["id"] for _ in range(50) for row in queue.claim(worker, 100)] == expected


def test_ready_tasks_go_before_less_urgent_ones_that_are_due(queue: Queue, worker: int) -> None:
    urgent = [queue.add(priority=10) for _ in range(3)]
    due = [queue.add(priority=5, scheduled_at=PAST) for _ in range(3)]

    claimed = [[row["id"] for row in queue.claim(worker, 2)] for _ in range(3)]

    assert claimed == [urgent[:2], [urgent[2], due[0]], due[1:]]


def test_due_tasks_that_have_to_wait_do_not_hide_more_urgent_ones_that_become_due_later(
    queue: Queue, worker: int
) -> None:
    for _ in range(3):
        queue.add(priority=1, scheduled_at="2001-01-01")
    queue.add(priority=5)
    assert [row["priority"] for row in queue.claim(worker, 1)] == [5]
    urgent = queue.add(priority=9, scheduled_at="2002-01-01")

    assert [row["id"] for row in queue.claim(worker, 1)] == [urgent]


def test_claim_makes_a_bounded_number_of_due_tasks_ready(queue: Queue, worker: int) -> None:
    """Each has a different time. No index orders them by urgency."""
    add_due(queue, 5_000, f"timestamptz '{PAST}' + n * interval '1 millisecond'")

    read = scans(queue, f"SELECT contentq.claim({worker}, 100)")

    assert read.changed == 100 + 500


def test_due_tasks_whose_deadline_has_passed_hold_up_no_others(queue: Queue, worker: int) -> None:
    queue.add(priority=9, scheduled_at=PAST, timeout_at=PAST)
    ready = queue.add(priority=1)

    assert [row["id"] for row in queue.claim(worker, 1)] == [ready]
    assert queue.claim(worker, 1) == []
    assert queue.next_claim_in(worker) != timedelta(0)
