"""Decides when and how much to claim, and claims: full batches while there is work, then a pause.

The database decides how many tasks this worker may have and when there may be more, because it knows the gates,
the other workers, and the answers of the provider to all of them.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from typing import Protocol

from contentq.database.database import Database
from contentq.engine.options import WorkerOptions
from contentq.engine.outage_log import OutageLog
from contentq.engine.reconnecting import ReconnectingConnection
from contentq.engine.reporter import Reporter
from contentq.engine.runner import Runner
from contentq.engine.timings import Timings
from contentq.engine.waiting_log import WaitingLog
from contentq.engine.wake_up import WakeUp
from contentq.queue import contract

log = logging.getLogger("contentq.worker")

MOST_UNREPORTED = 4
"""Limit of unreported outcomes, in multiples of the slots. The worker claims nothing above it."""

MORE_IS_READY = 1.0
"""Seconds:

the upper limit of next_claim_in() while ready tasks may not start, such as those of an account at its cap.
"""


class Source(Protocol):
    """Where tasks come from, as functions of the SQL contract."""

    async def claim(self, connection: contract.Connection, worker_id: int, max_tasks: int, /) -> contract.Claimed:
        """As contract.claim()."""

    async def anything_waits(
        self, connection: contract.Connection, categories: Sequence[str] | None, idle_for: float, /
    ) -> bool:
        """As contract.anything_waits()."""


class Claimer:
    """Makes one claim at a time, for the free slots of the runner."""

    def __init__(
        self,
        database: Database,
        source: Source,
        options: WorkerOptions,
        runner: Runner,
        reporter: Reporter,
        wake_up: WakeUp,
        timings: Timings,
        outages: OutageLog,
    ) -> None:
        self._link = ReconnectingConnection(database, "claim", timings, outages, prepare=True)
        self._source = source
        self._options = options
        self._runner = runner
        self._reporter = reporter
        self._wake_up = wake_up
        self._timings = timings
        self._waiting_log = WaitingLog(timings)
        self._pause = 0.0
        self._idle_since: float | None = None
        self._has_logged_until_empty = False
        self.is_kept_waiting = False
        """Whether a limit of this worker, such as its gate, cut the last claim short."""
        self.is_more_ready = False
        """Whether the last claim left ready tasks that may start after a report."""

    def suspect(self) -> None:
        """Another connection got no answer, so this one may be dead too."""
        self._link.suspect()
        self._wake_up.signal()  # the next claim finds what was notified since

    async def back_off(self, error: Exception) -> None:
        """Waits before the next claim after a failed one."""
        await self._link.back_off(error)

    async def close(self) -> None:
        """Closes its connection."""
        await self._link.close()

    async def wait_for_room(self) -> int:
        """Waits for free slots and for the reports to catch up. Returns how many tasks to claim."""
        most_unreported = MOST_UNREPORTED * self._options.concurrency
        while True:
            if self._runner.free <= 0:
                await self._runner.wait_for_slot()
            elif len(self._reporter) > most_unreported:
                await self._reporter.wait_until_at_most(most_unreported)
            else:
                return self._runner.free

    async def claim(self, worker_id: int, max_tasks: int) -> contract.Claimed:
        """Claims up to this number of tasks. Raises NotRegistered and psycopg's errors."""
        self._wake_up.clear()
        async with self._link.calling() as connection:
            claimed = await self._source.claim(connection, worker_id, max_tasks)
        if claimed.tasks:
            self._idle_since = None
        self.is_kept_waiting = claimed.waits_for is not None
        self.is_more_ready = claimed.more_in is not None and claimed.more_in <= MORE_IS_READY
        self._waiting_log.note(claimed)
        return claimed

    async def rest(self, claimed: contract.Claimed) -> None:
        """Sleeps after a claim that returned fewer tasks than requested, until there may be more."""
        seconds = self._timings.poll * random.uniform(0.9, 1.1)
        if claimed.more_in is not None:
            seconds = min(seconds, max(claimed.more_in, self._next_pause(claimed)))
        if self._options.until_empty:
            self._log_until_empty(claimed.more_in)
            seconds = min(seconds, self._timings.heartbeat)
        if self.is_kept_waiting:
            # Every INSERT would wake it for a claim that its gate refuses.
            rest = min(seconds, self._timings.deaf_rest)
            await asyncio.sleep(rest)
            seconds -= rest
        await self._wake_up.sleep(seconds)

    async def is_queue_empty(self) -> bool:
        """Whether no task runs or waits. Raises psycopg's errors."""
        if not self._is_idle():
            return False
        async with self._link.calling() as connection:
            now = time.monotonic()
            self._idle_since = self._idle_since or now
            idle_for = now - self._idle_since
            return not await self._source.anything_waits(connection, self._options.categories, idle_for)

    def _next_pause(self, claimed: contract.Claimed) -> float:
        """The pause before another claim. Each claim that returns nothing doubles it."""
        if claimed.tasks or claimed.more_in is None or claimed.more_in > self._timings.first_pause:
            self._pause = 0.0
        else:
            self._pause = min(max(2 * self._pause, self._timings.first_pause), self._timings.longest_pause)
        return self._pause

    def _is_idle(self) -> bool:
        return not (self._runner.busy or len(self._reporter))

    def _log_until_empty(self, more_in: float | None) -> None:
        if self._is_idle() and not (self._has_logged_until_empty or self.is_kept_waiting):
            self._has_logged_until_empty = True
            until = "" if more_in is None else f" next_in={more_in:.0f}s"
            log.info("nothing is ready, waiting for scheduled retries and tasks of other workers%s", until)
