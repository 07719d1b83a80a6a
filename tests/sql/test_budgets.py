"""Budgets by day and by month, of accounts and of categories: what tasks that run may still cost is reserved."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.support.queue import Held, Queue

pytestmark = pytest.mark.newest

CLAIMERS = 8
SLOTS = 100


@pytest.fixture(autouse=True)
def first_account(queue: Queue) -> None:
    """Account 1 is there."""
    assert queue.account == 1


def submit(queue: Queue, number: int, account: int | None = None, category: str | None = None) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, category) SELECT %s, %s FROM generate_series(1, %s)",
        account or queue.account,
        category,
        number,
    )


def know(
    queue: Queue,
    cost: float,
    attempts: int = 1000,
    *,
    account: int | None = None,
    category: str = "",
    largest: float = 0,
    days_ago: int = 1,
) -> None:
    """Lets attempts have cost so much each, some days ago."""
    queue.run(
        "INSERT INTO contentq.usage (account_id, day, model, category, attempts, prompt_tokens, "
        "completion_tokens, cost, largest_cost) "
        "VALUES (%s, (clock_timestamp() AT TIME ZONE 'UTC')::date - %s::integer, 'm', %s, %s, 1, 1, %s, %s)",
        account or queue.account,
        days_ago,
        category,
        attempts,
        Decimal(str(cost)) * attempts,
        largest or cost,
    )


def set_budget(queue: Queue, amount: float | Decimal | None, **of: Any) -> None:
    names = ", ".join(f"{name} => %s" for name in of)
    queue.run(f"SELECT contentq.set_budget(%s::numeric{', ' * bool(of)}{names})", amount, *of.values())


def status(queue: Queue) -> list[dict[str, Any]]:
    return queue.rows("SELECT * FROM contentq.budget_status")


def claimed(queue: Queue, worker: int, number: int = SLOTS) -> list[Held]:
    return [Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker, number)]


def cost(amount: float) -> str:
    return json.dumps({"model": "m", "cost": amount})


def work_off(
    queue: Queue, connect_queue: Callable[[], Queue], costs: Sequence[float], done: Callable[[Queue], bool]
) -> None:
    """Claims with 100 slots, by several claimers at once; each completes what it holds one by one."""
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
    """Whether the budget is used up, and nothing runs any more."""
    return bool(
        queue.value(
            "SELECT bool_and(state = 'used_up') AND NOT EXISTS (SELECT FROM content_generation_tasks "
            "WHERE status = 'processing') FROM contentq.budget_status"
        )
    )


OF: dict[str, dict[str, Any]] = {
    "account, month": {"account_id": 1},
    "account, day": {"account_id": 1, "period": "day"},
    "category, day": {"category": "blog", "period": "day"},
    "account and category, month": {"account_id": 1, "category": "blog"},
    "all, day": {"period": "day"},
}


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
    """A budget of ten average tasks, of which the dearest costs half as much again."""
    submit(queue, 200)
    set_budget(queue, 20, account_id=1, period="day")
    if known:
        know(queue, 2, largest=3)

    work_off(queue, connect_queue, [1, 2, 3][seed:] + [1, 2, 3][:seed], is_over)

    spent = queue.value("SELECT contentq.budget_spent(1, NULL, 'day')")
    assert 20 <= spent < 23 if known else 20 <= spent < 26


class TestReservation:
    """What one claim takes."""

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

        # What it has cost is spent instead, which was less.
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


class TestBatches:
    """Tasks that have asked a provider's batch wait without a slot, for hours; what they cost comes at the end."""

    def ask(self, queue: Queue, task: Held) -> None:
        queue.run("SELECT contentq.ask_batch(%s, %s, %s, 'p', 'm', '{}')", task.worker, task.id, task.attempt)
        queue.run("SELECT contentq.snooze(%s, %s, %s, clock_timestamp() + interval '1 day')", *vars(task).values())

    def answer(self, queue: Queue) -> None:
        queue.run("UPDATE contentq.batch_requests SET answered_at = clock_timestamp()")
        queue.run("SELECT contentq.wake_answered(ARRAY(SELECT id FROM contentq.batch_requests))")

    def test_what_goes_with_a_batch_is_reserved_for(self, queue: Queue, worker: int) -> None:
        know(queue, 1)
        submit(queue, 50)
        set_budget(queue, 10, account_id=1, period="day")
        for _ in range(4):
            for task in claimed(queue, worker):
                self.ask(queue, task)

        assert queue.value("SELECT count(*) FROM contentq.batch_requests") == 10
        assert (status(queue)[0]["reserved"], status(queue)[0]["running"]) == (10, 0)

    def test_answers_are_collected_though_the_budget_is_used_up(self, queue: Queue, worker: int) -> None:
        know(queue, 1)
        submit(queue, 50)
        set_budget(queue, 10, account_id=1, period="day")
        asked = claimed(queue, worker)
        for task in asked:
            self.ask(queue, task)
        assert claimed(queue, worker) == []
        know(queue, 1, 20, days_ago=0)
        self.answer(queue)

        collected = claimed(queue, worker)
        assert [task.id for task in collected] == [task.id for task in asked]
        queue.complete(worker, collected, [cost(1)] * 10)
        queue.run("DELETE FROM contentq.batch_requests")
        assert claimed(queue, worker) == []

    def test_first_batch_is_not_held_up_until_it_is_known_what_it_costs(self, queue: Queue, worker: int) -> None:
        submit(queue, 5)
        set_budget(queue, 10, account_id=1)
        for _ in range(5):
            (task,) = claimed(queue, worker)
            self.ask(queue, task)

    def test_explanation_and_a_worker_that_waits_for_all_know_of_answers(self, queue: Queue) -> None:
        worker = queue.register(SLOTS)
        know(queue, 1)
        submit(queue, 1)
        set_budget(queue, 10, account_id=1, period="day")
        (task,) = claimed(queue, worker)
        self.ask(queue, task)
        know(queue, 1, 20, days_ago=0)
        self.answer(queue)
        assert queue.explain(task.id) == [f"ready: the next claim of worker {worker} takes it"]
        assert queue.value("SELECT contentq.anything_waits(NULL, '1 minute')")


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

    # It goes on as soon as the budget is raised, and what the worker remembers is gone.
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


