"""Budgets of accounts and categories, by day and month; over a plain connection in autocommit mode."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from contentq.queue.reading import Connection, read_rows, read_value

_STATUS = "SELECT * FROM contentq.budget_status"

MOST_NEAR = 20
"""Accounts whose budgets are near their end that `budget_status_of` adds, the latest first."""

# The accounts are an array, so that no other budget is computed: each reads the usage of its account.
_STATUS_OF = f"""
    SELECT *
    FROM contentq.budget_status
    WHERE account_id IS NULL
       OR account_id = ANY (%s::bigint[] || ARRAY(
              SELECT e.account_id
              FROM contentq.budget_events AS e
              WHERE e.account_id IS NOT NULL
              ORDER BY e.near_at DESC
              LIMIT {MOST_NEAR}
          ))"""

_SET = "SELECT contentq.set_budget(%s::numeric, %s::bigint, %s::text, %s::text)"
_UNSET = "SELECT contentq.unset_budget(%s::bigint, %s::text, %s::text)"


def budget_status(connection: Connection) -> list[dict[str, Any]]:
    """Returns the view budget_status: budgets that are nearest to their end first."""
    return read_rows(connection, _STATUS, [])


def budget_status_of(connection: Connection, accounts: Sequence[int]) -> list[dict[str, Any]]:
    """Returns those of these accounts, of no account, and the latest that are near their end.

    Its cost does not grow with the number of accounts that have a budget.
    """
    return read_rows(connection, _STATUS_OF, [list(accounts)])


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
