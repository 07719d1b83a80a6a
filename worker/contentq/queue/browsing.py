"""Tasks a page at a time, the newest first, in bounded time however many there are.

Most of what one may look for has no index of its own, since each would cost every task that is submitted. So the
tasks are looked through a part at a time, by their ids, until a page is full or some time is over; whoever looks
can then go on from there. Where an index helps, a wide part costs no more than a narrow one: a plan is made for
each.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from psycopg import errors

from contentq.queue.reading import Connection, read_row, read_rows, read_value, read_values
from contentq.queue.selectors import SELECTED, Selector, values_of

PATIENCE = 0.1
"""Seconds of looking after which no further part is begun."""

PART_TIMEOUT = 400
"""Milliseconds after which a part that is wider than the first is given up: there is more to read in it."""

FIRST_PART = 10_000
"""Ids of the part that is looked through first."""

WIDER = 3
"""How many times as many ids each further part has."""

ENDS_TIMEOUT = 150
"""Milliseconds after which the ends of what is selected are taken for those of all tasks."""

_ENDS = "SELECT min(id) AS first, max(id) AS last FROM contentq.tasks"

# What is submitted together lies together, maybe far from the newest. + 0: by the index on the condition.
_ENDS_OF_BATCH = "SELECT min(id + 0) AS first, max(id + 0) AS last FROM contentq.tasks WHERE batch = %(batch)s"
_ENDS_OF_ACCOUNT = """
    SELECT min(id + 0) AS first, max(id + 0) AS last
    FROM contentq.tasks
    WHERE account_id = %(account_id)s"""
_ENDS_OF_FAILED = f"{_ENDS} WHERE status IN ('failed', 'timeout')"

_LIMIT = "SELECT set_config('statement_timeout', %s, true)"

_PART = f"SELECT s.id FROM {SELECTED} AS s (id)"

_ROWS = """
    SELECT id, task_id, account_id, topic, category, batch, status, priority, attempt, progress, submitted_at,
           scheduled_at, left(error_message, 300) AS error
    FROM contentq.tasks
    WHERE id = ANY (%s::bigint[])
    ORDER BY id DESC"""


class Found(NamedTuple):
    """A page of tasks. before: the id to go on before; None at the end. is_cut: not full, and yet it goes on."""

    tasks: list[dict[str, Any]]
    before: int | None
    is_cut: bool


def browse(connection: Connection, selector: Selector, topic: str | None, before: int | None, limit: int) -> Found:
    """Tasks that fit a selector and whose topic begins like this, in any case; only those with ids below before.

    connection: in a transaction. Raises QueryCanceled when even a part takes longer than the transaction allows.
    """
    timeout = read_value(connection, "SELECT current_setting('statement_timeout')")
    first, last = _ends(connection, selector, timeout)
    found: list[int] = []
    at = last + 1 if before is None else min(before, last + 1)
    width, began = FIRST_PART, time.monotonic()
    while at > first and len(found) <= limit:
        if width > FIRST_PART and time.monotonic() - began > PATIENCE:
            break
        until = max(at - width, first)
        values = values_of(selector, topic=topic, until_id=until)
        page = {"newest_first": True, "beyond": at, "limit": limit + 1 - len(found)}
        try:
            with connection.transaction():
                if width > FIRST_PART:
                    connection.execute(_LIMIT, [str(PART_TIMEOUT)])
                found += read_values(connection, _PART, {**values, **page})
                connection.execute(_LIMIT, [timeout])
        except errors.QueryCanceled:
            if width == FIRST_PART:
                raise
            break
        at, width = until, width * WIDER
    tasks = rows(connection, found[:limit])
    if len(found) > limit:
        return Found(tasks, found[limit - 1], False)
    is_cut = at > first
    return Found(tasks, at if is_cut else None, is_cut)


def _ends(connection: Connection, selector: Selector, timeout: str) -> tuple[int, int]:
    """Between which ids all lies that is selected, and more: as far as an index says it in little time."""
    statement = None
    if selector.batch is not None:
        statement = _ENDS_OF_BATCH
    elif selector.account_id is not None:
        statement = _ENDS_OF_ACCOUNT
    elif selector.status in ("failed", "timeout"):
        statement = _ENDS_OF_FAILED
    ends = None
    if statement is not None:
        with suppress(errors.QueryCanceled), connection.transaction():
            connection.execute(_LIMIT, [str(ENDS_TIMEOUT)])
            ends = read_row(connection, statement, values_of(selector))
            connection.execute(_LIMIT, [timeout])
    if ends is None:
        ends = read_row(connection, _ENDS)
    return (0, -1) if ends is None or ends["first"] is None else (ends["first"], ends["last"])


def rows(connection: Connection, ids: Sequence[int]) -> list[dict[str, Any]]:
    """What lists of tasks show of these, the newest first."""
    return read_rows(connection, _ROWS, [list(ids)])
