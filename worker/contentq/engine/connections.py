"""The connections that handlers may use, through their context, for work that commits with the completion."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from contentq.database.database import Database
from contentq.engine.timings import Timings

log = logging.getLogger("contentq.worker")

_HINT = (
    "a handler has waited for a connection for over %g s: other handlers use all %d; call context.connection() "
    "only at the end of the work, or raise --handler-connections"
)


class HandlerConnections:
    """Opens a connection for each request, at most `most` at once, for coroutines and threads together.

    Each connection is new: a handler works for seconds and opening takes milliseconds, while a connection kept
    idle across a restart of the database would be dead.
    """

    def __init__(self, database: Database, most: int, timings: Timings) -> None:
        self._database = database
        self._warn_after = timings.connection_warning
        self.commit_timeout = timings.commit
        self._most = most
        self._free = threading.Semaphore(most)

    async def open_async(self) -> psycopg.AsyncConnection[TupleRow]:
        """A connection for a coroutine. Raises DatabaseUnreachable."""
        waited = 0.0
        while not self._free.acquire(blocking=False):
            await asyncio.sleep(0.01)
            waited += 0.01
            if self._warn_after <= waited < self._warn_after + 0.01:
                log.warning(_HINT, self._warn_after, self._most)
        try:
            connection = await self._database.connect_async("contentq handler", plain=True)
            await connection.set_autocommit(False)
        except BaseException:
            self._free.release()
            raise
        return connection

    def open(self) -> psycopg.Connection[TupleRow]:
        """A connection for a thread. Raises DatabaseUnreachable."""
        if not self._free.acquire(timeout=self._warn_after):
            log.warning(_HINT, self._warn_after, self._most)
            self._free.acquire()
        try:
            connection = self._database.connect("contentq handler", plain=True)
            connection.autocommit = False
        except BaseException:
            self._free.release()
            raise
        return connection

    async def close_async(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Rolls back uncommitted work and makes room for the next handler."""
        self._free.release()
        with suppress(psycopg.Error, OSError):
            await connection.close()

    def close(self, connection: psycopg.Connection[Any]) -> None:
        """Rolls back uncommitted work and makes room for the next handler."""
        self._free.release()
        with suppress(psycopg.Error, OSError):
            connection.close()
