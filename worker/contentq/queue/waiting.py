"""Waiting for the end of tasks: what to ask, and when to look, for whichever kind of connection waits.

A notification says that there may be something to see; that it comes is not relied upon. A pooler may have lost
the LISTEN, a commit may have been under way when the waiting began: so the tasks are looked at now and then as
well.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, cast

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from contentq.errors import ContentQueueError, WaitTimedOut
from contentq.queue.calls import Call
from contentq.task import Status

SHORTEST_PAUSE = 0.05
LONGEST_PAUSE = 10.0
"""Seconds between two looks: few at first, since what has just begun to run may be what ends first."""

MOST_ASKED_AGAIN = 100
"""Tasks of which each is asked about again: with more the looks are enough."""

NEEDS = "wait() needs {}, or a DSN, not {}"

UNENDED: tuple[Status, ...] = ("pending", "processing")


def listen(channels: Sequence[str]) -> sql.Composed:
    """The statement that listens on these channels."""
    return sql.SQL("; ").join(sql.SQL("LISTEN {}").format(sql.Identifier(channel)) for channel in channels)


def unlisten(channels: Sequence[str]) -> sql.Composed:
    """The statement that ends it."""
    return sql.SQL("; ").join(sql.SQL("UNLISTEN {}").format(sql.Identifier(channel)) for channel in channels)


def refuse_transaction(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    """Raises ContentQueueError when the connection is in a transaction: others would not see who waits."""
    if connection.info.transaction_status is not TransactionStatus.IDLE:
        raise ContentQueueError("wait() needs a connection that is in no transaction: commit it before")


class Waiting:
    """What one call of wait() waits for, and how far it is."""

    def __init__(
        self,
        task_id: str | Iterable[str] | None,
        batch: str | None,
        timeout: float | timedelta | None,
    ) -> None:
        """Raises ValueError unless tasks or a batch are named."""
        if (task_id is None) == (batch is None):
            raise ValueError("wait for tasks or for a batch: name one of them")
        self._batch = batch
        named = [task_id] if isinstance(task_id, str) else [] if task_id is None else task_id
        self._task_ids = list(dict.fromkeys(named))
        if batch is None and not self._task_ids:
            raise ValueError("wait for at least one task")
        self._ends_at = None if timeout is None else time.monotonic() + _seconds(timeout)
        self._pause = SHORTEST_PAUSE
        self._is_asked = False
        self._unheard: set[str] = set()
        self.counts: dict[Status, int] = {}
        """How many tasks had which status at the last look."""

    def ask(self) -> Call:
        """Notes that somebody waits; gives a row for each channel."""
        if self._batch is not None:
            return Call("SELECT contentq.wait_channel(batch => {batch})", {"batch": self._batch})
        return Call(
            "SELECT contentq.wait_channel(task_id => t.task_id) "
            "FROM pg_catalog.unnest(CAST({task_ids} AS pg_catalog.text[])) AS t (task_id)",
            {"task_ids": self._task_ids},
        )

    def listens_on(self, rows: Sequence[Sequence[Any]]) -> list[str]:
        """Takes what ask() has given; returns the channels, of which each is an identifier as it is."""
        channels = [str(row[0]) for row in rows]
        self._unheard = set(channels)
        return channels

    @property
    def is_to_ask(self) -> bool:
        """Whether to ask again before the next look: whoever notes that he waits may come too late."""
        return len(self._task_ids) <= MOST_ASKED_AGAIN

    def look(self) -> Call:
        """Gives a row for each status, with the number of tasks."""
        return Call(
            "SELECT s.status, s.tasks "
            "FROM contentq.statuses_of(CAST({task_ids} AS pg_catalog.text[]), {batch}) AS s",
            {"task_ids": self._task_ids or None, "batch": self._batch},
        )

    def has_ended(self, rows: Sequence[Sequence[Any]]) -> bool:
        """Takes what look() has given. Raises ContentQueueError when tasks were deleted, WaitTimedOut."""
        self.counts = {cast("Status", row[0]): int(row[1]) for row in rows}
        found = sum(self.counts.values())
        if found < len(self._task_ids) or found == 0:
            gone = f"{len(self._task_ids) - found} of " if len(self._task_ids) > 1 else ""
            raise ContentQueueError(f"{gone}{self._name()} {'were' if gone else 'was'} deleted")
        if not any(status in self.counts for status in UNENDED):
            return True
        if self._ends_at is not None and time.monotonic() >= self._ends_at:
            left = sum(self.counts.get(status, 0) for status in UNENDED)
            of_several = f": {left} of {found} have" if found > 1 else " has"
            raise WaitTimedOut(f"{self._name()}{of_several} not ended in time", self.counts)
        return False

    def pause(self) -> float:
        """How long to wait for a notification before the next look, in seconds."""
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
        return pause if self._ends_at is None else max(min(pause, self._ends_at - time.monotonic()), 0.0)

    def is_to_look(self, channel: str) -> bool:
        """Takes a notification; returns whether to look now: of several tasks, once all were heard of."""
        self._unheard.discard(channel)
        if self._unheard:
            return False
        # It may have come too early.
        self._pause = SHORTEST_PAUSE
        return True

    def _name(self) -> str:
        if self._batch is not None:
            return f"batch {self._batch}"
        return f"task {self._task_ids[0]}" if len(self._task_ids) == 1 else f"{len(self._task_ids)} tasks"


def _seconds(timeout: float | timedelta) -> float:
    return timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
