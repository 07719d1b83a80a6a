"""Which indexes a statement uses, functions that it calls included, as the server itself counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.queue import Queue

_COUNTERS = """
    SELECT c.relname, pg_stat_get_xact_numscans(c.oid), pg_stat_get_xact_tuples_returned(c.oid)
    FROM pg_class AS c
    LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
    WHERE coalesce(i.indrelid, c.oid) = 'content_generation_tasks'::regclass"""

_TABLE = "content_generation_tasks"


@dataclass(frozen=True)
class Scans:
    """What one statement read of the table of tasks."""

    sequential: int
    """How many times it read the whole table."""
    entries: dict[str, int]
    """Entries read of each index that was used, by the index's name without the table's."""


def scans(queue: Queue, statement: str, *values: Any) -> Scans:
    """Runs a statement, in a transaction of its own, and returns what it read."""
    with queue.connection.transaction():
        before = _counters(queue)
        queue.run(statement, *values)
        after = _counters(queue)
    used = {name: after[name][1] - before[name][1] for name in after if after[name][0] > before[name][0]}
    return Scans(
        sequential=after[_TABLE][0] - before[_TABLE][0],
        entries={name.removeprefix(f"{_TABLE}_"): entries for name, entries in used.items() if name != _TABLE},
    )


def _counters(queue: Queue) -> dict[str, tuple[int, int]]:
    rows = queue.connection.execute(_COUNTERS).fetchall()
    return {name: (scanned, entries) for name, scanned, entries in rows}
