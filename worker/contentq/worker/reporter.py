"""Reports outcomes in groups: all that came in while the previous report was under way go in the next one.

Load makes the groups large and idleness makes them quick; there is nothing to tune.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

import psycopg

from contentq.queue import contract
from contentq.queue.outcomes import Completed, Failed, Outcome, Released, Snoozed, Stored
from contentq.worker.link import CALL_TIMEOUT, Link, one_line
from contentq.worker.results import refused

log = logging.getLogger("contentq.worker")

GROUP = 1000
"""Most outcomes in one report."""

BYTES_PER_SECOND = 1_000_000
"""The slowest transfer of large results that a report still waits for."""


class Reporter:
    """Holds every outcome until the database has given a definite answer to it."""

    def __init__(self, dsn: str, reported: Callable[[Outcome, str | None], None]) -> None:
        self._link = Link(dsn, "report")
        self._reported = reported
        self._waiting: list[Outcome] = []
        self._under_way: list[Outcome] = []
        self._arrived = asyncio.Event()
        self._all_done = asyncio.Event()
        self._all_done.set()

    def add(self, outcome: Outcome) -> None:
        """Takes an outcome to report."""
        self._waiting.append(outcome)
        self._arrived.set()
        self._all_done.clear()

    def suspect(self) -> None:
        """The connection may be dead: another one got no answer."""
        self._link.suspect()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._under_way)

    def held_ids(self) -> Iterable[int]:
        """The ids of the tasks whose outcomes are not reported yet."""
        return (outcome.held.id for outcomes in (self._under_way, self._waiting) for outcome in outcomes)

    async def all_done(self) -> None:
        """Waits until everything is reported."""
        await self._all_done.wait()

    async def run(self) -> None:
        """Reports until cancelled."""
        try:
            while True:
                await self._arrived.wait()
                self._under_way, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
                if not self._waiting:
                    self._arrived.clear()
                await self._report(self._under_way)
                self._under_way = []
                if not self._waiting:
                    self._all_done.set()
        finally:
            await self._link.close()

    async def _report(self, outcomes: Sequence[Outcome]) -> None:
        def kind(outcome: Outcome) -> tuple[str, int]:
            return type(outcome).__name__, outcome.held.worker_id

        for _, group in groupby(sorted(outcomes, key=kind), key=kind):
            await self._report_group(list(group))

    async def _report_group(self, group: list[Outcome]) -> None:
        """Reports outcomes of one kind and one worker id, again and again until there is an answer."""
        while True:
            try:
                async with self._link.calling(CALL_TIMEOUT + _size(group) / BYTES_PER_SECOND) as connection:
                    counted = await _call(connection, group)
                break
            except Exception as error:
                if _is_refusal(error):
                    await self._report_refused(group, error)
                    return
                await self._link.back_off(error)
        for outcome in group:
            self._reported(outcome, counted.get(outcome.held.id))

    async def _report_refused(self, group: list[Outcome], error: Exception) -> None:
        """PostgreSQL refuses something in this group: finds which, and fails just that task."""
        if len(group) > 1:
            middle = len(group) // 2
            await self._report_group(group[:middle])
            await self._report_group(group[middle:])
        elif isinstance(group[0], Failed):
            await self._report_group([refused(group[0].held, "its error message cannot be stored")])
        else:
            await self._report_group([refused(group[0].held, f"PostgreSQL refused the result: {one_line(error)}")])


async def _call(connection: contract.Connection, group: Sequence[Any]) -> dict[int, str]:
    """Makes the one call that reports a group; returns the new status of each task whose report counted."""
    first, worker_id = group[0], group[0].held.worker_id
    calls: dict[type, tuple[Callable[..., Awaitable[list[int]]], str]] = {
        Completed: (contract.complete, "completed"),
        Stored: (contract.store, "completed"),
        Snoozed: (contract.snooze, "pending"),
        Released: (contract.release, "pending"),
    }
    if isinstance(first, Failed):
        return await contract.fail(connection, worker_id, group)
    call, status = calls[type(first)]
    return dict.fromkeys(await call(connection, worker_id, group), status)


def _is_refusal(error: Exception) -> bool:
    """Whether the error is about the data that was sent; sent again, it would be refused again."""
    if isinstance(error, UnicodeError):
        return True
    # 22 data, 23 constraint, 54 program limit (too large, too deeply nested); without a state: psycopg itself.
    return isinstance(error, psycopg.Error) and (
        isinstance(error, psycopg.DataError) or (error.sqlstate or "")[:2] in ("22", "23", "54")
    )


def _size(group: Sequence[Outcome]) -> int:
    """About how many bytes the report of a group is."""
    return sum(
        len(o.result) if isinstance(o, Completed) else len(o.body) if isinstance(o, Stored) else 0 for o in group
    )
