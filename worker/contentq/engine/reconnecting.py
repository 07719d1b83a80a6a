"""A connection that is expected to break: opened when needed, cut when it hangs, opened again."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from contentq.database.connect import cut, leads_to_the_server
from contentq.database.database import Database
from contentq.engine.database_errors import is_connection_lost, is_outage, is_read_only, one_line
from contentq.engine.flood import FloodGuard
from contentq.engine.outage_log import OutageLog
from contentq.engine.timings import Timings
from contentq.queue import contract

log = logging.getLogger("contentq.worker")

WARN_AGAIN = 60.0
"""Seconds until the same warning of the database is logged again."""

MOST_WARNINGS = 1000
"""Maximum number of warnings remembered for that. Above it, all are forgotten."""

NEVER = float("-inf")


class ReconnectingConnection:
    """One named connection to the database, for the calls of one asyncio task.

    prepare: whether statements may be prepared by name, which saves the server a quarter of a millisecond a call.
    If the connection leads through a pooler in transaction mode after all, this is detected and switched off.
    heard: called for notifications; without it, the connection does not listen. It is also called when the idle
    connection has ended, because notifications may have been missed. A flood of notifications ends the connection
    and the call in progress; the next connection does not listen for a while.
    """

    def __init__(
        self,
        database: Database,
        purpose: str,
        timings: Timings,
        outages: OutageLog,
        *,
        prepare: bool = False,
        heard: Callable[[], None] | None = None,
    ) -> None:
        self._database = database
        self._timings = timings
        self._outages = outages
        self._prepare = prepare and database.is_direct
        self._heard = heard
        self._is_listening = False
        self._flood = FloodGuard(timings)
        self._warned_of_pooler = False
        self._warned_at: dict[str, float] = {}
        self._reading: asyncio.AbstractEventLoop | None = None
        self._read_from = -1
        self._ended: asyncio.Future[None] | None = None
        self._purpose = purpose
        self._connection: psycopg.AsyncConnection[TupleRow] | None = None
        self._backoff = 0.0
        self._last_error = ""
        self._has_failed = False
        self._watching: asyncio.TimerHandle | None = None
        self._give_up_at = 0.0
        self._caller: asyncio.Task[Any] | None = None
        self._timed_out = False
        self._closed_under_it = False
        self._suspect = False

    @asynccontextmanager
    async def calling(self, timeout: float | None = None) -> AsyncIterator[psycopg.AsyncConnection[TupleRow]]:
        """The connection, opened if necessary, for calls that end within timeout seconds (timings.call).

        Raises errors that `is_outage` recognises if the database cannot be reached or is lost during the call. The
        connection is then closed, and whether the calls took effect is unknown.
        """
        connection, is_new = await self._open()
        self._timed_out = self._closed_under_it = False
        self._caller = asyncio.current_task()
        limit = self._timings.call if timeout is None else timeout
        self._give_up_at = asyncio.get_running_loop().time() + limit
        self._watch()
        try:
            if is_new:
                await self._find_pooler(connection)
            yield connection
            await self._listen(connection)
        except BaseException as error:
            if self._is_flooded():
                raise psycopg.OperationalError("the connection was flooded with notifications") from None
            if self._closed_under_it and isinstance(error, asyncio.CancelledError) and not self._is_cancelled():
                raise psycopg.OperationalError("the connection was closed during a call") from None
            if isinstance(error, _PREPARED_ELSEWHERE):
                self._prepare = False
                await self.close()
            elif connection.closed or connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                await self.close()
            raise
        finally:
            self._stop_watching()
            if self._is_flooded():
                await self.close()
            self._read()
        self._suspect = False
        if self._backoff:
            self._outages.remove(self._purpose)
            if self._has_failed:
                log.info("database reachable again connection=%s", self._purpose)
            self._has_failed = False
            self._backoff, self._last_error = 0.0, ""

    @property
    def is_open(self) -> bool:
        """Whether the connection worked when last used."""
        return self._connection is not None and not self._connection.closed

    @property
    def timed_out(self) -> bool:
        """Whether the last call ended because no answer arrived in time."""
        return self._timed_out

    def suspect(self) -> None:
        """Another connection got no answer: shortens the time limit of this one, or replaces it if idle."""
        self._suspect = True
        self._give_up_at -= self._timings.call - self._timings.suspect_call

    async def back_off(self, error: BaseException) -> None:
        """Logs a new error, and waits with backoff and jitter."""
        text = one_line(error)
        if is_connection_lost(error):
            self._outages.add(self._purpose, text)
        elif text != self._last_error:
            level = logging.WARNING if is_outage(error) else logging.ERROR
            log.log(level, "database call failed, retrying connection=%s error=%s", self._purpose, text)
            log.debug("traceback of the failed call", exc_info=error)
            self._has_failed = True
        self._last_error = text
        if is_read_only(error):
            await self.close()
        self._backoff = min(2 * self._backoff or self._timings.first_backoff, self._timings.longest_backoff)
        await asyncio.sleep(random.uniform(0.5, 1.0) * self._backoff)

    async def idle(self, seconds: float) -> None:
        """Waits this long. Raises OperationalError as soon as the idle connection has ended."""
        self._ended = ended = asyncio.get_running_loop().create_future()
        self._read()
        try:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(ended, max(seconds, 0))
        finally:
            self._ended = None
        if not self.is_open:
            raise psycopg.OperationalError("the connection is closed")

    def cut(self) -> None:
        """Ends the connection, so that a call in progress fails at once."""
        if self._connection is not None:
            cut(self._connection)

    async def _open(self) -> tuple[psycopg.AsyncConnection[TupleRow], bool]:
        """The connection, and whether it is new."""
        if self._suspect or self._is_flooded():
            self._suspect = False
            await self.close()
        self._stop_reading()
        if self._connection is not None and not self._connection.closed:
            return self._connection, False
        self._is_listening = False
        connection = await self._database.connect_async(f"contentq {self._purpose}", prepare=self._prepare)
        connection.add_notice_handler(self._log_warning)
        self._connection = connection
        return connection, True

    async def _listen(self, connection: psycopg.AsyncConnection[TupleRow]) -> None:
        """Starts to listen on a connection that has worked, unless it listens already or must not."""
        if self._heard is None or self._is_listening or not self._flood.is_to_listen or connection.closed:
            return
        connection.add_notify_handler(lambda _notification: self._notified(1))
        await contract.listen(connection)
        self._is_listening = True
        self._heard()  # the next claim finds what was notified before

    async def _find_pooler(self, connection: psycopg.AsyncConnection[TupleRow]) -> None:
        """Checks a new connection: whether it leads to a primary, and whether through a pooler."""
        if leads_to_the_server(connection):
            await contract.stay_open(connection)
        else:
            self._prepare, connection.prepare_threshold = False, None
            if self._heard is not None and not self._warned_of_pooler:
                self._warned_of_pooler = True
                log.warning(
                    "a pooler prevents LISTEN: the worker finds new tasks only by polling; set --listen-dsn to a "
                    "direct connection, or set --no-listen"
                )

    def _notified(self, number: int) -> None:
        """Counts notifications that arrived."""
        self._flood.count(number)
        if self._is_flooded() and self._caller is not None:
            self.cut()  # the expected answer arrives after all notifications
        if self._heard is not None:
            self._heard()

    def _is_flooded(self) -> bool:
        return self._is_listening and not self._flood.is_to_listen

    def _read(self) -> None:
        """Reads what the database sends until the next call: notifications, or the end of the connection.

        Unread notifications would fill the socket, and then the server's queue.
        """
        connection = self._connection
        if connection is None or connection.closed or self._reading is not None:
            return
        if self._heard is not None or self._ended is not None:
            loop = asyncio.get_running_loop()
            with suppress(psycopg.Error, OSError):  # it was closed by someone else; the next call will notice
                self._read_from = connection.fileno()
                loop.add_reader(self._read_from, self._read_arrived)
                self._reading = loop
            # The end of the last answer may have come together with a notification.
            self._read_arrived()

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.remove_reader(self._read_from)
            self._reading = None

    def _read_arrived(self) -> None:
        """Handles data that arrived on the idle connection."""
        connection = self._connection
        assert connection is not None
        try:
            connection.pgconn.consume_input()
        except psycopg.Error:
            self._stop_reading()
            if self._heard is not None:
                self._heard()
            if self._ended is not None and not self._ended.done():
                self._ended.set_result(None)
        self._drop_notifications(connection)
        if self._is_flooded():
            self._stop_reading()  # the next call opens a new connection

    def _drop_notifications(self, connection: psycopg.AsyncConnection[TupleRow]) -> None:
        """Drops the notifications that were read. Until then, libpq keeps all of them in memory."""
        number = 0
        with suppress(psycopg.Error):
            while connection.pgconn.notifies() is not None:
                number += 1
        if number:
            self._notified(number)

    def _watch(self) -> None:
        """Watches the call in progress: every second, and at its time limit."""
        connection, loop = self._connection, asyncio.get_running_loop()
        if connection is None or connection.closed:
            # Closed by someone else, such as a handler: the call would wait on its socket for ever.
            self._closed_under_it = True
            if self._caller is not None:
                self._caller.cancel()
            return
        left = self._give_up_at - loop.time()
        if left <= 0:
            self._timed_out = True
            self.cut()
        check = self._timings.call_check if self._heard is None else self._timings.listening_check
        if self._is_listening:
            self._drop_notifications(connection)
        self._watching = loop.call_later(min(max(left, 0.1), check), self._watch)

    def _stop_watching(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        self._watching = self._caller = None

    def _is_cancelled(self) -> bool:
        """Whether the caller was also cancelled by someone else."""
        caller = asyncio.current_task()
        return caller is not None and caller.uncancel() > 0

    def _log_warning(self, notice: psycopg.errors.Diagnostic) -> None:
        """Logs warnings of the database: at once, and repeated ones once a minute."""
        text, now = notice.message_primary or "", time.monotonic()
        if notice.severity_nonlocalized != "WARNING" or now - self._warned_at.get(text, NEVER) < WARN_AGAIN:
            return
        if len(self._warned_at) >= MOST_WARNINGS:
            self._warned_at.clear()
        self._warned_at[text] = now
        log.warning("database warning: %s", text)

    async def close(self) -> None:
        """Closes the connection; the next call opens another."""
        self._stop_reading()
        self._is_listening = False
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                await connection.close()


_PREPARED_ELSEWHERE = (psycopg.errors.InvalidSqlStatementName, psycopg.errors.DuplicatePreparedStatement)
"""Whether an error comes from named prepared statements behind a pooler in transaction mode."""
