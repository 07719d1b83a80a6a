"""Waiting and running times: percentiles of recently completed tasks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.support.plans import scans
from tests.support.queue import Queue, Row

PAST = "2001-01-01"

KINDS = ("account", "category", "priority")

COMPLETED = """
    INSERT INTO content_generation_tasks
        (account_id, category, priority, status, submitted_at, ready_at, started_at, completed_at)
    SELECT %s, %s, %s, 'completed', d.done - interval '1 day', d.done - (%s + n) * interval '1 second',
           d.done - n * interval '1 second', d.done
    FROM generate_series(1, %s) AS n
    CROSS JOIN LATERAL (SELECT clock_timestamp() - %s::interval AS done) AS d"""


def add_completed(
    queue: Queue,
    number: int,
    wait_s: int,
    ago: str = "1 minute",
    account: int | None = None,
    category: str | None = None,
    priority: int = 5,
) -> None:
    """Tasks that completed this long ago, waited this many seconds, and ran for 1, 2, 3 ... seconds."""
    queue.run(COMPLETED, account or queue.account, category, priority, wait_s, number, ago)


def latency(queue: Queue, period: str = "1 hour", by: str | None = None) -> list[Row]:
    return queue.rows("SELECT * FROM contentq.latency(%s::interval, %s)", period, by)


def test_percentiles_are_of_waiting_since_ready_and_of_running(queue: Queue) -> None:
    add_completed(queue, 100, wait_s=30)

    (row,) = latency(queue)

    assert (row["key"], row["tasks"]) == (None, 100)
    assert [row[f"wait_{p}"] for p in ("p50", "p95", "p99")] == [Decimal(30)] * 3
    assert [row[f"run_{p}"] for p in ("p50", "p95", "p99")] == [
        Decimal("50.5"),
        Decimal("95.05"),
        Decimal("99.01"),
    ]


def test_nothing_was_completed(queue: Queue) -> None:
    queue.add()
    assert latency(queue) == []
    assert queue.rows("SELECT * FROM contentq.latency") == []


def test_period_leaves_out_what_is_older_and_what_is_said_to_be_yet_to_come(queue: Queue) -> None:
    add_completed(queue, 2, wait_s=1)
    add_completed(queue, 3, wait_s=1, ago="2 hours")
    add_completed(queue, 5, wait_s=1, ago="-2 hours")

    assert [row["tasks"] for row in latency(queue)] == [2]
    assert [row["tasks"] for row in latency(queue, "3 hours")] == [5]


def test_it_is_by_account_category_and_priority_the_most_first(queue: Queue) -> None:
    other = queue.add_account("other")
    add_completed(queue, 2, wait_s=1, category="news")
    add_completed(queue, 3, wait_s=7, account=other, priority=9)

    found = {by: [(row["key"], row["tasks"], row["wait_p50"]) for row in latency(queue, by=by)] for by in KINDS}

    assert found == {
        "account": [(str(other), 3, 7), (str(queue.account), 2, 1)],
        "category": [(None, 3, 7), ("news", 2, 1)],
        "priority": [("9", 3, 7), ("5", 2, 1)],
    }


def test_other_kinds_are_refused(queue: Queue) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="cannot be grouped by worker"):
        latency(queue, by="worker")


def test_view_shows_each_period_and_kind(queue: Queue) -> None:
    add_completed(queue, 1, wait_s=1, ago="1 minute", category="news")
    add_completed(queue, 1, wait_s=1, ago="30 minutes", category="news")
    add_completed(queue, 1, wait_s=1, ago="5 hours")

    rows = queue.rows("SELECT * FROM contentq.latency")

    assert [(row["period"], row["by"], row["key"], row["tasks"]) for row in rows] == [
        ("5 minutes", "all", None, 1),
        ("5 minutes", "account", str(queue.account), 1),
        ("5 minutes", "category", "news", 1),
        ("5 minutes", "priority", "5", 1),
        ("hour", "all", None, 2),
        ("hour", "account", str(queue.account), 2),
        ("hour", "category", "news", 2),
        ("hour", "priority", "5", 2),
        ("day", "all", None, 3),
        ("day", "account", str(queue.account), 3),
        ("day", "category", "news", 2),
        ("day", "category", None, 1),
        ("day", "priority", "5", 3),
    ]


@pytest.mark.parametrize("times", [{"started_at": None}, {"started_at": "290000-01-01", "ready_at": PAST}])
def test_times_that_someone_made_up_blind_no_one(queue: Queue, times: dict[str, Any]) -> None:
    add_completed(queue, 1, wait_s=1)
    now = queue.value("SELECT clock_timestamp()")
    queue.add(status="completed", completed_at=now, submitted_at=PAST, **times)

    assert latency(queue)[0]["tasks"] in (1, 2)


def test_throughput_counts_a_schedule_as_no_waiting(queue: Queue) -> None:
    add_completed(queue, 3, wait_s=7)

    assert queue.values("SELECT wait_s FROM contentq.throughput") == [Decimal(7)]


@pytest.mark.newest
@pytest.mark.slow
def test_only_the_last_completed_of_masses_are_read(queue: Queue) -> None:
    add_completed(queue, 12_000, wait_s=1)
    add_completed(queue, 3_000, wait_s=1, ago="2 hours")
    queue.run("VACUUM ANALYZE content_generation_tasks")

    read = scans(queue, "SELECT * FROM contentq.latency('1 hour')")

    assert (read.sequential, read.used) == (0, {"completed_at_idx"})
    assert read.rows <= 10_000
    (row,) = latency(queue)
    assert row["tasks"] == 10_000