class TestStatus:
    def test_view_shows_what_was_spent_reserved_and_left(self, queue: Queue, worker: int) -> None:
        know(queue, 1, 17, days_ago=0, category="blog")
        set_budget(queue, 20, category="blog", period="day")
        set_budget(queue, 100, account_id=1)
        queue.run("SELECT contentq.set_budget(17, 1, 'blog', 'day')")
        submit(queue, 3, category="blog")
        assert claimed(queue, worker) == []
        queue.run("SELECT contentq.unset_budget(1, 'blog', 'day')")
        assert len(claimed(queue, worker, 2)) == 2

        near, ok = status(queue)
        assert near == {
            "account_id": None,
            "category": "blog",
            "period": "day",
            "amount": 20,
            "spent": 17,
            "reserved": 2,
            "running": 2,
            "percent": 85,
            "state": "near",
            "since": None,
            "ends_at": queue.value(
                "SELECT (date_trunc('day', clock_timestamp() AT TIME ZONE 'UTC') + interval '1 day') "
                "AT TIME ZONE 'UTC'"
            ),
        }
        assert (ok["account_id"], ok["category"], ok["state"], ok["percent"]) == (1, None, "ok", 17)

    def test_budget_of_nothing_is_used_up(self, queue: Queue) -> None:
        set_budget(queue, 0)
        assert [(row["state"], row["percent"]) for row in status(queue)] == [("used_up", None)]

    def test_category_is_summed_over_accounts_and_models(self, queue: Queue) -> None:
        tasks = [queue.running(category=c, account_id=queue.add_account()) for c in ("blog", "blog", None)]
        for task, model in zip(tasks, ("a", "b", "a"), strict=True):
            queue.complete(task.worker, [task], [json.dumps({"cost": 1.5, "model": model})])
        spent = {
            row["category"]: (row["attempts"], row["cost"])
            for row in queue.rows("SELECT * FROM contentq.usage_by_category")
        }
        assert spent == {"blog": (2, Decimal(3)), None: (1, Decimal("1.5"))}
        assert queue.value("SELECT contentq.budget_spent(NULL, 'blog')") == 3
        assert queue.value("SELECT contentq.budget_spent(NULL)") == Decimal("4.5")


