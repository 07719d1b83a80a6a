"""Batches: tasks submitted together under one name."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.support.plans import scans
from tests.support.queue import Queue, Row

PAST = "2001-01-01"


def batch(queue: Queue, name: str = "spring") -> Row:
    (row,) = queue.rows("SELECT * FROM contentq.batches WHERE batch = %s", name)
    return row


def test_batch_counts_its_tasks_by_status(queue: Queue) -> None:
    other = queue.add_account("other")
    for status in ("pending", "pending", "processing", "completed", "completed", "completed", "failed", "timeout"):
        queue.add(batch="spring", status=status, started_at=PAST, completed_at=PAST, submitted_at=PAST)
    queue.add(batch="spring", account_id=other, submitted_at=PAST)
    queue.add(batch="autumn")
    queue.add()

    row = batch(queue)

    assert {name: row[name] for name in list(row)[:9]} == {
        "batch": "spring",
        "accounts": 2,
        "tasks": 9,
        "pending": 3,
        "processing": 1,
        "completed": 3,
        "failed": 1,
        "timeout": 1,
        "done_share": Decimal("0.5556"),
    }
    assert queue.values("SELECT batch FROM contentq.batches") == ["autumn", "spring"]


def test_cost_is_what_the_results_say(queue: Queue) -> None:
    results = [
        '{"cost": 0.25}',
        '{"cost": 1.5, "model": "small"}',
        '{"cost": "1e9"}',
        '{"cost": -1}',
        '{"cost": 1e13}',
        '{"cost": null}',
        "[1]",
        "7",
        '"text"',
        "null",
        None,
    ]
    for result in results:
        queue.add(batch="spring", status="completed", completed_at=PAST, result=result)
    queue.add(batch="free", status="completed", completed_at=PAST)

    assert batch(queue)["cost"] == Decimal("1.75")
    assert batch(queue, "free")["cost"] is None


def test_expected_end_is_that_of_its_rate(queue: Queue) -> None:
    now = queue.value("SELECT clock_timestamp()")
    for minutes in (1, 2, 3, 4):
        queue.add(
            batch="spring",
            status="completed",
            started_at=now - timedelta(minutes=5),
            completed_at=now - timedelta(minutes=minutes),
        )
    for _ in range(8):
        queue.add(batch="spring")

    row = batch(queue)

    assert row["last_ended_at"] == now - timedelta(minutes=1)
    assert timedelta(minutes=10) <= row["expected_end"] - now < timedelta(minutes=11)


def test_expected_end_is_not_before_the_last_task_is_due(queue: Queue) -> None:
    due = queue.value("SELECT date_trunc('second', clock_timestamp()) + interval '1 day'")
    queue.add(batch="spring", status="completed", started_at=PAST, completed_at=queue.value("SELECT now()"))
    queue.add(batch="spring", scheduled_at=due)

    assert batch(queue)["expected_end"] == due


@pytest.mark.parametrize(
    ("done", "left"),
    [
        ([], 3),  # nothing done
        ([timedelta(hours=2)], 3),  # nothing recently
        ([timedelta(minutes=1)], 0),  # ended
    ],
)
def test_there_is_no_expected_end_without_a_rate(queue: Queue, done: list[timedelta], left: int) -> None:
    now = queue.value("SELECT clock_timestamp()")
    for ago in done:
        queue.add(batch="spring", status="completed", started_at=now - ago, completed_at=now - ago)
    for _ in range(left):
        queue.add(batch="spring")

    assert batch(queue)["expected_end"] is None


def test_latest_batches_are_named_first(queue: Queue) -> None:
    for name, year in (("b", 2003), ("a", 2001), ("d", 2002), ("c", 2004)):
        for _ in range(3):
            queue.add(batch=name, submitted_at=f"{year}-01-01")
    queue.add()

    assert queue.values("SELECT contentq.latest_batches()") == ["c", "b", "d", "a"]
    assert queue.values("SELECT contentq.latest_batches(2)") == ["c", "b"]


def test_latest_batches_of_none(queue: Queue) -> None:
    queue.add()
    assert queue.values("SELECT contentq.latest_batches()") == []


@pytest.mark.newest
def test_one_batch_is_read_by_its_index_and_names_without_their_tasks(queue: Queue) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, batch) "
        "SELECT %s, 'batch-' || n %% 20 FROM generate_series(1, 8000) AS n",
        queue.account,
    )
    queue.run("VACUUM ANALYZE content_generation_tasks")

    one = scans(queue, "SELECT * FROM contentq.batches WHERE batch = 'batch-7'")
    names = scans(queue, "SELECT contentq.latest_batches()")

    assert (one.sequential, one.used, one.rows) == (0, {"batch_idx"}, 400)
    assert (names.sequential, names.used) == (0, {"batch_idx"})
    assert names.rows <= 25
