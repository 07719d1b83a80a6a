"""claim() while another session has an old snapshot: entries of claimed tasks stay in the ready index."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.support.plans import scans
from tests.support.queue import Queue

BATCH = 500
BATCHES = 30


def remember(queue: Queue, heads: dict[str, Any] | None, until: str = "0.9 seconds") -> None:
    """Sets the position that workers remember for each priority."""
    assert queue.run(
        "UPDATE contentq.claimers SET memory = jsonb_build_object('places', jsonb_build_object("
        "'until', clock_timestamp() + %s::interval, 'heads', %s::jsonb))",
        until,
        json.dumps(heads or {}),
    )


def remember_past(
    queue: Queue, heads: dict[str, Any] | None, blocked: list[int], categories: list[str] | None
) -> None:
    """The same for workers with these categories, past these blocked accounts."""
    remember(queue, heads)
    queue.run(
        "UPDATE contentq.claimers SET memory = jsonb_build_object('places', memory->'places' || %s::jsonb)",
        json.dumps({"blocked": blocked, "categories": categories}),
    )


def heads(queue: Queue) -> Any:
    """The position that a worker remembers, or None."""
    return queue.value("SELECT memory->'places'->'heads' FROM contentq.claimers WHERE memory ? 'places'")


def claim_by_a_long_scan(queue: Queue, worker: int, max_tasks: int) -> list[int]:
    """Claims as if the scan took long, and prolongs the memory of its position; the ids in order."""
    chosen, places = queue.connection.execute(
        "SELECT chosen, places FROM contentq.choose_first(%s, NULL, long => '0 seconds')", [max_tasks]
    ).fetchall()[0]
    assert sorted(queue.claim_named(worker, chosen)) == sorted(chosen)
    remember(queue, places["heads"])
    return list(chosen)


@pytest.mark.slow
def test_claims_do_not_walk_again_over_what_was_claimed_before(
    queue: Queue, connect_queue: Callable[[], Queue], worker: int
) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, priority, submitted_at) "
        "SELECT %s, 1 + n %% 3, '2001-01-01' FROM generate_series(1, %s) AS n",
        queue.account,
        BATCH * BATCHES,
    )
    reader = connect_queue()
    claim = f"SELECT count(*) FROM contentq.claim({worker}, {BATCH})"
    with reader.connection.transaction():
        reader.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.run("SELECT count(*) FROM content_generation_tasks")
        # On a fast machine, a full scan of this size does not yet count as slow.
        remember(queue, {})
        entries = 0
        for _ in range(BATCHES):
            entries += scans(queue, claim).entries["ready_idx"]
            # On a slow machine, the remembered position would expire before the last claim.
            remember(queue, heads(queue))

    assert queue.values("SELECT DISTINCT attempt FROM content_generation_tasks") == [1]
    # A full scan each time would read BATCH * BATCHES ** 2 / 2 of them.
    assert entries < BATCH * BATCHES**2 / 8


@pytest.mark.slow
@pytest.mark.parametrize("is_blocked", [True, False], ids=["past a blocked account", "of a category"])
def test_claims_past_others_do_not_walk_again_over_what_was_claimed_before(
    queue: Queue, connect_queue: Callable[[], Queue], is_blocked: bool
) -> None:
    paused = queue.add_account(paused_until="infinity")
    blocked, categories = ([paused], None) if is_blocked else ([], ["blog"])
    worker = queue.register(categories=categories)
    queue.run("UPDATE accounts SET paused_until = NULL WHERE NOT %s", is_blocked)
    for account, category, number in ((paused, "news", 3), (queue.account, "blog", BATCH * BATCHES)):
        queue.run(
            "INSERT INTO content_generation_tasks (account_id, category, priority, submitted_at) "
            "SELECT %s, %s, 1 + n %% 3, '2001-01-01' FROM generate_series(1, %s) AS n",
            account,
            category,
            number,
        )
    reader = connect_queue()
    claim = f"SELECT count(*) FROM contentq.claim({worker}, {BATCH})"
    with reader.connection.transaction():
        reader.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.run("SELECT count(*) FROM content_generation_tasks")
        remember_past(queue, {}, blocked, categories)
        entries = 0
        for _ in range(BATCHES):
            read = scans(queue, claim).entries
            entries += read.get("ready_idx", 0) + read.get("ready_category_idx", 0)
            remember_past(queue, heads(queue), blocked, categories)

    assert queue.values("SELECT DISTINCT attempt FROM content_generation_tasks WHERE category = 'blog'") == [1]
    assert entries < BATCH * BATCHES**2 / 8


def test_place_past_an_account_does_not_count_when_that_goes_on(queue: Queue, worker: int) -> None:
    first, second = (queue.add_account(paused_until="infinity") for _ in range(2))
    task = queue.add(account_id=first, submitted_at="2001-01-01")
    remember_past(queue, {"5": ["2002-01-01T00:00:00Z", 0]}, [first, second], None)
    queue.run("UPDATE accounts SET paused_until = NULL WHERE id = %s", first)

    assert [row["id"] for row in queue.claim(worker)] == [task]


def test_place_past_an_account_counts_when_another_is_blocked_too(queue: Queue, worker: int) -> None:
    queue.add_account(paused_until="infinity")
    paused = queue.add_account(paused_until="infinity")
    behind, task = queue.add(submitted_at="2001-01-01"), queue.add(submitted_at="2003-01-01")
    remember_past(queue, {"5": ["2002-01-01T00:00:00Z", 0]}, [paused], None)

    assert [row["id"] for row in queue.claim(worker)] == [task]
    remember(queue, {}, until="0 seconds")
    assert [row["id"] for row in queue.claim(worker)] == [behind]


def test_place_past_others_does_not_count_for_other_categories(queue: Queue, worker: int) -> None:
    blog, news = (queue.add(category=category, submitted_at="2001-01-01") for category in ("blog", "news"))
    remember_past(queue, {"5": ["2002-01-01T00:00:00Z", 0]}, [], ["blog"])
    assert queue.claim(worker, 1, ["blog"]) == []

    remember_past(queue, {"5": ["2002-01-01T00:00:00Z", 0]}, [], ["blog"])
    assert [row["id"] for row in queue.claim(worker, 1, ["news"])] == [news]
    remember_past(queue, {"5": ["2002-01-01T00:00:00Z", 0]}, [], ["blog"])
    assert [row["id"] for row in queue.claim(worker, 1)] == [blog]


def test_order_is_kept_from_where_the_worker_has_come_to(queue: Queue, worker: int) -> None:
    old = [queue.add(priority=priority, submitted_at="2001-01-01") for priority in (3, 9, 3, 9)]
    remember(queue, {"9": ["2000-01-01T00:00:00Z", 0]})

    claimed = [row["id"] for row in queue.claim(worker, 3)]

    assert claimed == [old[1], old[3], old[0]]


def test_more_urgent_task_that_comes_later_is_claimed_first(queue: Queue, worker: int) -> None:
    waiting = queue.add(priority=5, submitted_at="2001-01-01")
    remember(queue, {"10": ["2001-01-01T00:00:00Z", 0], "5": ["2000-01-01T00:00:00Z", 0]})
    urgent = queue.add(priority=10)

    assert [row["id"] for row in queue.claim(worker, 1)] == [urgent]
    assert [row["id"] for row in queue.claim(worker, 1)] == [waiting]


def test_task_that_becomes_ready_behind_that_place_is_found_by_the_next_whole_scan(
    queue: Queue, worker: int
) -> None:
    behind = queue.add(submitted_at="2001-01-01")
    remember(queue, {"5": ["2002-01-01T00:00:00Z", 0]})
    assert queue.claim(worker) == []

    remember(queue, {"5": ["2002-01-01T00:00:00Z", 0]}, until="0 seconds")

    assert [row["id"] for row in queue.claim(worker)] == [behind]
    # On a busy machine this scan may take long enough to be remembered, from where it began.
    assert "2002" not in str(heads(queue))


def test_idle_worker_is_told_to_look_at_everything_again_within_a_second(queue: Queue, worker: int) -> None:
    queue.add(submitted_at="2001-01-01")
    remember(queue, {"5": ["2002-01-01T00:00:00Z", 0]})

    found, wait = queue.claim_and_wait(worker)

    assert found == []
    assert wait is not None
    assert timedelta(0) < wait <= timedelta(seconds=1)


def test_place_does_not_count_after_the_clock_was_set_back(queue: Queue, worker: int) -> None:
    task = queue.add(submitted_at="2001-01-01")
    remember(queue, {"5": ["2002-01-01T00:00:00Z", 0]}, until="1 hour")

    assert [row["id"] for row in queue.claim(worker)] == [task]


def test_place_does_not_count_for_a_claim_of_some_categories(queue: Queue, worker: int) -> None:
    task = queue.add(category="blog", submitted_at="2001-01-01")
    remember(queue, {"5": ["2002-01-01T00:00:00Z", 0]})

    assert [row["id"] for row in queue.claim(worker, 1, ["blog"])] == [task]


def test_place_does_not_count_beside_an_account_that_is_blocked(queue: Queue, worker: int) -> None:
    queue.add(account_id=queue.add_account(paused_until="infinity"))
    task = queue.add(submitted_at="2001-01-01")
    remember(queue, {"5": ["2002-01-01T00:00:00Z", 0]})

    assert [row["id"] for row in queue.claim(worker, 1)] == [task]


def test_place_is_that_of_a_worker_in_whatever_session_and_of_no_other(
    queue: Queue, connect_queue: Callable[[], Queue], worker: int
) -> None:
    task = queue.add(submitted_at="2001-01-01")
    remember(queue, {"5": ["2002-01-01T00:00:00Z", 0]})
    other = queue.register()

    assert connect_queue().claim(worker) == []
    assert [row["id"] for row in queue.claim(other)] == [task]


def test_claim_never_takes_more_than_it_was_asked_for(queue: Queue, worker: int) -> None:
    for priority in (1, 5, 10):
        for _ in range(4):
            queue.add(priority=priority)
    remember(queue, {})

    assert [len(queue.claim(worker, asked)) for asked in (5, 5, 5)] == [5, 5, 2]


def test_long_scan_that_was_cut_short_hides_nothing_that_is_less_urgent(queue: Queue, worker: int) -> None:
    urgent = [queue.add(priority=9, submitted_at="2001-01-01") for _ in range(3)]
    less = [queue.add(priority=3, submitted_at="2001-01-01") for _ in range(3)]

    assert claim_by_a_long_scan(queue, worker, 2) == urgent[:2]
    assert [row["id"] for row in queue.claim(worker, 2)] == [urgent[2], less[0]]
    remember(queue, heads(queue))
    assert [row["id"] for row in queue.claim(worker, 2)] == less[1:]


def test_long_scan_that_found_little_still_finds_what_is_committed_late(
    queue: Queue, connect_queue: Callable[[], Queue], worker: int
) -> None:
    queue.add(priority=5)
    producer = connect_queue()
    with producer.connection.transaction():
        late = producer.add(account_id=queue.account, priority=5)
        assert late not in claim_by_a_long_scan(queue, worker, 10)
        assert heads(queue)

    assert [row["id"] for row in queue.claim(worker, 10)] == [late]


def test_scan_that_took_long_is_remembered_for_a_second_at_most(queue: Queue, worker: int) -> None:
    queue.add()
    until = "SELECT (places->>'until')::timestamptz - %s FROM contentq.choose_first(1, NULL, long => '0 seconds')"

    assert timedelta(0) < queue.value(until, queue.now()) < timedelta(seconds=5)

    remember(queue, {"5": ["2100-01-01T00:00:00Z", 0]}, until="1.5 seconds")
    assert len(queue.claim(worker)) == 1


def test_scan_that_is_quick_is_not_remembered(queue: Queue) -> None:
    queue.add()

    assert queue.value("SELECT places FROM contentq.choose_first(1, NULL, long => '1 hour')") is None


def test_scan_that_finds_nothing_is_not_remembered(queue: Queue, worker: int) -> None:
    remember(queue, {}, until="0 seconds")

    assert queue.value("SELECT places FROM contentq.choose_first(1, NULL, long => '0 seconds')") is None
    assert queue.claim_and_wait(worker) == ([], None)
    assert heads(queue) is None
