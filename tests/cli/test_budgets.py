"""contentq budgets: maximum cost of attempts per day or month."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.cli.conftest import Run
from tests.support.queue import Queue


@pytest.fixture(autouse=True)
def ada(queue: Queue) -> int:
    return queue.account


def test_what_is_set_holds_for_the_next_claim_and_is_shown(contentq: Run, queue: Queue) -> None:
    queue.add(category="blog")
    queue.add(category="news")

    ran = contentq("budgets", "set", "0", "--category", "blog", "--period", "day")

    assert (ran.code, ran.out, ran.err) == (0, "all accounts, category blog: 0 a day\n", "")
    assert [row["category"] for row in queue.claim(queue.register(), 5)] == ["news"]
    (budget,) = json.loads(contentq("budgets", "list", "--json").out)
    assert (budget["account_id"], budget["category"], budget["period"]) == (None, "blog", "day")
    assert (budget["amount"], budget["state"]) == (0, "used_up")
    shown = contentq("budgets", "list").out
    assert "any" in shown
    assert "used_up" in shown


def test_budget_of_an_account_for_a_month_is_that_of_contentq_accounts(contentq: Run, queue: Queue) -> None:
    ran = contentq("budgets", "set", "12.50", "--account", "Ada", "--json")

    assert json.loads(ran.out) == {"account_id": 1, "category": None, "period": "month", "amount": 12.5}
    assert queue.value("SELECT monthly_budget FROM accounts") == Decimal("12.50")
    assert "monthly_budget 12.50" in contentq("accounts", "set", "Ada").out

    assert contentq("budgets", "unset", "--account", "Ada").out == "account 1: budget removed for the month\n"
    assert contentq("budgets", "unset", "--account", "Ada").out == "account 1: no budget was set for the month\n"
    assert contentq("budgets", "list").out == "no budgets\n"


def test_budget_of_an_account_and_a_category(contentq: Run, queue: Queue) -> None:
    assert contentq("budgets", "set", "5", "--account", "1", "--category", "blog").code == 0
    assert queue.rows("SELECT account_id, category, period, amount FROM contentq.budgets") == [
        {"account_id": 1, "category": "blog", "period": "month", "amount": 5}
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["set", "5"], 2, "give --account ACCOUNT, --category NAME or both; or give --all alone"),
        (["set", "5", "--all", "--category", "blog"], 2, "give --account ACCOUNT"),
        (["unset"], 2, "give --account ACCOUNT"),
        (["set", "none", "--all"], 2, "contentq budgets unset"),
        (["set", "-5", "--all"], 2, "No such option"),
        (["set", "much", "--all"], 2, "'much' is neither a number from 0"),
        (["set", "5", "--all", "--period", "week"], 2, "'week' is not one of 'day', 'month'"),
        (["set", "5", "--category", ""], 2, "--category must have 1 to 200 characters"),
        (["set", "5", "--category", "c" * 201], 2, "--category must have 1 to 200 characters"),
        (["set", "5", "--account", "nobody"], 1, "there is no account named 'nobody'"),
        (["set", "5", "--account", "4711"], 1, "there is no account 4711"),
    ],
)
def test_what_is_no_budget_is_refused(contentq: Run, arguments: list[str], code: int, said: str) -> None:
    ran = contentq("budgets", *arguments)

    assert ran.code == code
    assert said in ran.err
    assert contentq("budgets", "list").out == "no budgets\n"
