"""Access to the SQL contract for the background work of a handler, one call at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec, TypeVar

from contentq.database.database import Database
from contentq.engine.database_errors import is_outage, one_line
from contentq.engine.outage_log import OutageLog
from contentq.engine.reconnecting import ReconnectingConnection
from contentq.engine.registration import Registration
from contentq.engine.timings import Timings
from contentq.queue.contract import Connection

log = logging.getLogger("contentq.worker")

T = TypeVar("T")
P = ParamSpec("P")

RESTART = 5.0
"""Seconds until the background work of a handler is restarted after a failure."""


class HandlerCalls:
    """Calls functions of the queue for this worker, over one connection that opens with the first call."""

    def __init__(
        self, database: Database, registration: Registration, timings: Timings, outages: OutageLog
    ) -> None:
        self._link = ReconnectingConnection(database, "handler", timings, outages, prepare=True)
        self._registration = registration
        self._one_at_a_time = asyncio.Lock()

    async def __call__(
        self,
        function: Callable[Concatenate[Connection, int, P], Awaitable[T]],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> T:
        """Returns what function(connection, worker_id, *arguments) returns. Waits until the worker is registered.

        Raises psycopg's errors. If the connection is lost during the call, it may have taken effect or not.
        """
        worker_id = await self._registration.wait()
        async with self._one_at_a_time, self._link.calling() as connection:
            return await function(connection, worker_id, *arguments, **named)

    def suspect(self) -> None:
        """Another connection got no answer, so this one may be dead too."""
        self._link.suspect()

    async def back_off(self, error: Exception) -> None:
        """Waits before the next call after a failed one."""
        await self._link.back_off(error)

    async def close(self) -> None:
        """Closes the connection."""
        await self._link.close()


async def run_beside(work: Callable[[], Awaitable[None]], calls: HandlerCalls) -> None:
    """Runs the background work of a handler until cancelled. Its failures do not end the worker."""
    while True:
        try:
            await work()
        except Exception as error:
            if is_outage(error):
                await calls.back_off(error)
                continue
            log.error("background work of the handler failed error=%s", one_line(error), exc_info=error)
        await asyncio.sleep(RESTART)
