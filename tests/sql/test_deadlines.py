"""settings.deadlines: earliest deadline first, and no task starts that cannot finish in time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest

from tests.support.plans import scans
from tests.support.queue import Queue


@pytest.fixture(autouse=True)
def deadlines(queue: Queue) -> None:
    queue.run("UPDATE contentq.settings SET deadlines = true")


@pytest.fixture(params=["strict", "fair"], autouse=True)
def claim_order(request: pytest.FixtureRequest, queue: Queue) -> None:
    queue.run("UPDATE contentq.settings SET claim_order = %s", request.param)


def _in(queue: Queue, delay: str) -> object:
    return queue.value("SELECT clock_timestamp() + %s::interval", delay)


def _took(queue: Queue, category: str | None, *seconds: float) -> None:
    """Completed tasks of a category with this duration."""
    ended = queue.now() - timedelta(seconds=1)
    for each in seconds:
        started = ended - timedelta(seconds=each)
        queue.add(category=category, status="completed", started_at=started, completed_at=ended)


def _measure(queue: Queue) -> None:
    """Housekeeping that was last done a while ago."""
    queue.run("UPDATE contentq.maintenance SET cleaned_at = '-infinity'")
    queue.run("SELECT contentq.maintain()")


def test_earliest_deadline_comes_first_inside_a_priority(queue: Queue, worker: int) -> None:
    none = queue.add(submitted_at="2001-01-01")
    late = queue.add(timeout_at=_in(queue, "2 hours"), submitted_at="2001-01-01")
    early = queue.add(timeout_at=_in(queue, "1 hour"))
    urgent = queue.add(priority=9, timeout_at=_in(queue, "1 day"))
    claimed = [queue.claim(worker, 1)[0]["id"] for _ in range(4)]
    assert claimed == [urgent, early, late, none]


def test_without_the_setting_deadlines_order_nothing(queue: Queue, worker: int) -> None:
    queue.run("UPDATE contentq.settings SET deadlines = false")
    first = queue.add(timeout_at=_in(queue, "2 hours"))
    queue.add(timeout_at=_in(queue, "1 hour"))
    assert queue.claim(worker, 1)[0]["id"] == first


def test_maintain_measures_the_median_of_each_category(queue: Queue) -> None:
    _took(queue, "essay", 10, 20, 30, 40, 1_000)
    _took(queue, None, 2, 2, 2, 2, 2)
    _took(queue, "rare", 100)
    _measure(queue)
    durations = {
        row["category"]: round(row["median"].total_seconds())
        for row in queue.rows("SELECT category, median FROM contentq.durations")
    }
    assert durations == {"essay": 30, "": 2}
    _took(queue, "essay", *[50] * 20)
    _measure(queue)
    assert (
        round(queue.value("SELECT median FROM contentq.durations WHERE category = 'essay'").total_seconds()) == 50
    )


def test_task_that_cannot_finish_in_time_is_not_begun_and_ended_with_the_reason(queue: Queue, worker: int) -> None:
    _took(queue, "essay", *[60] * 5)
    _measure(queue)
    hopeless = queue.add(category="essay", timeout_at=_in(queue, "30 seconds"))
    possible = queue.add(category="essay", timeout_at=_in(queue, "2 minutes"))
    unmeasured = queue.add(category="news", timeout_at=_in(queue, "30 seconds"))
    assert sorted(row["id"] for row in queue.claim(worker, 10)) == [possible, unmeasured]

    queue.run("SELECT contentq.maintain()")

    task = queue.row(hopeless)
    assert task["status"] == "timeout"
    assert task["attempt"] == 0
    deadline = queue.value("SELECT date_trunc('second', %s::timestamptz)::text", task["timeout_at"])
    assert task["error_message"] == (
        f"Task timeout before execution: its deadline is {deadline}, "
        "and tasks of category essay take 60.0 s (median)"
    )


def test_reason_repeats_what_the_last_attempt_ended_with(queue: Queue) -> None:
    _took(queue, None, *[60] * 5)
    _measure(queue)
    task = queue.running(timeout_at=_in(queue, "2 minutes"))
    assert queue.fail(task, message="the model was busy", retry_after="0") == "pending"
    queue.set(task.id, timeout_at=_in(queue, "30 seconds"))
    queue.run("SELECT contentq.maintain()")
    message = queue.row(task.id)["error_message"]
    assert message.endswith(
        "and tasks without a category take 60.0 s (median); the last attempt ended with: the model was busy"
    )


def test_task_whose_deadline_has_passed_is_ended_as_ever(queue: Queue) -> None:
    _took(queue, None, *[60] * 5)
    _measure(queue)
    overdue = queue.add(timeout_at=_in(queue, "-1 second"))
    queue.run("SELECT contentq.maintain()")
    assert queue.row(overdue)["error_message"] == "Task timeout before execution"


def test_running_task_is_let_finish(queue: Queue) -> None:
    _took(queue, None, *[60] * 5)
    _measure(queue)
    task = queue.running(timeout_at=_in(queue, "2 minutes"))
    queue.set(task.id, timeout_at=_in(queue, "10 seconds"))
    queue.run("SELECT contentq.maintain()")
    assert queue.status(task.id) == "processing"


def test_nothing_is_ended_without_the_setting(queue: Queue) -> None:
    _took(queue, None, *[60] * 5)
    _measure(queue)
    queue.run("UPDATE contentq.settings SET deadlines = false")
    task = queue.add(timeout_at=_in(queue, "30 seconds"))
    queue.run("SELECT contentq.maintain()")
    assert queue.status(task) == "pending"


@pytest.mark.slow
def test_thousands_that_cannot_finish_do_not_hide_the_one_that_can(queue: Queue, worker: int) -> None:
    _took(queue, None, *[60] * 5)
    _measure(queue)
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, timeout_at) "
        "SELECT %s, clock_timestamp() + interval '40 seconds' FROM generate_series(1, 2500)",
        queue.account,
    )
    possible = queue.add(timeout_at=_in(queue, "2 minutes"))
    assert [row["id"] for row in queue.claim(worker, 10)] == [possible]
    for _ in range(4):
        queue.run("SELECT contentq.maintain()")
    assert queue.value("SELECT count(*) FROM content_generation_tasks WHERE status = 'timeout'") == 2500


def _median(queue: Queue, **seconds: int) -> None:
    """Stores the durations of categories, as if they had been measured."""
    for category, each in seconds.items():
        queue.run(
            "INSERT INTO contentq.durations (category, median) VALUES (%s, %s * interval '1 second')",
            category,
            each,
        )


@pytest.mark.slow
def test_number_of_tasks_that_are_read_is_bounded_whatever_others_take(queue: Queue) -> None:
    """A producer may insert any number of tasks that can finish."""
    _median(queue, slow=7200, quick=1)
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, category, timeout_at) "
        "SELECT %s, 'quick', clock_timestamp() + interval '100 minutes' FROM generate_series(1, 25000)",
        queue.account,
    )
    hopeless = queue.add(category="slow", timeout_at=_in(queue, "90 minutes"))

    read = scans(queue, "SELECT contentq.maintain()")

    assert queue.status(hopeless) == "timeout"
    assert read.sequential == 0
    assert sum(read.entries.values()) < 11_000


@pytest.mark.slow
def test_very_many_tasks_of_a_category_do_not_hide_those_of_others(queue: Queue) -> None:
    _median(queue, essay=60, news=60)
    for category, number in (("essay", 4000), ("news", 1)):
        queue.run(
            "INSERT INTO content_generation_tasks (account_id, category, timeout_at) "
            "SELECT %s, %s, clock_timestamp() + interval '40 seconds' FROM generate_series(1, %s)",
            queue.account,
            category,
            number,
        )
    left = "SELECT count(*) FROM content_generation_tasks WHERE status = 'pending'"

    counts = []
    while queue.value(left):
        queue.run("SELECT contentq.maintain()")
        counts.append(queue.value(left))

    assert len(counts) <= 5
    assert all(before - after <= 1000 for before, after in pairwise(counts))


def test_task_that_another_session_has_locked_is_ended_later(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    _median(queue, essay=60)
    locked, free = (queue.add(category="essay", timeout_at=_in(queue, "30 seconds")) for _ in range(2))
    other = connect_queue()
    with other.connection.transaction():
        other.run("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", locked)
        queue.run("SELECT contentq.maintain()")
        assert [queue.status(locked), queue.status(free)] == ["pending", "timeout"]
    queue.run("SELECT contentq.maintain()")
    assert queue.status(locked) == "timeout"


def test_durations_of_the_latest_thousand_categories_are_kept(queue: Queue) -> None:
    queue.run(
        "INSERT INTO contentq.durations (category, median, measured_at) "
        "SELECT n, interval '1 second', '2001-01-01'::timestamptz + n * interval '1 second' "
        "FROM generate_series(1, 1500) AS n"
    )
    _took(queue, "essay", *[60] * 5)
    _measure(queue)

    assert queue.value("SELECT count(*) FROM contentq.durations") == 1000
    assert queue.values(
        "SELECT category FROM contentq.durations WHERE category IN ('essay', '501', '502') ORDER BY 1"
    ) == [
        "502",
        "essay",
    ]
