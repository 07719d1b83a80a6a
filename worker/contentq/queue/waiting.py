"""The logic of waiting for tasks to end, for synchronous and asynchronous connections.

A notification is only a hint: a pooler may lose the LISTEN, and a commit may already be under way when the waiting
begins. Therefore the tasks are also polled.
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
"""Seconds between two polls; they start short, because a task that has just started may end soon."""

MOST_ASKED_AGAIN = 100
"""Up to this many tasks, a wait is registered again before each poll; with more tasks, polling is enough."""

NEEDS = "wait() needs {}, or a DSN, not {}"

UNENDED: tuple[Status, ...] = ("pending", "processing")


def listen(channels: Sequence[str]) -> sql.Composed:
    """Returns the statement that listens on these channels."""
    return sql.SQL("; ").join(sql.SQL("LISTEN {}").format(sql.Identifier(channel)) for channel in channels)


def unlisten(channels: Sequence[str]) -> sql.Composed:
    """Returns the statement that stops listening on these channels."""
    return sql.SQL("; ").join(sql.SQL("UNLISTEN {}").format(sql.Identifier(channel)) for channel in channels)


def refuse_transaction(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    """Raises ContentQueueError if the connection is in a transaction: others would not see the registered wait."""
    if connection.info.transaction_status is not TransactionStatus.IDLE:
        raise ContentQueueError("wait() needs a connection outside a transaction: commit or roll back first")


class Waiting:
    """The state of one call of wait()."""

    def __init__(
        self,
        task_id: str | Iterable[str] | None,
        batch: str | None,
        timeout: float | timedelta | None,
    ) -> None:
        """Raises ValueError unless either tasks or a batch are named."""
        if (task_id is None) == (batch is None):
            raise ValueError("give either tasks or a batch to wait for")
        self._batch = batch
        named = [task_id] if isinstance(task_id, str) else [] if task_id is None else task_id
        self._task_ids = list(dict.fromkeys(named))
        if batch is None and not self._task_ids:
            raise ValueError("give at least one task to wait for")
        self._ends_at = None if timeout is None else time.monotonic() + _seconds(timeout)
        self._pause = SHORTEST_PAUSE
        self._is_asked = False
        self._unheard: set[str] = set()
        self.counts: dict[Status, int] = {}
        """Number of tasks by status at the last poll."""

    def ask(self) -> Call:
        """Returns the call that registers the wait; it returns one row for each channel."""
        if self._batch is not None:
            return Call("SELECT contentq.wait_channel(batch => {batch})", {"batch": self._batch})
        return Call(
            "SELECT contentq.wait_channel(task_id => t.task_id) "
            "FROM pg_catalog.unnest(CAST({task_ids} AS pg_catalog.text[])) AS t (task_id)",
            {"task_ids": self._task_ids},
        )

    def listens_on(self, rows: Sequence[Sequence[Any]]) -> list[str]:
        """Takes the rows of ask(); returns the channels, which are identifiers without quotes."""
        channels = [str(row[0]) for row in rows]
        self._unheard = set(channels)
        return channels

    @property
    def is_to_ask(self) -> bool:
        """Whether to register again before the next poll, because a registration may have come too late."""
        return len(self._task_ids) <= MOST_ASKED_AGAIN

    def look(self) -> Call:
        """Returns the call that counts the tasks by status."""
        return Call(
            "SELECT s.status, s.tasks "
            "FROM contentq.statuses_of(CAST({task_ids} AS pg_catalog.text[]), {batch}) AS s",
            {"task_ids": self._task_ids or None, "batch": self._batch},
        )

    def has_ended(self, rows: Sequence[Sequence[Any]]) -> bool:
        """Takes the rows of look(). Raises ContentQueueError if tasks were deleted, and WaitTimedOut."""
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
        """Returns how long to wait for a notification before the next poll, in seconds."""
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
        return pause if self._ends_at is None else max(min(pause, self._ends_at - time.monotonic()), 0.0)

    def is_to_look(self, channel: str) -> bool:
        """Takes a notification; returns whether to poll now: with several tasks, after the last notification."""
        self._unheard.discard(channel)
        if self._unheard:
            return False
        # The notification may have arrived before the change was visible.
        self._pause = SHORTEST_PAUSE
        return True

    def _name(self) -> str:
        if self._batch is not None:
            return f"batch {self._batch}"
        return f"task {self._task_ids[0]}" if len(self._task_ids) == 1 else f"{len(self._task_ids)} tasks"


def _seconds(timeout: float | timedelta) -> float:
    return timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