class TestEvents:
    @pytest.fixture
    def heard(self, queue: Queue, connect_queue: Callable[[], Queue]) -> Callable[[], list[str]]:
        listener = connect_queue()
        listener.run("LISTEN contentq_budgets")

        def hear() -> list[str]:
            queue.run("UPDATE contentq.maintenance SET budgets_due_at = '-infinity'")
            queue.run("SELECT contentq.maintain()")
            return [each.payload for each in listener.connection.notifies(timeout=0.2)]

        return hear

    def test_each_budget_is_told_of_once_near_its_end_and_once_used_up(
        self, queue: Queue, heard: Callable[[], list[str]]
    ) -> None:
        set_budget(queue, 10, account_id=1, period="day")
        set_budget(queue, 10, account_id=1)
        know(queue, 1, 7, days_ago=0)
        assert heard() == []
        know(queue, 1, 1, days_ago=0)
        assert heard() == [""]
        assert heard() == []
        since = {row["since"] for row in status(queue)}
        assert None not in since
        know(queue, 1, 2, days_ago=0)
        assert heard() == [""]
        assert heard() == []
        assert {row["since"] for row in status(queue)}.isdisjoint(since | {None})

    def test_changed_budget_and_another_period_are_watched_anew(
        self, queue: Queue, heard: Callable[[], list[str]]
    ) -> None:
        know(queue, 1, 10, days_ago=0)
        set_budget(queue, 10, account_id=1, period="day")
        assert heard() == [""]
        set_budget(queue, 20, account_id=1, period="day")
        assert heard() == []
        assert status(queue)[0]["since"] is None
        set_budget(queue, 12, account_id=1, period="day")
        assert heard() == [""]
        queue.run("UPDATE contentq.budget_events SET began_on = began_on - 1")
        assert status(queue)[0]["since"] is None
        assert heard() == [""]

    @pytest.mark.parametrize(("warning", "expected"), [("0.5", [""]), ("1", []), (None, [])])
    def test_part_from_which_on_it_warns_is_a_setting(
        self, queue: Queue, heard: Callable[[], list[str]], warning: str | None, expected: list[str]
    ) -> None:
        queue.run("UPDATE contentq.settings SET budget_warning = %s::numeric", warning)
        set_budget(queue, 10)
        know(queue, 1, 5, days_ago=0)
        assert heard() == expected
        know(queue, 1, 5, days_ago=0)
        assert heard() == [""]

    def test_maintenance_says_it_in_words(self, queue: Queue, heard: Callable[[], list[str]]) -> None:
        said: list[str] = []
        queue.connection.add_notice_handler(lambda notice: said.append(str(notice.message_primary)))
        set_budget(queue, 10, category="it's", period="day")
        know(queue, 1.5, 6, days_ago=0, category="it's")
        heard()
        know(queue, 1.5, 6, days_ago=0, category="it's")
        heard()
        assert said == [
            "the budget of all accounts for category 'it''s' for this day has passed 80 %: 9.0000 of 10",
            "the budget of all accounts for category 'it''s' for this day is used up: 18.0000 of 10",
        ]

    def test_many_budgets_are_looked_at_so_seldom_that_it_costs_little(self, queue: Queue) -> None:
        set_budget(queue, 10)
        queue.run("SELECT contentq.maintain()")
        due = queue.value("SELECT budgets_due_at > ran_at FROM contentq.maintenance")
        assert due


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
        assert line.split("; it goes on ") == [
            "the budget of account 1 for this day has no room for one more now: 2.0000 of 7 is spent, "
            "4.0000 reserved (2 tasks run), and one more is expected to cost 2.0000",
            "when one has ended and cost less, or when the budget is raised: "
            "contentq budgets set AMOUNT --account 1 --period day",
        ]

    def test_unknown_cost_is_named(self, queue: Queue) -> None:
        worker = queue.register(SLOTS)
        submit(queue, 2, category="blog")
        set_budget(queue, 7, category="blog")
        claimed(queue, worker)
        waiting = queue.value("SELECT id FROM content_generation_tasks WHERE status = 'pending'")
        (line,) = queue.explain(waiting)
        assert line.split(": ") == [
            "the budget of all accounts for category 'blog' for this month lets one task at a time start until it "
            "is known what a task of category 'blog' costs",
            "0.0000 of 7 is spent, 0.0000 reserved, and 1 task runs; for more",
            "contentq budgets set AMOUNT --category 'blog' --period month",
        ]

    def test_task_behind_a_category_that_is_held_is_ready(self, queue: Queue) -> None:
        worker = queue.register(SLOTS)
        submit(queue, 5, category="blog")
        set_budget(queue, 0, category="blog")
        task = queue.add()
        assert queue.explain(task) == [f"ready: the next claim of worker {worker} takes it"]
        assert [row["id"] for row in queue.claim(worker)] == [task]


