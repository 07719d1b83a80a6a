"""explain() counts the tasks before a task as claims order them: in each order and with caps."""

from __future__ import annotations

import re

import pytest

from tests.support.queue import Queue

pytestmark = pytest.mark.usefixtures("in_utc")

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00"


def add_many(queue: Queue, account: int, number: int) -> None:
    """Many old tasks of an account."""
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, submitted_at) "
        "SELECT %s, '2001-01-01' FROM generate_series(1, %s)",
        account,
        number,
    )


def test_tasks_ahead_are_those_that_a_claim_takes_first(queue: Queue, idle: int) -> None:
    early, late = "2001-01-01", "2002-01-01"
    task = queue.add(submitted_at="2001-06-01", priority=5)
    queue.add(submitted_at=late, priority=5)
    queue.add(submitted_at=early, priority=4)
    queue.add(submitted_at=early, priority=10, scheduled_at="2999-01-01")
    paused = queue.add_account(paused_until="infinity")
    queue.add(submitted_at=early, priority=10, account_id=paused)
    assert queue.explain(task)[0].startswith("ready")

    queue.add(submitted_at=late, priority=6)
    assert queue.explain(task) == ["1 ready task is ahead of it (by priority, then submitted_at), of account 1"]

    queue.add(submitted_at=early, priority=5, account_id=queue.add_account())
    queue.add(submitted_at=early, priority=10, scheduled_at="2001-01-01")
    assert queue.explain(task) == [
        "3 ready tasks are ahead of it (by priority, then submitted_at): 2 of account 1, 1 of account 3"
    ]
    assert [row["id"] for row in queue.claim(idle, 4)][-1] == task


def test_tasks_ahead_under_a_cap_are_those_that_may_start(queue: Queue, idle: int) -> None:
    capped = queue.add_account(max_running=2)
    for _ in range(5):
        queue.add(account_id=capped)
    task = queue.add()

    assert queue.explain(task) == [
        f"2 ready tasks are ahead of it (by priority, then submitted_at), of account {capped}"
    ]
    assert queue.claim(idle, 3)[-1]["id"] == task


def test_counting_ends_at_ten_thousand(queue: Queue, idle: int) -> None:
    add_many(queue, queue.account, 10_001)

    assert queue.explain(queue.add()) == [
        "10000 or more ready tasks are ahead of it (by priority, then submitted_at), of account 1"
    ]


def test_any_number_of_tasks_of_a_paused_account_does_not_hide_the_others(queue: Queue, idle: int) -> None:
    add_many(queue, queue.add_account(paused_until="infinity"), 10_001)
    first, second = queue.add(), queue.add()

    assert queue.explain(first)[0].startswith("ready")
    assert queue.explain(second)[0].startswith("1 ready task is ahead of it")


def test_fair_order_tells_shares_and_own_tasks_ahead(queue: Queue, idle: int) -> None:
    queue.run("UPDATE contentq.settings SET claim_order = 'fair'")
    ada, grace = queue.account, queue.add_account(share=3)
    for _ in range(3):
        queue.add()
    queue.claim(idle, 3)
    mine, last = [queue.add() for _ in range(4)], queue.add(account_id=grace)

    assert queue.explain(last) == [f"ready: worker {idle} will claim it next"]
    assert queue.explain(mine[3]) == [
        f"account {ada} has 3 running; its share now is 3 of 10 slots (accounts with ready tasks: 2, share of "
        f"this account: 1); 3 of its own tasks are ahead; account {grace}, with 0 running, gets the next slot; "
        f"for a larger share: contentq accounts set {ada} --share 2"
    ]
    urgent = queue.add(priority=6)
    assert queue.explain(urgent)[0].startswith("ready")
    assert queue.explain(last)[0] == f"1 ready task is ahead of it (by priority), of account {ada}"


def test_deadlines_order_what_is_ahead_and_name_what_cannot_be_met(queue: Queue, idle: int) -> None:
    queue.run("UPDATE contentq.settings SET deadlines = true")
    queue.run("INSERT INTO contentq.durations (category, median) VALUES ('slow', '10 minutes')")
    soon = queue.value("SELECT clock_timestamp() + interval '5 minutes'")
    whenever = queue.add()
    hopeless, hurried = queue.add(category="slow", timeout_at=soon), queue.add(timeout_at=soon)

    assert queue.explain(hurried)[0].startswith("ready")
    assert queue.explain(whenever) == [
        "1 ready task is ahead of it (by priority, then the deadline, then submitted_at), of account 1"
    ]
    assert re.match(
        rf"it cannot finish by its deadline \({TIME}, in [0-9.]+ s\): tasks of category 'slow' take "
        rf"600\.0 s \(median\)",
        queue.explain(hopeless)[0],
    )


def test_aging_tells_who_has_every_other_slot(queue: Queue, idle: int) -> None:
    queue.run("UPDATE contentq.settings SET aging = '1 hour'")
    old = [queue.add(priority=1, submitted_at=f"2001-01-0{day}") for day in (1, 2)]
    urgent = queue.add(priority=10)

    assert queue.explain(urgent) == [
        "every other slot is for tasks that have waited longer than settings.aging (01:00:00): now 2"
    ]
    assert queue.explain(old[1])[1] == (
        "it has waited longer than settings.aging (01:00:00): every other slot is for such tasks, and 1 of "
        "them is ahead of it"
    )
