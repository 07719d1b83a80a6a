"""settings.aging: tasks start after this time regardless of priority."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.support.queue import Queue

AGING = "10 minutes"


@pytest.fixture(autouse=True)
def aging(queue: Queue) -> None:
    queue.run("UPDATE contentq.settings SET aging = %s", AGING)


@pytest.fixture(params=["strict", "fair"], autouse=True)
def claim_order(request: pytest.FixtureRequest, queue: Queue) -> None:
    queue.run("UPDATE contentq.settings SET claim_order = %s", request.param)


def _ago(queue: Queue, since: str) -> object:
    return queue.value("SELECT clock_timestamp() - %s::interval", since)


def _end_all(queue: Queue) -> None:
    queue.run(
        "UPDATE content_generation_tasks SET status = 'completed', completed_at = clock_timestamp() "
        "WHERE status = 'processing'"
    )


def test_task_under_an_endless_stream_of_urgent_ones_starts_when_its_time_has_come(
    queue: Queue, worker: int
) -> None:
    low = queue.add(priority=1, submitted_at=_ago(queue, "9 minutes"))
    for _ in range(20):
        queue.add(priority=10)
        queue.add(priority=10)
        assert low not in [row["id"] for row in queue.claim(worker, 2)]

    queue.set(low, submitted_at=_ago(queue, "11 minutes"))
    queue.add(priority=10)
    queue.add(priority=10)
    assert low in [row["id"] for row in queue.claim(worker, 2)]


def test_with_one_slot_it_starts_after_a_few_claims(queue: Queue, worker: int) -> None:
    """Half of the claims, at random, serve tasks that have waited long.

    Forty misses have a chance of one in a trillion.
    """
    low = queue.add(priority=1, submitted_at=_ago(queue, "11 minutes"))
    started = []
    for _ in range(40):
        queue.add(priority=10)
        started += [row["id"] for row in queue.claim(worker, 1)]
    assert low in started


def test_urgent_tasks_get_half_of_the_slots_however_much_has_waited_for_long(queue: Queue, worker: int) -> None:
    for _ in range(100):
        queue.add(priority=1, submitted_at=_ago(queue, "11 minutes"))
        queue.add(priority=10)
    assert Counter(row["priority"] for row in queue.claim(worker, 40)) == {10: 20, 1: 20}


def test_longest_waiting_comes_first_of_all_priorities(queue: Queue, worker: int) -> None:
    waiting = [queue.add(priority=p, submitted_at=_ago(queue, f"{20 + p} minutes")) for p in (1, 2, 3, 4)]
    for _ in range(4):
        queue.add(priority=10)
    claimed = {row["id"] for row in queue.claim(worker, 4) if row["priority"] < 10}
    assert claimed == set(waiting[2:])


def test_no_slot_stays_free_when_nothing_has_waited_for_long_or_everything_has(queue: Queue, worker: int) -> None:
    for _ in range(10):
        queue.add(priority=5)
    assert len(queue.claim(worker, 10)) == 10
    for _ in range(10):
        queue.add(priority=1, submitted_at=_ago(queue, "1 hour"))
    assert len(queue.claim(worker, 10)) == 10


def test_paused_capped_and_other_categories_are_left_out(queue: Queue, worker: int) -> None:
    paused = queue.add_account("paused", paused_until="infinity")
    capped = queue.add_account("capped", max_running=1)
    old = _ago(queue, "1 hour")
    for account in (paused, capped, queue.account):
        for category in ("blog", "news"):
            for _ in range(3):
                queue.add(account_id=account, category=category, priority=1, submitted_at=old)
    claimed = queue.claim(worker, 20, ["blog"])
    assert Counter((row["account_id"], row["category"]) for row in claimed) == {
        (queue.account, "blog"): 3,
        (capped, "blog"): 1,
    }
    assert {row["account_id"] for row in queue.claim(worker, 20)} == {queue.account}


def test_tasks_behind_a_thousand_of_another_category_are_found(queue: Queue, worker: int) -> None:
    old = _ago(queue, "2 hours")
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, category, priority, submitted_at) "
        "SELECT %s, 'news', 1, %s FROM generate_series(1, 1500)",
        queue.account,
        old,
    )
    wanted = queue.add(category="blog", priority=1, submitted_at=_ago(queue, "1 hour"))
    for _ in range(10):
        queue.add(category="blog", priority=10)
    assert wanted in [row["id"] for row in queue.claim(worker, 4, ["blog"])]


def test_what_cannot_finish_by_its_deadline_is_not_begun_either(queue: Queue, worker: int) -> None:
    queue.run("UPDATE contentq.settings SET deadlines = true")
    queue.run("INSERT INTO contentq.durations (category, median) VALUES ('', '1 minute')")
    hopeless = queue.add(submitted_at=_ago(queue, "1 hour"))
    queue.run("UPDATE content_generation_tasks SET timeout_at = clock_timestamp() + interval '30 seconds'")
    fine = queue.add(submitted_at=_ago(queue, "30 minutes"))
    assert [row["id"] for row in queue.claim(worker, 4)] == [fine]
    assert queue.status(hopeless) == "pending"


def test_backlog_that_has_waited_for_long_is_worked_off_beside_a_stream_of_urgent_tasks(
    queue: Queue, worker: int
) -> None:
    seed = random.Random(1)
    low = {queue.add(priority=1, submitted_at=_ago(queue, f"{seed.randint(11, 60)} minutes")) for _ in range(50)}
    started: set[int] = set()
    for _ in range(5):
        for _ in range(20):
            queue.add(priority=10)
        started |= {row["id"] for row in queue.claim(worker, 20)}
        _end_all(queue)
    assert low <= started
