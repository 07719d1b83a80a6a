"""The views show correct rows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.plans import scans
from tests.support.queue import Queue

PAST = "2001-01-01"


@pytest.mark.parametrize(
    "view",
    [
        "queue_overview",
        "running_tasks",
        "backlog_by_account",
        "recent_failures",
        "worker_status",
        "throughput",
        "error_groups",
    ],
)
def test_view_of_an_empty_queue_can_be_read(queue: Queue, view: str) -> None:
    rows = queue.rows(f"SELECT * FROM contentq.{view}")

    assert len(rows) == (5 if view == "queue_overview" else 0)


def test_overview_counts_each_status(queue: Queue) -> None:
    queue.add(submitted_at=PAST)
    queue.add(scheduled_at="2999-01-01", retry_count=1)
    queue.add(status="completed", completed_at=PAST)
    queue.add(status="failed", retry_count=3)

    rows = queue.rows("SELECT * FROM contentq.queue_overview")

    assert [(row["status"], row["tasks"], row["scheduled"], row["retried"]) for row in rows] == [
        ("pending", 2, 1, 1),
        ("processing", 0, 0, 0),
        ("completed", 1, 0, 0),
        ("failed", 1, 0, 1),
        ("timeout", 0, 0, 0),
    ]
    assert rows[0]["oldest_age"] > timedelta(days=365)
    assert rows[1]["oldest_age"] is None


def test_running_tasks_are_shown_longest_first_with_their_worker(queue: Queue) -> None:
    task = queue.running(topic="T" * 50, priority=7)
    queue.set(task.id, timeout_at=queue.value("SELECT clock_timestamp() + interval '1 hour'"))
    by_hand = queue.add(status="processing", started_at=PAST)
    queue.add()

    longest, latest = queue.rows("SELECT * FROM contentq.running_tasks")

    assert (longest["id"], longest["worker_id"], longest["hostname"], longest["time_left"]) == (
        by_hand,
        None,
        None,
        None,
    )
    assert longest["running"] > timedelta(days=365)
    assert latest == {
        "id": task.id,
        "task_id": latest["task_id"],
        "account_id": queue.account,
        "priority": 7,
        "attempt": 1,
        "running": latest["running"],
        "time_left": latest["time_left"],
        "worker_id": task.worker,
        "hostname": "host",
        "topic": "T" * 37 + "...",
        "percent": None,
        "note": None,
    }
    assert timedelta(minutes=59) < latest["time_left"] <= timedelta(hours=1)


def test_backlog_is_by_account_largest_first(queue: Queue) -> None:
    quiet = queue.value("INSERT INTO accounts (name) VALUES ('Grace') RETURNING id")
    queue.value("INSERT INTO accounts (name) VALUES ('Without tasks') RETURNING id")
    queue.add(account_id=quiet, priority=9)
    for scheduled_at in (None, None, "2999-01-01"):
        queue.add(scheduled_at=scheduled_at, submitted_at=PAST)
    queue.add(status="processing", started_at=PAST, priority=10)
    queue.add(status="completed", completed_at=PAST)

    first, second = queue.rows("SELECT * FROM contentq.backlog_by_account")

    assert first.pop("oldest_age") > timedelta(days=365)
    assert second.pop("oldest_age") < timedelta(minutes=1)
    assert first == {
        "account_id": queue.account,
        "name": "Ada",
        "pending": 3,
        "scheduled": 1,
        "processing": 1,
        "top_priority": 5,
    }
    assert second == {
        "account_id": quiet,
        "name": "Grace",
        "pending": 1,
        "scheduled": 0,
        "processing": 0,
        "top_priority": 9,
    }


def test_failures_are_shown_latest_first_with_the_task_id_to_requeue(queue: Queue) -> None:
    for status in ("failed", "timeout", "completed", "pending"):
        queue.add(status=status, completed_at=PAST, attempt=2, error_message="x" * 100)

    latest, earlier = queue.rows("SELECT * FROM contentq.recent_failures")

    assert (latest["status"], earlier["status"]) == ("timeout", "failed")
    assert (latest["account_id"], latest["attempts"], latest["error"]) == (queue.account, 2, "x" * 57 + "...")
    assert queue.value("SELECT contentq.requeue(%s)", latest["task_id"]) == "pending"


@pytest.mark.parametrize(
    ("busy", "change", "state"),
    [
        (0, None, "idle"),
        (1, None, "working"),
        (10, None, "full"),
        (0, "gate = 'closed'", "waits"),
        (1, "gate = 'closed'", "waits"),
        (10, "gate = 'closed'", "full"),
        (1, "draining = true", "draining"),
        (1, "draining = true, heartbeat_at = clock_timestamp() - interval '11 seconds'", "silent"),
    ],
)
def test_worker_status_tells_its_state(
    queue: Queue, worker: int, busy: int, change: str | None, state: str
) -> None:
    for _ in range(busy):
        queue.running(worker)
    queue.running()
    queue.close_gate("closed", "infinity")
    if change is not None:
        queue.run(f"UPDATE contentq.workers SET {change}")

    row, _ = queue.rows("SELECT * FROM contentq.worker_status")

    assert (row["id"], row["state"], row["busy"], row["slots"]) == (worker, state, busy, 10)
    waits_for = "gate closed: closed, until someone opens it: SELECT contentq.open_gate('closed')"
    assert row["waits_for"] == (waits_for if change == "gate = 'closed'" else None)
    assert (row["hostname"], row["pid"], row["handler"], row["version"]) == ("host", 4711, "template", "1.0")
    assert 0 <= row["heartbeat_age_s"] < 60
    assert row["up"] < timedelta(minutes=1)


@pytest.mark.slow
def test_busy_is_counted_by_the_index_of_tasks_that_are_held(queue: Queue, worker: int) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, completed_at) "
        "SELECT %s, 'completed', now() FROM generate_series(1, 20000)",
        queue.account,
    )
    queue.running(worker)
    queue.run("ANALYZE content_generation_tasks")

    read = scans(queue, "SELECT * FROM contentq.worker_status")

    # Once for the number, and once to look for workers that are gone.
    assert (read.sequential, read.entries) == (0, {"held_idx": 2})


def test_throughput_counts_completions_by_minute(queue: Queue) -> None:
    minute = queue.value("SELECT date_trunc('minute', clock_timestamp()) - interval '10 minutes'")
    times = {
        "submitted_at": minute - timedelta(seconds=30),
        "started_at": minute + timedelta(seconds=10),
        "completed_at": minute + timedelta(seconds=15),
    }
    for _ in range(6):
        queue.add(status="completed", **times)
    queue.add(status="completed", completed_at=PAST)

    (row,) = queue.rows("SELECT * FROM contentq.throughput")

    assert row["minute"] == minute
    assert (row["completed"], float(row["per_second"]), float(row["wait_s"]), float(row["run_s"])) == (
        6,
        0.1,
        40,
        5,
    )
