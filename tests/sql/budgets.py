"""Budgets in a test: known costs, limits, claims and views."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.support.queue import Held, Queue

SLOTS = 100


@pytest.fixture(autouse=True)
def first_account(queue: Queue) -> None:
    """The queue with account 1."""
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
    """Records attempts of this cost each, some days ago."""
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


OF: dict[str, dict[str, Any]] = {
    "account, month": {"account_id": 1},
    "account, day": {"account_id": 1, "period": "day"},
    "category, day": {"category": "blog", "period": "day"},
    "account and category, month": {"account_id": 1, "category": "blog"},
    "all, day": {"period": "day"},
}
