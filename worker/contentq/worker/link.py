"""A connection that is expected to break: opened when needed, cut when it hangs, opened again."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg
from psycopg.rows import TupleRow

from contentq.database.connect import connect_async
from contentq.errors import DatabaseUnreachable

log = logging.getLogger("contentq.worker")

FIRST_DELAY = 0.05
LONGEST_DELAY = 1.0
"""Seconds of backoff between attempts to connect; short, since a database that is back should be used at once,
and jittered, since a whole fleet waits for it."""

CALL_TIMEOUT = 15.0
"""Seconds for one call; a call that takes longer has most likely lost its peer."""


class Link:
    """One named connection to the database, for the calls of one asyncio task."""

    def __init__(self, dsn: str, purpose: str) -> None:
        self._dsn = dsn
        self._purpose = purpose
        self._connection: psycopg.AsyncConnection[TupleRow] | None = None
        self._failures = 0

    @asynccontextmanager
    async def calling(self, timeout: float = CALL_TIMEOUT) -> AsyncIterator[psycopg.AsyncConnection[TupleRow]]:
        """The connection, opened if need be, for calls that end within timeout seconds.

        Raises what `is_outage` recognises when the database cannot be reached or is lost on the way; the
        connection is then closed, and whether the calls took effect is not known.
        """
        connection = self._connection
        if connection is None or connection.closed:
            connection = self._connection = await connect_async(self._dsn, f"contentq {self._purpose}")
        cutting = asyncio.get_running_loop().call_later(timeout, _cut, connection)
        try:
            yield connection
        except BaseException:
            if connection.closed or connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                await self.close()
            raise
        finally:
            cutting.cancel()
        self._failures = 0

    @property
    def is_open(self) -> bool:
        """Whether the connection was fine when last used."""
        return self._connection is not None and not self._connection.closed

    async def back_off(self, error: BaseException) -> None:
        """Says that the database is out of reach and waits a moment, longer each time, with jitter."""
        self._failures += 1
        if self._failures == 1:
            log.warning("database lost connection=%s error=%s", self._purpose, one_line(error))
        if lost_its_place(error):
            await self.close()
        await asyncio.sleep(random.uniform(0.5, 1.0) * min(LONGEST_DELAY, FIRST_DELAY * 2**self._failures))

    def cut(self) -> None:
        """Ends the connection under whoever waits for it, who then gets an error at once."""
        if self._connection is not None:
            _cut(self._connection)

    async def close(self) -> None:
        """Closes the connection; the next call opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                await connection.close()


def is_outage(error: BaseException) -> bool:
    """Whether an error is about reaching the database or its state of health, not about what was asked.

    Such a call may be made again, and will work some time: no connection, a shutdown or failover, too many
    connections, a full disk, a lock that could not be had, a deadlock.
    """
    if isinstance(error, DatabaseUnreachable | OSError):
        return True
    if not isinstance(error, psycopg.Error):
        return False
    # 08 connection, 25006 read-only (a standby after a failover), 40 rollback, 53 resources, 55P03 lock,
    # 57 operator intervention, 58 system error, XX internal error.
    state = error.sqlstate
    if state is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return state[:2] in ("08", "40", "53", "57", "58", "XX") or state in ("25006", "25P03", "55P03")


def lost_its_place(error: BaseException) -> bool:
    """Whether a connection that still works leads to the wrong server: one that is read-only."""
    return isinstance(error, psycopg.Error) and error.sqlstate == "25006"


def one_line(error: BaseException) -> str:
    """An error's class and text in one line, whatever its __str__ does."""
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = "(its text cannot be had)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _cut(connection: psycopg.AsyncConnection[TupleRow]) -> None:
    """Ends a connection under whoever waits for it: at once, and whether or not the peer answers."""
    with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as copy:
        copy.shutdown(socket.SHUT_RDWR)
