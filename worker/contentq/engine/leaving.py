"""The orderly end of a worker: running tasks may finish, the others are released, every outcome is reported."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from contentq.database.database import Database
from contentq.engine.database_errors import is_outage, one_line
from contentq.engine.execution import Stop
from contentq.engine.heartbeat import Heartbeat
from contentq.engine.outage_log import OutageLog
from contentq.engine.reconnecting import ReconnectingConnection
from contentq.engine.registration import Registration
from contentq.engine.reporter import Reporter
from contentq.engine.runner import Runner
from contentq.engine.timings import Timings
from contentq.queue import contract

log = logging.getLogger("contentq.worker")

T = TypeVar("T")


@dataclass(frozen=True)
class Leaving:
    """Ends a worker that has stopped claiming."""

    database: Database
    registration: Registration
    runner: Runner
    reporter: Reporter
    heartbeat: Heartbeat
    timings: Timings
    outages: OutageLog

    async def leave(self, at_once: asyncio.Event) -> bool:
        """Returns whether every task ended and was reported. at_once: set if running tasks get no more time."""
        link = ReconnectingConnection(self.database, "farewell", self.timings, self.outages)
        try:
            self.runner.release_waiting()
            await self._wait(self.heartbeat.register_no_more())
            if self.runner.busy:
                log.info("draining running=%d grace=%gs", self.runner.busy, self.timings.grace)
                await self._call(link, contract.drain_worker)
            await self._end_running(at_once)
            await self._wait(self.reporter.wait_until_at_most(0))
            unreported = len(self.reporter)
            if unreported:
                log.error("outcomes not reported tasks=%d: these tasks will run again", unreported)
            released = await self._call(link, contract.deregister_worker)
        finally:
            await link.close()
        return not (released or unreported)

    async def _end_running(self, at_once: asyncio.Event) -> None:
        """Waits for running tasks during the grace, then cancels them."""
        idle = asyncio.create_task(self.runner.wait_until_idle())
        hurry = asyncio.create_task(at_once.wait())
        try:
            await asyncio.wait({idle, hurry}, timeout=self.timings.grace, return_when=asyncio.FIRST_COMPLETED)
            if not idle.done():
                log.info("releasing tasks=%d", self.runner.busy)
                self.runner.stop_all(Stop.RELEASED)
                await asyncio.wait({idle}, timeout=self.timings.release)
        finally:
            idle.cancel()
            hurry.cancel()

    async def _wait(self, waiting: Awaitable[None]) -> None:
        """Awaits this for timings.farewell seconds at most."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(waiting, self.timings.farewell)

    async def _call(
        self, link: ReconnectingConnection, call: Callable[[contract.Connection, int], Awaitable[T]]
    ) -> T | None:
        """Repeats a call for timings.farewell seconds at most. Returns its answer, or None."""
        give_up = time.monotonic() + self.timings.farewell
        while (worker_id := self.registration.worker_id) is not None and time.monotonic() < give_up:
            try:
                async with link.calling(self.timings.farewell) as connection:
                    return await call(connection, worker_id)
            except Exception as error:
                if not is_outage(error):
                    log.error("deregistration failed error=%s", one_line(error))
                    return None
                await link.back_off(error)
        return None
