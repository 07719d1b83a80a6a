"""Pauses of gates, accounts and the whole queue; over a plain connection in autocommit mode."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from contentq.errors import ContentQueueError
from contentq.queue.reading import Connection, read_row, read_rows, read_value, read_values

_CLOSE = "SELECT contentq.close_gate(%s, coalesce(clock_timestamp() + %s::interval, 'infinity'), %s)"
_OPEN = "SELECT contentq.open_gate(%s)"
_CLOSED = "SELECT key FROM contentq.gates WHERE opens_at > clock_timestamp() ORDER BY key"
_OF_LIVE_WORKERS = """
    SELECT DISTINCT gate
    FROM contentq.worker_status
    WHERE state <> 'silent'
      AND gate IS NOT NULL
    ORDER BY gate"""
_PAUSE = """
    UPDATE contentq.accounts
    SET paused_until = coalesce(clock_timestamp() + %s::interval, 'infinity')
    WHERE id = %s
    RETURNING paused_until"""
_RESUME = """
    UPDATE contentq.accounts AS a
    SET paused_until = NULL
    FROM (SELECT id, paused_until FROM contentq.accounts WHERE id = %s FOR NO KEY UPDATE) AS before
    WHERE a.id = before.id
    RETURNING coalesce(before.paused_until > clock_timestamp(), false)"""
_SET_LIMITS = """
    SELECT contentq.set_gate(
        %(key)s,
        CASE WHEN %(set_requests_per_minute)s THEN %(requests_per_minute)s::numeric ELSE g.requests_per_minute END,
        CASE WHEN %(set_tokens_per_minute)s THEN %(tokens_per_minute)s::numeric ELSE g.tokens_per_minute END,
        CASE WHEN %(set_max_running)s THEN %(max_running)s::integer ELSE g.max_running END
    )
    FROM (SELECT) AS one
    LEFT JOIN contentq.gates AS g ON g.key = %(key)s"""
_LIMITS = "SELECT requests_per_minute, tokens_per_minute, max_running FROM contentq.gates WHERE key = %s"
_STATUS = "SELECT * FROM contentq.gate_status"
_STATUS_AND_LIMITS = """
    SELECT s.*, g.requests_per_minute, g.max_running AS max_running_set, g.reason AS whole_reason
    FROM contentq.gate_status AS s
    LEFT JOIN contentq.gates AS g ON g.key = s.key
    LIMIT %s"""
_OVER_BUDGET = """
    SELECT over_budget_until
    FROM contentq.blocked_accounts
    WHERE account_id = %s
      AND over_budget_until > clock_timestamp()"""


LIMITS = ("requests_per_minute", "tokens_per_minute", "max_running")
"""The columns of a gate's limits."""


def close_gate(connection: Connection, key: str, duration: timedelta | None, reason: str | None) -> datetime | str:
    """Closes a gate for this long, or until it is opened; returns until when it is closed.

    A gate that is already closed for longer stays closed. Times that Python cannot represent, such as infinity,
    are returned as text.
    """
    return read_value(connection, _CLOSE, [key, duration, reason])  # type: ignore[no-any-return]


def open_gate(connection: Connection, key: str) -> bool:
    """Opens a gate; returns whether it was closed."""
    return bool(read_value(connection, _OPEN, [key]))


def closed_gates(connection: Connection) -> list[str]:
    """Returns the keys of the gates that are closed now."""
    return read_values(connection, _CLOSED)


def gates_of_live_workers(connection: Connection) -> list[str]:
    """Returns the keys of the gates of live workers, each once."""
    return read_values(connection, _OF_LIVE_WORKERS)


def pause_account(connection: Connection, account: int, duration: timedelta | None) -> datetime | str:
    """Pauses an account for this long, or until it is resumed; returns until when it is paused.

    Raises ContentQueueError if the account does not exist.
    """
    return _of_account(account, read_value(connection, _PAUSE, [duration, account]))  # type: ignore[no-any-return]


def resume_account(connection: Connection, account: int) -> bool:
    """Ends the pause of an account; returns whether it was paused.

    Raises ContentQueueError if the account does not exist.
    """
    was_paused = bool(_of_account(account, read_value(connection, _RESUME, [account])))
    read_value(connection, "SELECT pg_notify('contentq_ready', '')", [])
    return was_paused


def over_budget_until(connection: Connection, account: int) -> datetime | str | None:
    """Returns until when an account is blocked because a budget of it is used up; None if it is not."""
    return read_value(connection, _OVER_BUDGET, [account])  # type: ignore[no-any-return]


def _of_account(account: int, value: Any) -> Any:
    if value is None:
        raise ContentQueueError(f"there is no account {account}")
    return value


def set_limits(connection: Connection, key: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes limits of a gate, by column; returns all of them."""
    values = {name: changes.get(name) for name in LIMITS}
    set_or_not = {f"set_{name}": name in changes for name in LIMITS}
    read_value(connection, _SET_LIMITS, {"key": key, **values, **set_or_not})
    return read_row(connection, _LIMITS, [key]) or {}


def gate_status(connection: Connection) -> list[dict[str, Any]]:
    """Returns the view gate_status."""
    return read_rows(connection, _STATUS, [])


def gates_with_limits(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Returns the first gates of the view gate_status, with all their limits."""
    return read_rows(connection, _STATUS_AND_LIMITS, [limit])
