"""claim() in fair order while another session has an old snapshot: workers remember a place for each account."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support.plans import scans
from tests.support.queue import Held, Queue

pytestmark = pytest.mark.usefixtures("fair")

BATCH = 500
BATCHES = 30


@pytest.fixture
def fair(queue: Queue) -> None:
    queue.run("UPDATE contentq.settings SET claim_order = 'fair'")


def heads(queue: Queue) -> Any:
    """The places that a worker remembers, or None."""
    return queue.value("SELECT memory->'fair_places'->'heads' FROM contentq.claimers")


def remember(queue: Queue, places: dict[str, Any], until: str = "0.9 seconds") -> None:
    """Sets the places of accounts that workers remember for each priority."""
    assert queue.run(
        "UPDATE contentq.claimers SET memory = jsonb_build_object('fair_places', jsonb_build_object("
        "'until', clock_timestamp() + %s::interval, 'heads', "
        "jsonb_build_object('since', clock_timestamp() - interval '1 second') || %s::jsonb))",
        until,
        json.dumps(places),
    )


@pytest.mark.slow
def test_claims_in_fair_order_do_not_walk_again_over_what_was_claimed_or_ran_before(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    worker = queue.register(slots=BATCH)
    accounts = [queue.add_account() for _ in range(5)]
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, submitted_at) "
        "SELECT (%s::bigint[])[1 + n %% 5], '2001-01-01' FROM generate_series(1, %s) AS n",
        accounts,
        BATCH * BATCHES,
    )
    reader = connect_queue()
    with reader.connection.transaction():
        reader.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.run("SELECT count(*) FROM content_generation_tasks")
        places: dict[str, Any] = {"5": {str(id_): ["-infinity", 0] for id_ in accounts}}
        remember(queue, places)
        entries = 0
        for _ in range(BATCHES):
            read = scans(queue, f"SELECT count(*) FROM contentq.claim({worker}, {BATCH})").entries
            entries += sum(read.get(name, 0) for name in ("ready_account_idx", "running_idx", "ready_idx"))
            held = queue.rows("SELECT id, attempt FROM content_generation_tasks WHERE status = 'processing'")
            queue.complete(worker, [Held(worker, row["id"], row["attempt"]) for row in held])
            # On a slow machine, the remembered places would expire before the last claim.
            places |= heads(queue) or {}
            remember(queue, {name: place for name, place in places.items() if name != "since"})

    assert queue.values("SELECT DISTINCT attempt FROM content_generation_tasks") == [1]
    # A full scan each time would read twice as much in the index of ready tasks alone.
    assert entries < BATCH * BATCHES**2 / 4


def test_account_without_a_place_starts_with_the_next_claim(queue: Queue, worker: int) -> None:
    known, other = queue.add_account(), queue.add_account()
    queue.add(account_id=known, submitted_at="2001-01-01")
    remember(queue, {"5": {str(known): ["2000-01-01T00:00:00Z", 0]}})
    task = queue.add(account_id=other)

    assert task in [row["id"] for row in queue.claim(worker, 2)]


def test_slots_that_accounts_with_a_place_leave_are_shared_out_between_others(queue: Queue, worker: int) -> None:
    """Others that had no place, although their tasks are old."""
    known, first, second = (queue.add_account() for _ in range(3))
    queue.add(account_id=known, submitted_at="2001-01-01")
    for account, year in ((first, 2001), (second, 2002)):
        for _ in range(4):
            queue.add(account_id=account, submitted_at=f"{year}-01-01")
    remember(queue, {"5": {str(known): ["2000-01-01T00:00:00Z", 0]}})

    claimed = Counter(row["account_id"] for row in queue.claim(worker, 5))

    assert claimed == {known: 1, first: 2, second: 2}


def test_more_urgent_task_is_found_though_its_priority_was_empty(queue: Queue, worker: int) -> None:
    account = queue.add_account()
    queue.add(account_id=account, priority=5, submitted_at="2001-01-01")
    remember(queue, {"10": {}, "9": {}, "5": {str(account): ["2000-01-01T00:00:00Z", 0]}})
    urgent = queue.add(account_id=account, priority=9)

    assert [row["id"] for row in queue.claim(worker)] == [urgent]


def test_places_of_accounts_count_for_a_second_at_most(queue: Queue, worker: int) -> None:
    account = queue.add_account()
    behind = queue.add(account_id=account, submitted_at="2001-01-01")
    queue.add(account_id=account, submitted_at="2003-01-01")
    places = {"5": {str(account): ["2002-01-01T00:00:00Z", 0]}}
    remember(queue, places, until="-0.1 seconds")
    assert [row["id"] for row in queue.claim(worker)] == [behind]

    queue.release(worker, [Held(worker, behind, 1)])
    remember(queue, places, until="1.5 seconds")
    assert [row["id"] for row in queue.claim(worker)] == [behind]


def test_running_tasks_count_though_places_are_remembered(queue: Queue, worker: int) -> None:
    """The account with fewer running tasks is next."""
    busy, idle = queue.add_account(), queue.add_account()
    for _ in range(4):
        queue.add(account_id=busy, submitted_at="2001-01-01")
    assert len(queue.claim(worker, 3)) == 3
    first = queue.value("SELECT min(started_at) FROM content_generation_tasks")
    task = queue.add(account_id=idle, submitted_at="2001-01-01")
    place = ["2000-01-01T00:00:00Z", 0, first.isoformat()]
    remember(queue, {"5": {str(busy): place, str(idle): place}})

    assert [row["id"] for row in queue.claim(worker)] == [task]


def test_task_that_became_ready_before_the_places_is_found_when_nothing_else_is(queue: Queue, worker: int) -> None:
    task = queue.add(submitted_at="2001-01-01")
    remember(queue, {str(priority): {} for priority in range(1, 11)})

    assert [row["id"] for row in queue.claim(worker)] == [task]


def test_places_do_not_count_when_an_account_goes_on(queue: Queue, worker: int) -> None:
    known, resumed = queue.add_account(), queue.add_account()
    tasks = [queue.add(account_id=account, submitted_at="2001-01-01") for account in (known, known, resumed)]
    remember(queue, {"5": {str(known): ["2000-01-01T00:00:00Z", 0]}})
    queue.run(
        "UPDATE contentq.claimers SET memory = jsonb_set(memory, '{fair_places,blocked}', %s::jsonb)",
        json.dumps([resumed]),
    )

    assert sorted(row["id"] for row in queue.claim(worker, 2)) == [tasks[0], tasks[2]]


def test_account_without_a_place_is_found_behind_what_others_have_just_submitted(
    queue: Queue, worker: int
) -> None:
    known, other = queue.add_account(), queue.add_account()
    queue.run("INSERT INTO content_generation_tasks (account_id) SELECT %s FROM generate_series(1, 1500)", known)
    remember(queue, {"5": {str(known): ["2000-01-01T00:00:00Z", 0]}})
    task = queue.add(account_id=other)

    assert task in [row["id"] for row in queue.claim(worker, 2)]


def test_place_is_never_after_what_may_not_be_committed_yet(queue: Queue, worker: int) -> None:
    account = queue.add_account()
    queue.add(account_id=account)
    remember(queue, {"5": {str(account): ["2000-01-01T00:00:00Z", 0]}})
    assert len(queue.claim(worker)) == 1

    place = datetime.fromisoformat(heads(queue)["5"][str(account)][0])

    assert place <= queue.now() - timedelta(seconds=1)


def test_places_are_forgotten_when_a_budget_refuses_tasks(queue: Queue, worker: int) -> None:
    """The refused tasks lie before the places."""
    refused, other = queue.add_account(monthly_budget=0), queue.add_account()
    queue.add(account_id=refused, submitted_at="2001-01-01")
    task = queue.add(account_id=other, submitted_at="2001-01-01")
    remember(queue, {"5": {str(id_): ["2000-01-01T00:00:00Z", 0] for id_ in (refused, other)}})

    assert [row["id"] for row in queue.claim(worker, 2)] == [task]
    assert heads(queue) is None
