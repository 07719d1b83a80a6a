"""The heartbeat: a thread with its own connection that listens for notifications.

It registers the worker, reports its attempts, stops the ones that it lost, and runs maintenance. It is a thread
because a handler may block the event loop: the worker must not look dead, and deadlines must still pass. It
listens because any login can flood the connection with notifications: its calls can be repeated on a new
connection, while the result of an interrupted claim would be unknown.
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

from contentq.database.database import Database
from contentq.engine.database_errors import one_line
from contentq.engine.held import HeldTasks
from contentq.engine.loop_watch import LoopWatch
from contentq.engine.options import WorkerOptions
from contentq.engine.outage_log import OutageLog
from contentq.engine.reconnecting import ReconnectingConnection
from contentq.engine.timings import Timings
from contentq.queue import contract
from contentq.queue.contract import NotRegistered
from contentq.version import __version__

log = logging.getLogger("contentq.worker")


@dataclass(frozen=True)
class HeartbeatListener:
    """Callbacks of the heartbeat, on the worker's event loop."""

    registered: Callable[[int], None]
    given_up: Callable[[int], None]
    woken: Callable[[], None]
    silent: Callable[[], None]
    """The database did not answer in time, so the other connections may be dead too."""
    stop_tasks: Callable[[list[tuple[int, int]]], None]


class Heartbeat:
    """The heartbeat thread. Start it once, on the worker's event loop, and stop it once.

    handler: the name to register with. held: the attempts of the worker. watch: watches the worker's event loop.
    """

    def __init__(
        self,
        database: Database,
        options: WorkerOptions,
        handler: str,
        held: HeldTasks,
        listener: HeartbeatListener,
        watch: LoopWatch,
        timings: Timings,
        outages: OutageLog,
    ) -> None:
        self._link = ReconnectingConnection(
            database.direct(),
            "heartbeat",
            timings,
            outages,
            heard=self._wake if database.listen else None,
        )
        self._options = options
        self._handler = handler
        self._held = held
        self._listener = listener
        self._watch = watch
        self._timings = timings
        self._worker_loop = asyncio.get_running_loop()
        self._worker_id: int | None = None
        self._last_beat: tuple[float, float] | None = None
        self._answered_at: float | None = None
        self._loop = asyncio.new_event_loop()
        self._beating: asyncio.Task[None] | None = None
        self._maintain_at = 0.0
        self._is_ending = False
        self._is_leaving = False
        self._registering = asyncio.Lock()
        self._thread = threading.Thread(target=self._run, name="contentq-heartbeat", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread and closes its connection; returns when both are done."""
        self._is_ending = True
        if self.is_alive:
            with suppress(RuntimeError):  # it has just ended
                self._loop.call_soon_threadsafe(self._end)
        self._thread.join(self._timings.heartbeat_stop)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def answered_at(self) -> float | None:
        """When the database answered the last heartbeat (time.monotonic()); None before the first."""
        return self._answered_at

    def expect_deadline(self, seconds: float) -> None:
        """Adds the deadline of a claimed task: its row must end then, even if the handler still runs."""
        due = time.monotonic() + seconds + self._timings.maintenance_margin
        with suppress(RuntimeError):  # the thread has ended
            self._loop.call_soon_threadsafe(self._maintain_by, due)

    async def register_no_more(self) -> None:
        """Waits for a registration in progress and prevents new ones.

        Without it, a worker stopped during its start would leave a row that looks like a dead worker.
        """
        ending = self._end_registering()
        try:
            ended = asyncio.run_coroutine_threadsafe(ending, self._loop)
        except RuntimeError:  # the thread has ended
            ending.close()
        else:
            await asyncio.wrap_future(ended)

    async def _end_registering(self) -> None:
        self._is_leaving = True
        async with self._registering:
            pass

    def _tell(self, call: Callable[..., None], *values: object) -> None:
        self._worker_loop.call_soon_threadsafe(call, *values)

    def _wake(self) -> None:
        self._tell(self._listener.woken)

    def _maintain_by(self, due: float) -> None:
        self._maintain_at = min(self._maintain_at, due)

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
        watching = asyncio.ensure_future(self._watch.run())
        try:
            while True:
                try:
                    await self._beat_until_lost()
                except NotRegistered:
                    self._give_up()
                except Exception as error:
                    if self._is_ending:
                        return  # the connection was cut to end this
                    if self._link.timed_out:
                        self._tell(self._listener.silent)
                    await self._link.back_off(error)
                self._last_beat = None  # the next server's clock may be another
        finally:
            watching.cancel()

    async def _beat_until_lost(self) -> None:
        """Registers if necessary, then sends heartbeats and listens on one connection until it is lost."""
        async with self._link.calling(self._timings.heartbeat_timeout) as connection:
            if self._worker_id is None and not self._is_leaving:
                await self._register(connection)
            else:
                await self._beat(connection)
        self._answered_at = time.monotonic()
        # Tasks may have become ready while the database could not be reached.
        self._wake()

        next_beat = time.monotonic() + self._timings.heartbeat
        self._maintain_at = time.monotonic()
        while self._link.is_open:
            now = time.monotonic()
            if now >= next_beat:
                async with self._link.calling(self._timings.heartbeat_timeout) as connection:
                    await self._beat(connection)
                next_beat = now + self._timings.heartbeat
            elif now >= self._maintain_at:
                self._maintain_at = now + self._timings.maintenance_retry
                self._maintain_by(time.monotonic() + await self._maintain())
            else:
                due = min(next_beat, self._maintain_at, now + self._timings.longest_idle)
                await self._link.idle(due - now)

    async def _register(self, connection: contract.Connection) -> None:
        own = self._options
        async with self._registering:
            self._worker_id = await contract.register_worker(
                connection,
                own.hostname,
                own.pid,
                own.concurrency,
                self._handler,
                own.gates or own.gate,
                __version__,
                own.categories,
            )
            self._tell(self._listener.registered, self._worker_id)
        log.info(
            "registered worker=%s handler=%s slots=%d",
            self._worker_id,
            self._handler,
            own.concurrency,
        )

    def _give_up(self) -> None:
        log.error(
            "registration lost worker=%s: no heartbeat arrived in time; its tasks were rescued", self._worker_id
        )
        given_up, self._worker_id = self._worker_id, None
        if given_up is not None:
            self._tell(self._listener.given_up, given_up)

    async def _beat(self, connection: contract.Connection) -> None:
        """Reports the worker's attempts, complete up to the last heartbeat, and stops the ones that it lost."""
        if self._worker_id is None:
            return  # the worker is leaving, and was not registered
        beat_at, answered_at = self._last_beat or (None, 0.0)
        held, is_complete = self._held.list(claimed_before=answered_at)
        beat = await contract.heartbeat(
            connection, self._worker_id, held, complete_until=beat_at if is_complete else None
        )
        self._answered_at = time.monotonic()
        self._last_beat = beat.at, self._answered_at
        if beat.to_stop:
            self._tell(self._listener.stop_tasks, beat.to_stop)

    async def _maintain(self) -> float:
        """Runs maintenance, and returns the seconds until the next run. A failure does not stop the heartbeat."""
        try:
            async with self._link.calling(self._timings.heartbeat_timeout) as connection:
                return await contract.maintain(connection)
        except psycopg.Error as error:
            if not self._link.is_open:
                raise
            log.error("maintenance failed error=%s", one_line(error))
            return self._timings.maintenance_retry * random.uniform(0.8, 1.2)
