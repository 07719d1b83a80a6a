"""Budgets in views and notifications: the limit, the amount spent, and a warning before it is used up."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from contentq.queue.budgets import budget_status_of

from tests.sql.budgets import OF, claimed, first_account, know, set_budget, status, submit
from tests.support.queue import Queue

__all__ = ["first_account"]

pytestmark = pytest.mark.newest


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

    def test_budgets_of_some_accounts_are_read_without_those_of_all_others(self, queue: Queue) -> None:
        """Of the others, only those that were recorded as near their end are added."""
        queue.run(
            "INSERT INTO accounts (name, monthly_budget) "
            "SELECT 'account ' || n, 100 FROM generate_series(1, 300) AS n"
        )
        queue.run(
            "INSERT INTO contentq.usage (account_id, category, model, day, attempts, prompt_tokens, "
            "completion_tokens, cost) SELECT a.id, 'blog', 'm', (now() AT TIME ZONE 'UTC')::date, 1, 1, 1, "
            "CASE a.name WHEN 'account 9' THEN 99 ELSE 1 END FROM accounts AS a"
        )
        queue.values("SELECT contentq.note_budgets()")
        set_budget(queue, 1000, category="blog", period="day")
        shown = queue.values("SELECT id FROM accounts WHERE name IN ('account 1', 'account 2') ORDER BY id")
        near = queue.value("SELECT id FROM accounts WHERE name = 'account 9'")
        fetched = (
            "SELECT sum(pg_stat_get_xact_tuples_fetched(indexrelid)) FROM pg_index "
            "WHERE indrelid = 'contentq.usage'::regclass"
        )

        with queue.connection.transaction():
            before = queue.value(fetched)
            found = budget_status_of(queue.connection, shown)
            read = queue.value(fetched) - before

        assert [row["account_id"] for row in found] == [near, None, *shown]
        # The budget of the category reads a row of each account; the three others read theirs.
        assert read == queue.value("SELECT count(*) FROM contentq.usage") + 3

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

    @pytest.mark.slow
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

    @pytest.mark.slow
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
            "the budget of all accounts for category 'it''s' for today has passed 80 %: 9.0000 of 10",
            "the budget of all accounts for category 'it''s' for today is used up: 18.0000 of 10",
        ]

    def test_many_budgets_are_looked_at_so_seldom_that_it_costs_little(self, queue: Queue) -> None:
        set_budget(queue, 10)
        queue.run("SELECT contentq.maintain()")
        due = queue.value("SELECT budgets_due_at > ran_at FROM contentq.maintenance")
        assert due


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
