"""Indexes that a statement and the functions that it calls use, from the server's own counters.

The counters exist on every server. auto_explain, which shows plans within functions, does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.queue import Queue

_COUNTERS = """
    SELECT c.relname, c.relkind = 'r', pg_stat_get_xact_numscans(c.oid), pg_stat_get_xact_tuples_returned(c.oid),
           pg_stat_get_xact_tuples_fetched(c.oid),
           pg_stat_get_xact_tuples_inserted(c.oid) + pg_stat_get_xact_tuples_updated(c.oid)
               + pg_stat_get_xact_tuples_deleted(c.oid)
    FROM pg_class AS c
    LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
    WHERE coalesce(i.indrelid, c.oid) IN ('content_generation_tasks'::regclass, 'contents'::regclass)"""


@dataclass(frozen=True)
class Scans:
    """Reads of one statement in the tables of tasks and contents."""

    sequential: int
    """Number of full scans of a table."""
    entries: dict[str, int]
    """Entries read per index, including those of dead rows; by index name without the prefix of the tasks table.
    """
    rows: int
    """Live rows fetched through indexes."""
    changed: int
    """Rows inserted, updated or deleted."""

    @property
    def used(self) -> set[str]:
        """The indexes that returned entries."""
        return {index for index, entries in self.entries.items() if entries}


@dataclass(frozen=True)
class _Counts:
    table: bool
    scans: int
    entries: int
    rows: int
    changed: int

    def since(self, before: _Counts) -> _Counts:
        return _Counts(
            self.table,
            self.scans - before.scans,
            self.entries - before.entries,
            self.rows - before.rows,
            self.changed - before.changed,
        )


def scans(queue: Queue, statement: str, *values: Any, undo: bool = False) -> Scans:
    """Runs a statement in a transaction and returns its reads. undo: roll it back."""
    with queue.connection.transaction(force_rollback=undo):
        before = _counts(queue)
        queue.run(statement, *values)
        counts = {name: now.since(before[name]) for name, now in _counts(queue).items()}
    return Scans(
        sequential=sum(found.scans for found in counts.values() if found.table),
        entries={
            name.removeprefix("content_generation_tasks_"): found.entries
            for name, found in counts.items()
            if found.scans and not found.table
        },
        # Rows found through a bitmap are counted for the table, other rows for the index.
        rows=sum(found.rows for found in counts.values()),
        changed=sum(found.changed for found in counts.values()),
    )


def _counts(queue: Queue) -> dict[str, _Counts]:
    return {name: _Counts(*counts) for name, *counts in queue.connection.execute(_COUNTERS).fetchall()}
