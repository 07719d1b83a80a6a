"""What a handler that works beside its tasks has of its worker: calls of the SQL contract, one at a time."""

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
"""Seconds until what a handler does beside its tasks is begun again after it has failed."""


class HandlerCalls:
    """Calls of functions of the queue, for this worker. They share a connection, which is opened for the first."""

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
        """What function(connection, worker_id, *arguments) returns; it waits until the worker is registered.

        Raises what psycopg raises. A call whose connection is lost on the way may have taken effect, or not.
        """
        worker_id = await self._registration.wait()
        async with self._one_at_a_time, self._link.calling() as connection:
            return await function(connection, worker_id, *arguments, **named)

    def suspect(self) -> None:
        """The connection may be dead: another one got no answer."""
        self._link.suspect()

    async def back_off(self, error: Exception) -> None:
        """Waits a moment after a call that failed."""
        await self._link.back_off(error)

    async def close(self) -> None:
        """Closes the connection."""
        await self._link.close()


async def run_beside(work: Callable[[], Awaitable[None]], calls: HandlerCalls) -> None:
    """Does what a handler has to do beside its tasks, for ever: what goes wrong there ends no worker."""
    while True:
        try:
            await work()
        except Exception as error:
            if is_outage(error):
                await calls.back_off(error)
                continue
            log.error("background work of the handler failed error=%s", one_line(error), exc_info=error)
        await asyncio.sleep(RESTART)