class TestSetting:
    def test_budget_of_an_account_for_a_month_is_its_column(self, queue: Queue) -> None:
        set_budget(queue, 5, account_id=1)
        assert queue.value("SELECT monthly_budget FROM accounts") == 5
        assert queue.value("SELECT count(*) FROM contentq.budgets") == 0
        assert queue.value("SELECT contentq.unset_budget(1)")
        assert not queue.value("SELECT contentq.unset_budget(1)")
        assert status(queue) == []

    def test_budget_that_is_set_again_is_changed(self, queue: Queue) -> None:
        for amount in (5, 6):
            set_budget(queue, amount, category="blog")
        assert [row["amount"] for row in status(queue)] == [6]
        set_budget(queue, None, category="blog")
        assert status(queue) == []

    @pytest.mark.parametrize(
        ("of", "error"),
        [
            ({"account_id": 4711}, psycopg.errors.ForeignKeyViolation),
            ({"account_id": 4711, "period": "day"}, psycopg.errors.ForeignKeyViolation),
            ({"category": ""}, psycopg.errors.CheckViolation),
            ({"category": "c" * 201}, psycopg.errors.CheckViolation),
            ({"period": "week"}, psycopg.errors.CheckViolation),
            ({"period": "day", "amount": -1}, psycopg.errors.CheckViolation),
            ({"period": "day", "amount": "NaN"}, psycopg.errors.CheckViolation),
            ({"account_id": 1, "amount": "NaN"}, psycopg.errors.CheckViolation),
        ],
        ids=str,
    )
    def test_what_is_no_budget_is_refused(self, queue: Queue, of: dict[str, Any], error: type[Exception]) -> None:
        amount = Decimal(of.pop("amount", 1))
        with pytest.raises(error):
            set_budget(queue, amount, **of)

    def test_worker_that_ends_when_nothing_is_left_does_not_wait_for_a_budget(self, queue: Queue) -> None:
        submit(queue, 1, category="blog")
        waits = "SELECT contentq.anything_waits(NULL, '1 minute')"
        for of in OF.values():
            assert queue.value(waits)
            set_budget(queue, 0, **of)
            assert not queue.value(waits)
            set_budget(queue, None, **of)
