"""The heartbeat: a thread with a connection of its own that registers the worker, beats its heart, and does the
housekeeping. It also listens when the way of the claims leads through a pooler.

It is a thread because a handler may block the event loop; the worker must not look dead for it, and the
deadlines of tasks must pass all the same.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from contentq.engine.reconnecting import ReconnectingConnection, one_line
from contentq.queue import contract
from contentq.queue.contract import NotRegistered

log = logging.getLogger("contentq.worker")

HEARTBEAT_INTERVAL = 2.0
"""Seconds between heartbeats (design: 10 seconds of silence mean death)."""

HEARTBEAT_TIMEOUT = 4.0
"""Seconds after which a heartbeat without an answer is given up, and the connection with it."""

MAINTENANCE_RETRY = 4.0
"""Seconds until the housekeeping is tried again after it failed."""

STOP_TIMEOUT = 5.0
"""Seconds that the thread gets to end."""

DEADLINE_MARGIN = 0.25
"""Seconds past a deadline at which the housekeeping comes for it; the worker stops async handlers before."""

LONGEST_WAIT = 0.5
"""Seconds of waiting between looks at whether something is due."""

BLOCKED_WARNING = 1.0
"""Seconds of silence of the event loop after which the task that blocks it is named."""


@dataclass(frozen=True)
class HeartbeatListener:
    """What the heartbeat tells, in its own thread."""

    registered: Callable[[int], None]
    given_up: Callable[[int], None]
    woken: Callable[[], None]
    silent: Callable[[], None]
    """The database did not answer in time; the other connections may be dead as well."""
    stop_tasks: Callable[[list[tuple[int, int]]], None]
    busy: Callable[[], int]
    """Asked: how many tasks the worker holds."""
    blocked_by: Callable[[], str]
    """Asked, when the event loop is blocked: what runs on it."""


@dataclass(frozen=True)
class Identity:
    """What a worker registers as."""

    hostname: str
    pid: int
    slots: int
    handler: str
    gate: str | None
    version: str


class Heartbeat:
    """The thread; start it once, stop it once."""

    def __init__(self, dsn: str, identity: Identity, listener: HeartbeatListener, *, listen: bool) -> None:
        self._link = ReconnectingConnection(dsn, "heartbeat", heard=listener.woken if listen else None)
        self._identity = identity
        self._tell = listener
        self._worker_id: int | None = None
        self._loop_alive_at = time.monotonic()
        self._loop = asyncio.new_event_loop()
        self._beating: asyncio.Task[None] | None = None
        self._maintain_at = 0.0
        self._ending = False
        self._leaving = False
        self._registering = asyncio.Lock()
        self._thread = threading.Thread(target=self._run, name="contentq-heartbeat", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread and closes its connection; returns when both are done."""
        self._ending = True
        if self.is_alive:
            with suppress(RuntimeError):  # it has just ended by itself
                self._loop.call_soon_threadsafe(self._end)
        self._thread.join(STOP_TIMEOUT)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def loop_is_alive(self) -> None:
        """Called by the worker's event loop, several times a second, as long as nothing blocks it."""
        self._loop_alive_at = time.monotonic()

    def deadline_in(self, seconds: float) -> None:
        """A task with this deadline was claimed: its row is to be ended then, whatever its handler does."""
        due = time.monotonic() + seconds + DEADLINE_MARGIN

        def bring_forward() -> None:
            self._maintain_at = min(self._maintain_at, due)

        with suppress(RuntimeError):  # the thread has ended
            self._loop.call_soon_threadsafe(bring_forward)

    async def register_no_more(self) -> None:
        """Returns when a registration that was under way has been told; none begins afterwards.

        Without it, a worker that is stopped as it starts would leave a row that looks like a dead worker's.
        """
        settling = self._settle()
        try:
            settled = asyncio.run_coroutine_threadsafe(settling, self._loop)
        except RuntimeError:  # the thread has ended
            settling.close()
        else:
            await asyncio.wrap_future(settled)

    async def _settle(self) -> None:
        self._leaving = True
        async with self._registering:
            pass

    def _end(self) -> None:
        self._link.cut()
        if self._beating is not None:
            self._beating.cancel()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._beating = self._loop.create_task(self._beat_for_ever())
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._beating)
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._link.close())
        self._loop.close()

    async def _beat_for_ever(self) -> None:
        watching = asyncio.ensure_future(self._watch_the_loop())
        try:
            while not self._ending:
                try:
                    await self._beat_until_lost()
                except NotRegistered:
                    log.error(
                        "worker given up worker=%s: it was not heard in time; its tasks belong to others now",
                        self._worker_id,
                    )
                    given_up, self._worker_id = self._worker_id, None
                    if given_up is not None:
                        self._tell.given_up(given_up)
                except Exception as error:
                    if self._link.timed_out:
                        self._tell.silent()
                    await self._link.back_off(error)
        finally:
            watching.cancel()

    async def _beat_until_lost(self) -> None:
        """Registers if need be, then beats and listens on one connection for as long as it lasts."""
        async with self._link.calling(HEARTBEAT_TIMEOUT) as connection:
            if self._worker_id is None and not self._leaving:
                await self._register(connection)
            else:
                await self._beat(connection)
        # Whatever was notified while nobody listened is found by looking.
        self._tell.woken()

        next_beat = time.monotonic() + HEARTBEAT_INTERVAL
        self._maintain_at = time.monotonic()
        while self._link.is_open:
            now = time.monotonic()
            if now >= next_beat:
                async with self._link.calling(HEARTBEAT_TIMEOUT) as connection:
                    await self._beat(connection)
                next_beat = now + HEARTBEAT_INTERVAL
            elif now >= self._maintain_at:
                self._maintain_at = now + MAINTENANCE_RETRY
                again = time.monotonic() + await self._maintain()
                self._maintain_at = min(self._maintain_at, again)
            else:
                await self._link.idle(min(next_beat, self._maintain_at, now + LONGEST_WAIT) - now)

    async def _register(self, connection: contract.Connection) -> None:
        async with self._registering:
            self._worker_id = await contract.register_worker(
                connection,
                self._identity.hostname,
                self._identity.pid,
                self._identity.slots,
                self._identity.handler,
                self._identity.gate,
                self._identity.version,
            )
            self._tell.registered(self._worker_id)
        log.info(
            "registered worker=%s handler=%s slots=%d",
            self._worker_id,
            self._identity.handler,
            self._identity.slots,
        )

    async def _beat(self, connection: contract.Connection) -> None:
        if self._worker_id is None:
            return  # it leaves, and had not been registered
        to_stop = await contract.heartbeat(connection, self._worker_id, self._tell.busy())
        if to_stop:
            self._tell.stop_tasks(to_stop)

    async def _maintain(self) -> float:
        """Does the housekeeping; returns the seconds until the next. Its failure does not stop the heart."""
        try:
            async with self._link.calling(HEARTBEAT_TIMEOUT) as connection:
                return await contract.maintain(connection)
        except psycopg.Error as error:
            if not self._link.is_open:
                raise
            log.error("housekeeping failed error=%s", one_line(error))
            return MAINTENANCE_RETRY * random.uniform(0.8, 1.2)

    async def _watch_the_loop(self) -> None:
        """Says which task blocks the event loop, once each time."""
        warned = False
        while True:
            await asyncio.sleep(BLOCKED_WARNING / 4)
            silent = time.monotonic() - self._loop_alive_at
            if silent < BLOCKED_WARNING:
                warned = False
            elif not warned:
                warned = True
                log.warning(
                    "event loop blocked for %.1f s by %s: no other task of this worker can go on; make the "
                    "handler a plain function (it then runs in a thread), or await what blocks",
                    silent,
                    self._tell.blocked_by(),
                )
