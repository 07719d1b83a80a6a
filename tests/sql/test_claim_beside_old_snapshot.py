"""claim() beside a session with an old snapshot: what was claimed since stays in the ready index."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tests.support.plans import scans
from tests.support.queue import Queue

BATCH = 500
BATCHES = 60


def remember(session: Queue, heads: dict[int, tuple[str, int]], until: str = "0.9 seconds", **more: Any) -> None:
    """Makes a session believe that it has come so far in each priority."""
    end = session.value("SELECT (clock_timestamp() + %s::interval)::text", until)
    memory = {"until": end, "categories": None, "held": [], "heads": heads, **more}
    session.run("SELECT set_config('contentq.ready_heads', %s, false)", json.dumps(memory))


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
        # On a quick machine a whole scan is not yet taken for a long one at this size.
        remember(queue, {})
        entries = 0
        for _ in range(BATCHES):
            entries += scans(queue, claim).entries["ready_idx"]
            # On a slow one, what is remembered would not count any more before the last.
            remember(queue, memory(queue)["heads"])

    assert queue.values("SELECT DISTINCT attempt FROM content_generation_tasks") == [1]
    # A whole scan each time would read BATCH * BATCHES ** 2 / 2 of them.
    assert entries < BATCH * BATCHES * BATCHES / 8


def test_order_is_kept_from_where_the_session_has_come_to(queue: Queue, worker: int) -> None:
    old = [queue.add(priority=priority, submitted_at="2001-01-01") for priority in (3, 9, 3, 9)]
    remember(queue, {9: ("2000-01-01T00:00:00Z", 0)})

    claimed = [row["id"] for row in queue.claim(worker, 3)]

    assert claimed == [old[1], old[3], old[0]]


def test_more_urgent_task_that_comes_later_is_claimed_first(queue: Queue, worker: int) -> None:
    waiting = queue.add(priority=5, submitted_at="2001-01-01")
    remember(queue, {10: ("2001-01-01T00:00:00Z", 0), 5: ("2000-01-01T00:00:00Z", 0)})
    urgent = queue.add(priority=10)

    assert [row["id"] for row in queue.claim(worker, 1)] == [urgent]
    assert [row["id"] for row in queue.claim(worker, 1)] == [waiting]


def test_task_that_becomes_ready_behind_that_place_is_found_by_the_next_whole_scan(
    queue: Queue, worker: int
) -> None:
    behind = queue.add(submitted_at="2001-01-01")
    remember(queue, {5: ("2002-01-01T00:00:00Z", 0)})
    assert queue.claim(worker) == []

    remember(queue, {5: ("2002-01-01T00:00:00Z", 0)}, until="0 seconds")

    assert [row["id"] for row in queue.claim(worker)] == [behind]
    assert queue.value("SELECT current_setting('contentq.ready_heads')") == ""


def test_idle_worker_is_told_when_to_look_at_everything_again(queue: Queue) -> None:
    remember(queue, {5: ("2002-01-01T00:00:00Z", 0)}, until="3 seconds")

    assert queue.value("SELECT contentq.next_claim_in() BETWEEN interval '1 second' AND interval '3 seconds'")


def test_place_does_not_count_after_the_clock_was_set_back(queue: Queue, worker: int) -> None:
    task = queue.add(submitted_at="2001-01-01")
    remember(queue, {5: ("2002-01-01T00:00:00Z", 0)}, until="1 hour")

    assert [row["id"] for row in queue.claim(worker)] == [task]


def test_place_of_a_worker_of_other_categories_does_not_count(queue: Queue, worker: int) -> None:
    task = queue.add(category="blog", submitted_at="2001-01-01")
    remember(queue, {5: ("2002-01-01T00:00:00Z", 0)}, categories=["news"])

    assert [row["id"] for row in queue.claim(worker, 1, ["blog"])] == [task]


def test_other_sessions_are_not_concerned(queue: Queue, connect_queue: Callable[[], Queue], worker: int) -> None:
    task = queue.add(submitted_at="2001-01-01")
    remember(queue, {5: ("2002-01-01T00:00:00Z", 0)})

    assert [row["id"] for row in connect_queue().claim(worker)] == [task]


def test_claim_never_takes_more_than_it_was_asked_for(queue: Queue, worker: int) -> None:
    for priority in (1, 5, 10):
        for _ in range(4):
            queue.add(priority=priority)
    remember(queue, {})

    assert [len(queue.claim(worker, asked)) for asked in (5, 5, 5)] == [5, 5, 2]


def always_remember(session: Queue) -> None:
    """Makes the session take each whole scan for a long one."""
    session.run("SET contentq.long_scan = '0 seconds'")


def memory(session: Queue) -> Any:
    """What the session remembers; None for nothing."""
    found = session.value("SELECT current_setting('contentq.ready_heads', true)")
    return json.loads(found) if found else None


def test_long_scan_that_was_cut_short_hides_nothing_that_is_less_urgent(queue: Queue, worker: int) -> None:
    always_remember(queue)
    urgent = [queue.add(priority=9, submitted_at="2001-01-01") for _ in range(3)]
    less = [queue.add(priority=3, submitted_at="2001-01-01") for _ in range(3)]

    claimed = [[row["id"] for row in queue.claim(worker, 2)] for _ in range(3)]

    assert claimed == [urgent[:2], [urgent[2], less[0]], less[1:]]


def test_long_scan_that_found_little_still_finds_what_is_committed_late(
    queue: Queue, connect_queue: Callable[[], Queue], worker: int
) -> None:
    always_remember(queue)
    queue.add(priority=5)
    producer = connect_queue()
    with producer.connection.transaction():
        late = producer.add(account_id=queue.account, priority=5)
        assert late not in [row["id"] for row in queue.claim(worker, 10)]
        assert memory(queue) is not None

    assert [row["id"] for row in queue.claim(worker, 10)] == [late]


def test_what_a_session_remembers_counts_for_a_second_at_most(queue: Queue, worker: int) -> None:
    always_remember(queue)
    queue.add()
    queue.claim(worker)

    query = "SELECT %s::timestamptz - clock_timestamp()"
    assert timedelta(0) - timedelta(seconds=5) < queue.value(query, memory(queue)["until"]) <= timedelta(seconds=1)

    remember(queue, {5: ("2100-01-01T00:00:00Z", 0)}, until="1.5 seconds")
    task = queue.add(submitted_at="2001-01-01")
    assert [row["id"] for row in queue.claim(worker)] == [task]


def test_scan_that_finds_nothing_is_not_remembered(queue: Queue, worker: int) -> None:
    always_remember(queue)
    queue.add()
    queue.claim(worker)
    assert memory(queue) is not None

    queue.run("SELECT set_config('contentq.ready_heads', '', false)")
    assert queue.claim(worker) == []
    assert memory(queue) is None
    assert queue.value("SELECT contentq.next_claim_in()") is None
