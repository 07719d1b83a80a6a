"""Decides how much to claim and when, and makes the claims: full batches while there is work, then a rest."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from typing import Protocol

from contentq.database.database import Database
from contentq.engine.gate import Gate
from contentq.engine.options import WorkerOptions
from contentq.engine.reconnecting import ReconnectingConnection
from contentq.engine.reporter import Reporter
from contentq.engine.runner import Runner
from contentq.engine.timings import Timings
from contentq.engine.wake_up import WakeUp
from contentq.queue import contract

log = logging.getLogger("contentq.worker")

MOST_UNREPORTED = 4
"""Unreported outcomes, in multiples of the slots, above which no more is claimed."""


class Source(Protocol):
    """Where tasks come from, and whether more of them are to come: as functions of the SQL contract."""

    async def claim(
        self, connection: contract.Connection, worker_id: int, max_tasks: int, categories: Sequence[str] | None, /
    ) -> contract.Claimed:
        """As contract.claim()."""

    async def anything_waits(
        self, connection: contract.Connection, categories: Sequence[str] | None, idle_for: float, /
    ) -> bool:
        """As contract.anything_waits()."""


class Claimer:
    """Makes one claim at a time, for the slots of the runner that are free."""

    def __init__(
        self,
        database: Database,
        source: Source,
        options: WorkerOptions,
        runner: Runner,
        reporter: Reporter,
        gate: Gate,
        wake_up: WakeUp,
        timings: Timings,
    ) -> None:
        self._link = ReconnectingConnection(database, "claim", timings, prepare=True)
        self._source = source
        self._options = options
        self._runner = runner
        self._reporter = reporter
        self._gate = gate
        self._wake_up = wake_up
        self._timings = timings
        self._is_limited = False
        self._idle_since: float | None = None
        self._has_logged_waiting = False

    def suspect(self) -> None:
        """The connection may be dead: another one got no answer."""
        self._link.suspect()
        self._wake_up.signal()  # whatever was notified since is found by looking

    async def back_off(self, error: Exception) -> None:
        """Waits a moment after a claim that failed."""
        await self._link.back_off(error)

    async def close(self) -> None:
        """Closes its connection."""
        await self._link.close()

    async def wait_for_room(self) -> int:
        """Waits for free slots, for the reports to keep up, and for the pace; returns how much to claim."""
        has_waited = False
        while True:
            free = await self._wait_for_slots()
            allowed = self._gate.allows(free)
            if allowed > 0:
                self._is_limited = allowed < free or has_waited
                return allowed
            has_waited = True
            await self._gate.wait(self._timings.poll)

    async def claim(self, worker_id: int, max_tasks: int) -> contract.Claimed:
        """Claims at most so many tasks. Raises NotRegistered, and what psycopg raises."""
        self._wake_up.clear()
        async with self._link.calling() as connection:
            asked_at = time.monotonic()
            claimed = await self._source.claim(connection, worker_id, max_tasks, self._options.categories)
        if claimed.tasks:
            self._idle_since = None
        if claimed.gate is not None:
            self._gate.learn_closed(claimed.gate)
        else:
            self._gate.learn_open(asked_at)
            if self._gate.pace is not None:
                is_limiting = self._is_limited and len(claimed.tasks) == max_tasks
                self._gate.pace.record_start(len(claimed.tasks), time.monotonic(), is_limiting=is_limiting)
        return claimed

    async def rest(self, more_in: float | None) -> None:
        """Nothing more to claim: sleeps until something may be."""
        seconds = self._timings.poll * random.uniform(0.9, 1.1)
        if more_in is not None:
            # One that is due already and was not claimed is locked by someone.
            seconds = min(seconds, more_in or self._timings.shortest_rest)
        if self._options.until_empty:
            self._log_waiting(more_in)
            seconds = min(seconds, self._timings.heartbeat)
        if self._gate.is_closed:
            # Every insert wakes it, and it would ask each time.
            rest = min(seconds, self._timings.shortest_rest)
            await asyncio.sleep(rest)
            seconds -= rest
        await self._wake_up.sleep(seconds)

    async def is_queue_empty(self) -> bool:
        """Whether nothing runs, and nothing waits. Raises what psycopg raises."""
        if not self._is_idle():
            return False
        async with self._link.calling() as connection:
            now = time.monotonic()
            self._idle_since = self._idle_since or now
            idle_for = now - self._idle_since
            return not await self._source.anything_waits(connection, self._options.categories, idle_for)

    def _is_idle(self) -> bool:
        return not (self._runner.busy or len(self._reporter))

    def _log_waiting(self, more_in: float | None) -> None:
        if self._is_idle() and not (self._has_logged_waiting or self._gate.is_closed):
            self._has_logged_waiting = True
            until = "" if more_in is None else f" next_in={more_in:.0f}s"
            log.info("nothing is ready, waiting for tasks that were put back or are held elsewhere%s", until)

    async def _wait_for_slots(self) -> int:
        """Waits for free slots, and for the reports to keep up; returns how many are free."""
        most_unreported = MOST_UNREPORTED * self._options.concurrency
        while True:
            if self._runner.free <= 0:
                await self._runner.wait_for_slot()
            elif len(self._reporter) > most_unreported:
                await self._reporter.wait_until_at_most(most_unreported)
            else:
                return self._runner.free
