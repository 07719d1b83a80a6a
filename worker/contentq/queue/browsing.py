"""Pages through tasks, newest first, in bounded time for any number of tasks.

Most conditions have no index, because each index would slow down every submission. Therefore the tasks are
searched in ranges of ids until a page is full or the time is up; the caller can then continue from there. Each
range has its own plan, so that a wide range costs no more than a narrow one if an index helps.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from psycopg import errors

from contentq.queue.reading import Connection, read_row, read_rows, read_value, read_values
from contentq.queue.selectors import SELECTED, Selector, values_of

PATIENCE = 0.15
"""Seconds of searching. The range that is searched then is abandoned, unless it is the first."""

FIRST_PART = 10_000
"""Number of ids in the first range."""

WIDER = 3
"""Factor by which each further range is wider, if it can be searched in the time that is left."""

ENDS_TIMEOUT = 60
"""Milliseconds after which the limits of the selection are replaced by those of all tasks."""

_ENDS = "SELECT min(id) AS first, max(id) AS last FROM contentq.tasks"

# Tasks of a batch are close together, maybe far from the newest. + 0 makes the index on the condition win.
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
    """A page of tasks. before: where the next page starts; None at the end. is_cut: the time was up first."""

    tasks: list[dict[str, Any]]
    before: int | None
    is_cut: bool


def browse(connection: Connection, selector: Selector, topic: str | None, before: int | None, limit: int) -> Found:
    """Searches tasks that match a selector and whose topic starts with a text, ignoring case, below the id before.

    connection: in a transaction. Raises QueryCanceled if even the first range exceeds the statement timeout.
    """
    timeout = read_value(connection, "SELECT current_setting('statement_timeout')")
    first, last = _ends(connection, selector, timeout)
    found: list[int] = []
    at = last + 1 if before is None else min(before, last + 1)
    width, is_first, began = FIRST_PART, True, time.monotonic()
    while at > first and len(found) <= limit:
        until, since = max(at - width, first), time.monotonic()
        values = values_of(selector, topic=topic, until_id=until)
        page = {"newest_first": True, "beyond": at, "limit": limit + 1 - len(found)}
        try:
            with connection.transaction():
                if not is_first:
                    connection.execute(_LIMIT, [str(max(1, round(1000 * (began + PATIENCE - since))))])
                found += read_values(connection, _PART, {**values, **page})
                connection.execute(_LIMIT, [timeout])
        except errors.QueryCanceled:
            if is_first:
                raise
            break
        at, is_first, now = until, False, time.monotonic()
        left, took = began + PATIENCE - now, now - since
        if left < took:
            break
        width = int(width * min(WIDER, left / took))
    tasks = rows(connection, found[:limit])
    if len(found) > limit:
        return Found(tasks, found[limit - 1], False)
    is_cut = at > first
    return Found(tasks, at if is_cut else None, is_cut)


def _ends(connection: Connection, selector: Selector, timeout: str) -> tuple[int, int]:
    """Returns limits for the ids of the selection, as narrow as an index finds them in little time."""
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
    """Returns the columns of lists for these tasks, newest first."""
    return read_rows(connection, _ROWS, [list(ids)])
