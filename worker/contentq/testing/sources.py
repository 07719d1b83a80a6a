"""Sources of tasks inside a test: exactly one task, or all waiting tasks without their delays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg.rows import TupleRow

from contentq.queue import contract
from contentq.queue.contract import Claimed

_FIND = """
    SELECT id, task_id, status, coalesce(timeout_at <= clock_timestamp(), false)
    FROM contentq.tasks
    WHERE CASE WHEN %(id)s::bigint IS NULL THEN task_id = %(task_id)s ELSE id = %(id)s END"""

# The tasks that a worker with --until-empty waits for; see contentq.anything_waits().
_WAITING = """
    SELECT id
    FROM contentq.tasks
    WHERE status = 'pending'
      AND (scheduled_at IS NULL OR attempt > 0)
      AND account_id <> ALL (ARRAY(SELECT account_id FROM contentq.blocked_accounts))
    ORDER BY priority DESC, submitted_at, id
    LIMIT %s
    FOR UPDATE SKIP LOCKED"""


@dataclass(frozen=True)
class Found:
    """The names of a task, and the values that are checked before its claim."""

    id: int
    task_id: str
    status: str
    is_overdue: bool
    """Whether its deadline has passed."""


def find(connection: psycopg.Connection[TupleRow], name: str | int) -> Found | None:
    """The task with this task_id (a text) or id (a number); None if it does not exist."""
    values = {"id": None, "task_id": name} if isinstance(name, str) else {"id": name, "task_id": None}
    row = connection.execute(_FIND, values).fetchone()
    return None if row is None else Found(*row)


class OneTask:
    """A source of one attempt at one task. It ignores scheduled_at: a retry does not wait."""

    def __init__(self, id_: int) -> None:
        self._id = id_
        self._is_asked = False

    async def claim(self, connection: contract.Connection, worker_id: int, max_tasks: int) -> Claimed:
        """Claims the task on the first call.

        Returns nothing if it is not claimable or is locked by another session.
        """
        wanted = [] if self._is_asked else [self._id]
        claimed = await contract.claim(connection, worker_id, max_tasks, wanted)
        self._is_asked = True
        return claimed

    async def anything_waits(
        self, _connection: contract.Connection, _categories: Sequence[str] | None, _idle_for: float
    ) -> bool:
        """Whether it was not claimed yet."""
        return not self._is_asked


class AtOnce:
    """The whole queue as a source, in which retried and snoozed tasks are ready at once."""

    async def claim(self, connection: contract.Connection, worker_id: int, max_tasks: int) -> Claimed:
        """Claims by id all tasks that are ready, wait for a retry or are snoozed.

        Gates have no effect in a test.
        """
        cursor = await connection.execute(_WAITING, [max_tasks])
        waiting = [row[0] for row in await cursor.fetchall()]
        return (await contract.claim(connection, worker_id, max_tasks, waiting))._replace(waits_for=None)

    async def anything_waits(
        self, connection: contract.Connection, categories: Sequence[str] | None, idle_for: float
    ) -> bool:
        """As contract.anything_waits()."""
        return await contract.anything_waits(connection, categories, idle_for)
