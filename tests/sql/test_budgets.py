"""Budgets per day and month, of accounts and categories: expected costs of running tasks are reserved."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.sql.budgets import OF, SLOTS, claimed, cost, first_account, know, set_budget, status, submit
from tests.support.queue import Held, Queue

__all__ = ["first_account"]

pytestmark = pytest.mark.newest


CLAIMERS = 8


def work_off(
    queue: Queue, connect_queue: Callable[[], Queue], costs: Sequence[float], done: Callable[[Queue], bool]
) -> None:
    """Claims with 100 slots, by several claimers at once; each completes its tasks one by one."""
    sessions = [connect_queue() for _ in range(CLAIMERS)]
    idle = threading.Event()

    def work(own: Queue, seed: int) -> None:
        rng = random.Random(seed)
        worker, held = own.register(SLOTS), list[Held]()
        while True:
            held += claimed(own, worker, SLOTS - len(held))
            rng.shuffle(held)
            if held:
                own.complete(worker, [held.pop()], [cost(rng.choice(costs))])
            elif done(own) or idle.is_set():
                return

    with ThreadPoolExecutor(CLAIMERS) as pool:
        try:
            for each in [pool.submit(work, own, n) for n, own in enumerate(sessions)]:
                each.result(timeout=60)
        finally:
            idle.set()


def is_over(queue: Queue) -> bool:
    """Whether the budget is used up and no task runs."""
    return bool(
        queue.value(
            "SELECT bool_and(state = 'used_up') AND NOT EXISTS (SELECT FROM content_generation_tasks "
            "WHERE status = 'processing') FROM contentq.budget_status"
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False], ids=["known", "cold"])
@pytest.mark.parametrize("of", OF, ids=str)
def test_hundred_slots_and_a_budget_of_ten_tasks_end_with_eleven_at_most(
    queue: Queue, connect_queue: Callable[[], Queue], of: str, known: bool
) -> None:
    submit(queue, 200, category="blog")
    submit(queue, 20, queue.add_account("other"), category="news")
    set_budget(queue, 10, **OF[of])
    if known:
        know(queue, 1, category="blog")
        know(queue, 1, category="news", account=2)
        if OF[of].get("period", "month") == "month":
            spent = queue.value("SELECT contentq.budget_spent(1)")
            set_budget(queue, 10 + spent, **OF[of])

    work_off(queue, connect_queue, [1], is_over)

    completed = queue.value(
        "SELECT count(*) FROM content_generation_tasks WHERE status = 'completed'"
        + (" AND category = 'blog'" if "all" not in of else "")
    )
    assert completed == 10


@pytest.mark.parametrize("known", [True, False], ids=["known", "cold"])
@pytest.mark.parametrize("seed", range(3))
def test_costs_that_vary_threefold_overshoot_by_less_than_one_task(
    queue: Queue, connect_queue: Callable[[], Queue], known: bool, seed: int
) -> None:
    """A budget of ten average tasks; the most expensive costs half as much again."""
    submit(queue, 200)
    set_budget(queue, 20, account_id=1, period="day")
    if known:
        know(queue, 2, largest=3)

    work_off(queue, connect_queue, [1, 2, 3][seed:] + [1, 2, 3][:seed], is_over)

    spent = queue.value("SELECT contentq.budget_spent(1, NULL, 'day')")
    assert 20 <= spent < 23 if known else 20 <= spent < 26


class TestReservation:
    """The tasks of one claim."""

    @pytest.fixture(params=["strict", "fair"], autouse=True)
    def claim_order(self, request: pytest.FixtureRequest, queue: Queue) -> None:
        queue.run("UPDATE contentq.settings SET claim_order = %s", request.param)

    def test_what_runs_is_reserved_for(self, queue: Queue, worker: int) -> None:
        know(queue, 2)
        submit(queue, 20)
        set_budget(queue, 11, account_id=1, period="day")

        first = claimed(queue, worker, 3)
        assert (status(queue)[0]["reserved"], status(queue)[0]["running"]) == (6, 3)
        assert len(claimed(queue, worker)) == 2
        assert claimed(queue, worker) == []

        # The actual cost, which was lower, replaces the reservation.
        queue.complete(worker, first[:1], [cost(0.5)])
        assert status(queue)[0]["spent"] == Decimal("0.5")
        queue.complete(worker, first[1:], [cost(0.5), cost(0.5)])
        assert len(claimed(queue, worker)) == 2

    def test_attempt_that_ends_without_cost_gives_back_what_was_reserved(self, queue: Queue, worker: int) -> None:
        know(queue, 1)
        submit(queue, 20)
        set_budget(queue, 5, account_id=1, period="day")
        held = claimed(queue, worker)
        assert len(held) == 5

        queue.release(worker, held[:1])
        queue.fail(held[1], permanent=True)
        assert len(claimed(queue, worker)) == 2

    def test_nothing_known_of_costs_lets_one_start_and_then_as_many_as_are_known(
        self, queue: Queue, worker: int
    ) -> None:
        submit(queue, 50)
        set_budget(queue, 1000, account_id=1)
        started = []
        for _ in range(5):
            held = claimed(queue, worker)
            started.append(len(held))
            queue.complete(worker, held, [cost(1)] * len(held))

        assert started == [1, 2, 4, 8, 16]

    def test_tasks_that_report_no_cost_at_all_are_known_to_be_free(self, queue: Queue, worker: int) -> None:
        submit(queue, 20)
        set_budget(queue, 1, account_id=1)
        for number in (1, 2, 4):
            held = claimed(queue, worker)
            assert len(held) == number
            if number == 2:
                queue.complete(worker, held)
            else:
                queue.store(worker, held)
        assert status(queue)[0]["spent"] == 0

    def test_each_category_is_expected_to_cost_what_it_has_cost(self, queue: Queue, worker: int) -> None:
        know(queue, 0.1, category="news")
        know(queue, 5, category="report")
        set_budget(queue, 10, account_id=1, period="day")
        submit(queue, 10, category="report")
        assert len(claimed(queue, worker)) == 2
        queue.run("DELETE FROM content_generation_tasks")
        submit(queue, 200, category="news")
        assert len(claimed(queue, worker, 200)) == 100

    def test_category_of_which_nothing_is_known_starts_with_one(self, queue: Queue, worker: int) -> None:
        know(queue, 1, category="news")
        set_budget(queue, 10, account_id=1, period="day")
        submit(queue, 5, category="report")
        submit(queue, 5, category="news")
        categories = [row["category"] for row in queue.claim(worker, 20)]
        assert sorted(categories) == ["news"] * 5 + ["report"]

    def test_costs_of_more_than_a_week_ago_are_not_gone_by(self, queue: Queue, worker: int) -> None:
        know(queue, 1, days_ago=7)
        set_budget(queue, 10, account_id=1, period="day")
        submit(queue, 5)
        assert len(claimed(queue, worker)) == 1

    def test_price_that_rises_counts_from_today_on(self, queue: Queue, worker: int) -> None:
        know(queue, 1, attempts=1000)
        know(queue, 4, attempts=2, days_ago=0)
        set_budget(queue, 20, account_id=1, period="day")
        submit(queue, 20)
        assert len(claimed(queue, worker)) == 3

    def test_single_freak_reserves_no_more_than_three_times_the_average(self, queue: Queue, worker: int) -> None:
        know(queue, 1, largest=500)
        set_budget(queue, 12, account_id=1, period="day")
        submit(queue, 20)
        assert len(claimed(queue, worker)) == 4

    def test_last_part_of_a_budget_is_spent_by_one_task(self, queue: Queue, worker: int) -> None:
        know(queue, 2)
        set_budget(queue, 1, account_id=1, period="day")
        submit(queue, 5)
        held = claimed(queue, worker)
        assert len(held) == 1
        queue.complete(worker, held, [cost(0.5)])
        assert len(claimed(queue, worker)) == 1

    def test_budgets_count_together(self, queue: Queue, worker: int) -> None:
        other = queue.add_account("other")
        for account in (queue.account, other):
            for category in ("", "blog", "news"):
                know(queue, 1, account=account, category=category)
        set_budget(queue, 7, period="day")
        set_budget(queue, 4, account_id=other, period="day")
        set_budget(queue, 3, category="blog", period="day")
        set_budget(queue, 1, account_id=queue.account, category="news", period="day")
        for tasks in ("blog", "news", None):
            submit(queue, 10, other, tasks)
            submit(queue, 10, queue.account, tasks)
        rows = [(row["account_id"], row["category"]) for row in queue.claim(worker, SLOTS)]
        assert len(rows) == 7
        assert [category for _, category in rows].count("blog") <= 3
        assert [account for account, _ in rows].count(other) <= 4
        assert rows.count((queue.account, "news")) <= 1

    def test_cap_and_budget_hold_both(self, queue: Queue, worker: int) -> None:
        know(queue, 1)
        queue.run("UPDATE accounts SET max_running = 3, monthly_budget = 100000")
        submit(queue, 10)
        assert len(claimed(queue, worker)) == 3
        queue.run("UPDATE accounts SET max_running = 10, monthly_budget = contentq.budget_spent(id) + 5")
        assert len(claimed(queue, worker)) == 2


HELD_BY: dict[str, dict[str, Any]] = {
    "category": {"category": "blog", "period": "day"},
    "account and category": {"account_id": 1, "category": "blog", "period": "day"},
    "account": {"account_id": 1, "period": "day"},
}


@pytest.mark.parametrize("claim_order", ["strict", "fair"])
@pytest.mark.parametrize("aging", [None, "1 hour"])
@pytest.mark.parametrize("of", HELD_BY, ids=str)
def test_others_go_past_what_a_budget_holds(
    queue: Queue, worker: int, of: str, claim_order: str, aging: str | None
) -> None:
    queue.run("UPDATE contentq.settings SET claim_order = %s, aging = %s::interval", claim_order, aging)
    other = queue.add_account("other")
    set_budget(queue, 0, **HELD_BY[of])
    submit(queue, 150, category="blog")
    queue.run("UPDATE content_generation_tasks SET submitted_at = now() - interval '1 day'")
    free = [
        queue.add(account_id=other, category="news"),
        queue.add(account_id=other),
        *([queue.add(category="news"), queue.add()] if of != "account" else []),
        *([queue.add(account_id=other, category="blog")] if of != "category" else []),
    ]

    found = [row["id"] for _ in range(len(free)) for row in queue.claim(worker, 1)]
    assert sorted(found) == sorted(free)

    # Claims continue as soon as the budget is raised; the worker's remembered positions are gone.
    set_budget(queue, 1, **HELD_BY[of])
    assert len(claimed(queue, worker)) == 1
    set_budget(queue, None, **HELD_BY[of])
    assert len(claimed(queue, worker)) == SLOTS


def test_worker_of_a_category_goes_past_another_that_is_held(queue: Queue, worker: int) -> None:
    set_budget(queue, 0, category="blog")
    submit(queue, 20, category="blog")
    task = queue.add(category="news")
    assert [row["id"] for row in queue.claim(worker, 10, ["blog", "news"])] == [task]
    assert queue.claim(worker, 10, ["blog"]) == []


def test_budget_of_all_holds_everything_and_is_remembered(queue: Queue, worker: int) -> None:
    set_budget(queue, 0, period="day")
    submit(queue, 20)
    assert claimed(queue, worker) == []
    assert queue.value("SELECT memory->'spent' FROM contentq.claimers") == [[None, None]]
    assert claimed(queue, worker) == []
    set_budget(queue, 1, period="day")
    assert len(claimed(queue, worker)) == 1


@pytest.mark.parametrize("of", OF, ids=str)
def test_budget_that_another_claim_counts_is_looked_at_again_in_a_moment(
    queue: Queue, connect_queue: Callable[[], Queue], worker: int, of: str
) -> None:
    for category in ("", "blog"):
        know(queue, 0.001, category=category)
    submit(queue, 10, category="blog")
    set_budget(queue, 10_000, **OF[of])
    other = connect_queue()
    with other.connection.transaction():
        assert len(other.claim(other.register(), 1)) == 1
        found, wait = queue.claim_and_wait(worker, 10)
    assert found == []
    assert wait is not None
    assert wait.total_seconds() == 0.005
    assert len(claimed(queue, worker)) == 9


@pytest.mark.parametrize("of", OF, ids=str)
def test_claim_on_an_older_snapshot_is_exact_or_refused(
    queue: Queue, connect_queue: Callable[[], Queue], worker: int, of: str
) -> None:
    know(queue, 1, category="blog", days_ago=0)
    submit(queue, 10, category="blog")
    set_budget(queue, 1002, **OF[of])
    others = connect_queue()
    other = others.register()

    def claim_after_the_other() -> None:
        with others.connection.transaction():
            others.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            others.value("SELECT count(*) FROM content_generation_tasks")
            assert len(claimed(queue, worker, 1)) == 1
            others.claim(other, 10)

    with pytest.raises(psycopg.errors.SerializationFailure):
        claim_after_the_other()
    assert len(claimed(others, other)) == 1


@pytest.mark.parametrize("period", ["day", "month"])
@pytest.mark.parametrize("zone", ["-167:59", "167:59"])
def test_budget_that_is_used_up_ends_with_its_period(queue: Queue, worker: int, period: str, zone: str) -> None:
    know(queue, 1, 5, days_ago=0)
    submit(queue, 5)
    set_budget(queue, 5, account_id=1, period=period)
    queue.run(f"SET TIME ZONE INTERVAL '{zone}' HOUR TO MINUTE")
    assert claimed(queue, worker) == []
    first = f"date_trunc('{period}', clock_timestamp() AT TIME ZONE 'UTC')::date"
    queue.run(f"UPDATE contentq.usage SET day = {first}")
    assert claimed(queue, worker) == []
    assert queue.blocked_accounts() == [1]
    queue.run(f"UPDATE contentq.usage SET day = {first} - 1")
    assert queue.blocked_accounts() == []
    assert claimed(queue, worker)


class TestExplanation:
    def test_budget_without_room_is_named_with_its_numbers(self, queue: Queue) -> None:
        worker = queue.register(SLOTS)
        know(queue, 2, 1, days_ago=0)
        know(queue, 2)
        submit(queue, 3)
        set_budget(queue, 7, account_id=1, period="day")
        assert len(claimed(queue, worker)) == 2
        waiting = queue.value("SELECT id FROM content_generation_tasks WHERE status = 'pending'")
        (line,) = queue.explain(waiting)
        assert line.split("; it starts ") == [
            "the budget of account 1 for today has no room for another task now: 2.0000 of 7 is spent, "
            "4.0000 is reserved (2 tasks are running), and another task is expected to cost 2.0000",
            "when one has ended and cost less, or when the budget is raised: "
            "contentq budgets set AMOUNT --account 1 --period day",
        ]

    def test_costs_of_a_tiny_budget_are_not_rounded_to_zero(self, queue: Queue) -> None:
        worker = queue.register(SLOTS)
        know(queue, 0.000005, 1, days_ago=0)
        know(queue, 0.000003)
        submit(queue, 2)
        set_budget(queue, 0.00001, account_id=1, period="day")
        assert len(claimed(queue, worker)) == 1
        waiting = queue.value("SELECT id FROM content_generation_tasks WHERE status = 'pending'")

        (line,) = queue.explain(waiting)

        assert "0.000005 of 0.00001 is spent, 0.000005 is reserved" in line
        assert "expected to cost 0.000005" in line

    def test_unknown_cost_is_named(self, queue: Queue) -> None:
        worker = queue.register(SLOTS)
        submit(queue, 2, category="blog")
        set_budget(queue, 7, category="blog")
        claimed(queue, worker)
        waiting = queue.value("SELECT id FROM content_generation_tasks WHERE status = 'pending'")
        (line,) = queue.explain(waiting)
        assert line.split(": ") == [
            "the budget of all accounts for category 'blog' for this month allows one task at a time until the "
            "cost of a task of category 'blog' is known",
            "0.0000 of 7 is spent, 0.0000 is reserved, and 1 task is running; to raise the budget",
            "contentq budgets set AMOUNT --category 'blog' --period month",
        ]

    def test_task_behind_a_category_that_is_held_is_ready(self, queue: Queue) -> None:
        worker = queue.register(SLOTS)
        submit(queue, 5, category="blog")
        set_budget(queue, 0, category="blog")
        task = queue.add()
        assert queue.explain(task) == [f"ready: worker {worker} will claim it next"]
        assert [row["id"] for row in queue.claim(worker)] == [task]
