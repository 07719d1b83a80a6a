"""Finds accounts by the names that people and other systems use; reads and sets their limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from contentq.errors import ContentQueueError
from contentq.queue.reading import Connection, read_row, read_rows, read_value, read_values
from contentq.task import LARGEST_ID, read_id

EXTERNAL = "external:"
"""The prefix of an account's name in another system."""

NO_ACCOUNT = "there is no account {}; add one with: INSERT INTO accounts (name) VALUES ('…') RETURNING id"
"""The message about a missing account."""

HIDDEN_ACCOUNT = (
    "there is no account {} that this login may see: row level security is on; ask an operator to run: "
    "INSERT INTO contentq.account_roles (role_name, account_id) VALUES (…)"
)
"""The message if accounts may be hidden from the login."""

MOST_SHOWN = 5
"""Maximum number of ids that a message about an ambiguous name lists."""

_BY_EXTERNAL_ID = "SELECT id FROM contentq.accounts WHERE external_id = %s"
_BY_NAME = "SELECT id FROM contentq.accounts WHERE name = %s ORDER BY id LIMIT %s"

_HIDES_ACCOUNTS = """
    SELECT row_security_active(format('%I.%I', schema_name, table_name))
    FROM contentq.tables
    WHERE table_name = 'accounts'"""

_SET_LIMITS = """
    UPDATE contentq.accounts
    SET share = CASE WHEN %(set_share)s THEN %(share)s ELSE share END,
        max_running = CASE WHEN %(set_max_running)s THEN %(max_running)s ELSE max_running END,
        monthly_budget = CASE WHEN %(set_monthly_budget)s THEN %(monthly_budget)s ELSE monthly_budget END
    WHERE id = %(id)s
    RETURNING share, max_running, monthly_budget"""

# The index of ready tasks starts with (10 - priority); naming every value lets it find those of one account.
_LIST = """
    SELECT a.id, a.name, a.external_id, a.paused_until, a.monthly_budget, a.share, a.max_running
    FROM contentq.accounts AS a
    WHERE a.id > %(after)s
      AND CASE
              WHEN %(id)s::bigint IS NOT NULL THEN a.id = %(id)s OR a.external_id = %(text)s
              WHEN %(text)s::text IS NOT NULL
              THEN a.external_id = %(text)s OR strpos(lower(a.name), lower(%(text)s)) > 0
              ELSE true
          END IS TRUE
    ORDER BY a.id
    LIMIT %(limit)s"""

_ACTIVITY = """
    SELECT a.id,
           (SELECT count(*)
            FROM (SELECT
                  FROM contentq.tasks AS t
                  WHERE t.status = 'pending'
                    AND t.scheduled_at IS NULL
                    AND (10 - t.priority) = ANY ('{0,1,2,3,4,5,6,7,8,9}')
                    AND t.account_id = a.id
                  LIMIT %(most)s) AS r) AS ready,
           (SELECT count(*)
            FROM (SELECT
                  FROM contentq.tasks AS t
                  WHERE t.status COLLATE "C" = 'processing'
                    AND t.account_id = a.id
                  ORDER BY t.account_id, t.started_at
                  OFFSET 0) AS r) AS running
    FROM unnest(%(ids)s::bigint[]) AS a (id)"""

_COSTS = """
    SELECT a.id,
           (SELECT sum(u.cost)
            FROM contentq.usage AS u
            WHERE u.account_id = a.id
              AND u.day >= date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date) AS cost
    FROM unnest(%(ids)s::bigint[]) AS a (id)"""

LIMITS = ("share", "max_running", "monthly_budget")
"""The columns of an account's limits."""


def no_account(connection: Connection) -> str:
    """Returns the message about an account that is not found; {} stands for its name."""
    return HIDDEN_ACCOUNT if read_value(connection, _HIDES_ACCOUNTS) else NO_ACCOUNT


def find_account(connection: Connection, named: str) -> int:
    """Returns the id of an account, given as its id, as external:VALUE (accounts.external_id), or as its name.

    Does not check that a given id exists. Raises ContentQueueError if no account, or more than one, has the name.
    """
    if named.isdecimal() and named.isascii():
        id_ = read_id(named)
        if id_ is None:
            raise ContentQueueError(f"there is no account {named}; ids are from 1 to {LARGEST_ID}")
        return id_
    if named.startswith(EXTERNAL):
        found = read_values(connection, _BY_EXTERNAL_ID, [named.removeprefix(EXTERNAL)])
        if not found:
            raise _not_found(connection, f"with the external_id {named.removeprefix(EXTERNAL)!r}")
        return int(found[0])
    found = read_values(connection, _BY_NAME, [named, MOST_SHOWN + 1])
    if not found:
        raise _not_found(connection, f"named {named!r}", "; find it with: contentq accounts list")
    if len(found) > 1:
        ids = ", ".join(map(str, found[:MOST_SHOWN])) + (" and more" if len(found) > MOST_SHOWN else "")
        raise ContentQueueError(f"several accounts are named {named!r}: {ids}; use the id of one of them")
    return int(found[0])


def _not_found(connection: Connection, described: str, advice: str = "") -> ContentQueueError:
    if read_value(connection, _HIDES_ACCOUNTS):
        return ContentQueueError(HIDDEN_ACCOUNT.format(described))
    return ContentQueueError(f"there is no account {described}{advice}")


def list_accounts(connection: Connection, text: str | None, after: int, limit: int) -> list[dict[str, Any]]:
    """Lists accounts by id, after this one.

    text: only accounts with this id or external_id; unless it is a number, also accounts whose name contains it.
    """
    values = {"after": after, "limit": limit, "id": None if text is None else read_id(text)}
    return read_rows(connection, _LIST, {**values, "text": text})


def activity(connection: Connection, ids: Sequence[int], most: int) -> dict[int, dict[str, Any]]:
    """Returns the ready tasks of accounts, counted up to most, and their running tasks."""
    return {row["id"]: row for row in read_rows(connection, _ACTIVITY, {"ids": list(ids), "most": most})}


def costs(connection: Connection, ids: Sequence[int]) -> dict[int, Decimal | None]:
    """Returns the cost of accounts this month (UTC)."""
    return {row["id"]: row["cost"] for row in read_rows(connection, _COSTS, {"ids": list(ids)})}


def set_limits(connection: Connection, account: int, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes limits of an account, by column, and wakes workers; returns all limits.

    Raises ContentQueueError if the account does not exist.
    """
    values = {name: changes.get(name) for name in LIMITS}
    set_or_not = {f"set_{name}": name in changes for name in LIMITS}
    limits = read_row(connection, _SET_LIMITS, {"id": account, **values, **set_or_not})
    if limits is None:
        raise ContentQueueError(f"there is no account {account}")
    if changes:
        read_value(connection, "SELECT pg_notify('contentq_ready', '')", [])
    return limits
