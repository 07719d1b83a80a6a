"""Budgets of accounts and categories, by day and month; over a plain connection in autocommit mode."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from contentq.queue.reading import Connection, read_rows, read_value

_STATUS = "SELECT * FROM contentq.budget_status"
_SET = "SELECT contentq.set_budget(%s::numeric, %s::bigint, %s::text, %s::text)"
_UNSET = "SELECT contentq.unset_budget(%s::bigint, %s::text, %s::text)"


def budget_status(connection: Connection) -> list[dict[str, Any]]:
    """Returns the view budget_status: budgets that are nearest to their end first."""
    return read_rows(connection, _STATUS, [])


def set_budget(
    connection: Connection, amount: Decimal, account: int | None, category: str | None, period: str
) -> None:
    """Limits the cost of attempts per day or month: of an account, a category, both, or all (None).

    Raises ContentQueueError if the account does not exist.
    """
    read_value(connection, _SET, [amount, account, category, period])


def unset_budget(connection: Connection, account: int | None, category: str | None, period: str) -> bool:
    """Removes a budget; returns whether it existed."""
    return bool(read_value(connection, _UNSET, [account, category, period]))
