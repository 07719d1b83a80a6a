"""Claims tasks for the free slots: a full batch while there is work, then a sleep until there may be more."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import psycopg

from contentq.engine.gate import Gate
from contentq.engine.options import WorkerOptions
from contentq.engine.reconnecting import ReconnectingConnection
from contentq.engine.registration import Registration
from contentq.engine.reporter import Reporter
from contentq.engine.runner import Runner
from contentq.queue import contract
from contentq.queue.contract import NotRegistered
from contentq.task import Task

log = logging.getLogger("contentq.worker")

RECONCILE_INTERVAL = 30.0
"""Seconds between looks for tasks that the database has given to this worker without its knowing."""

RECONCILE_RETRY = 5.0
"""Seconds until it is tried again when someone has locked such a task."""

SHORTEST_REST = 0.1
"""Seconds of rest when a task is due, but was not to be claimed."""

MOST_UNREPORTED = 4
"""Unreported outcomes, in multiples of the slots, above which no more is claimed."""


class Source(Protocol):
    """Where tasks come from, and whether more of them are to come: as functions of the SQL contract."""

    async def claim(
        self, connection: contract.Connection, worker_id: int, max_tasks: int, categories: Sequence[str] | None, /
    ) -> contract.Claimed:
        """As contract.claim()."""

    async def anything_waits(self, connection: contract.Connection, categories: Sequence[str] | None, /) -> bool:
        """As contract.anything_waits()."""


class Claimer:
    """Claims until it is told to stop. stopping: set as soon as the worker is asked to."""

    def __init__(
        self,
        dsn: str,
        options: WorkerOptions,
        registration: Registration,
        runner: Runner,
        reporter: Reporter,
        gate: Gate,
        claimed: Callable[[list[Task]], None],
        stopping: asyncio.Event,
        source: Source = contract,
    ) -> None:
        # The claims' own connection listens: a notification then goes straight to whoever acts on it.
        self._link = ReconnectingConnection(
            dsn, "claim", prepare=options.is_direct, heard=self.wake if options.is_direct else None
        )
        self._options = options
        self._registration = registration
        self._runner = runner
        self._reporter = reporter
        self._gate = gate
        self._claimed = claimed
        self._woken = False
        self._sleeping: asyncio.Future[None] | None = None
        self._told_of_waiting = False
        self._is_limited = False
        self._claiming = asyncio.Lock()
        self._looping: asyncio.Task[None] | None = None
        self._stopping = stopping
        self._source = source
        self._reconcile_at = time.monotonic() + RECONCILE_INTERVAL

    def wake(self) -> None:
        """There may be something to claim."""
        self._woken = True
        self._end_sleep()

    def suspect(self) -> None:
        """The connection may be dead: another one got no answer."""
        self._link.suspect()
        self.wake()  # whatever was notified since is found by looking

    async def run(self) -> None:
        """Claims until stopped; with until_empty, until nothing waits and all that was claimed has ended."""
        self._looping = asyncio.ensure_future(self._claim_on_and_on())
        try:
            await self._looping
        except asyncio.CancelledError:
            if not self._looping.cancelled():
                self._looping.cancel()
                raise
        finally:
            await self._link.close()

    async def stop(self) -> None:
        """Ends run(), after the claim that may be under way: its tasks are not to be lost sight of."""
        async with self._claiming:
            if self._looping is not None:
                self._looping.cancel()

    async def _claim_on_and_on(self) -> None:
        # Not only by cancelling: until Python 3.12, wait_for() loses a cancellation that comes together with what
        # it waits for; and a slot that becomes free after the signal to stop is not to be filled again.
        while not self._stopping.is_set():
            worker_id = await self._registration.wait()
            asked = await self._room()
            if self._stopping.is_set():
                return
            self._woken = False
            try:
                async with self._claiming:
                    number, more_in = await self._claim(worker_id, asked)
                if number < asked and await self._rest(more_in):
                    return
            except NotRegistered:
                # The heartbeat will find out and register anew; until then there is nothing to claim with.
                self._registration.end(worker_id)
            except Exception as error:
                # The claim may have taken effect without our knowing.
                self._reconcile_at = 0.0
                await self._link.back_off(error)

    async def _room(self) -> int:
        """Waits for free slots, for the reports to keep up, and for the pace; returns how much to claim.

        0 when it is time to look whether it holds what it does not know of.
        """
        waited = False
        while not self._stopping.is_set():
            free = await self._free_slots()
            allowed = self._gate.allows(free)
            if allowed > 0:
                self._is_limited = allowed < free or waited
                return allowed
            seconds = self._reconcile_at - time.monotonic()
            if seconds <= 0:
                break
            waited = free > 0
            await self._gate.wait(seconds)
        return 0

    async def _free_slots(self) -> int:
        while self._runner.free <= 0 or len(self._reporter) > MOST_UNREPORTED * self._options.concurrency:
            busy = self._runner.wait_for_slot() if self._runner.free <= 0 else self._reporter.all_done()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(busy, max(0.1, self._reconcile_at - time.monotonic()))
            if time.monotonic() >= self._reconcile_at:
                return 0
        return self._runner.free

    async def _claim(self, worker_id: int, asked: int) -> tuple[int, float | None]:
        """How many tasks were claimed, and the seconds after which there may be more."""
        async with self._link.calling() as connection:
            if time.monotonic() >= self._reconcile_at:
                await self._reconcile(connection, worker_id)
            if asked == 0:
                return 0, None
            asked_at = time.monotonic()
            claimed = await self._source.claim(connection, worker_id, asked, self._options.categories)
        tasks = claimed.tasks
        if claimed.gate is not None:
            self._gate.found_closed(claimed.gate)
        else:
            self._gate.found_open(asked_at)
            if self._gate.pace is not None:
                is_limiting = self._is_limited and len(tasks) == asked
                self._gate.pace.begun(len(tasks), time.monotonic(), is_limiting=is_limiting)
        for task in tasks:
            self._runner.start(task, worker_id, claimed.previous.get(task.id))
        if tasks:
            self._claimed(tasks)
        return len(tasks), claimed.more_in

    async def _reconcile(self, connection: contract.Connection, worker_id: int) -> None:
        held = [*self._runner.held(), *self._reporter.held()]
        try:
            released = await contract.reconcile(connection, worker_id, held)
        except psycopg.errors.LockNotAvailable:
            self._reconcile_at = time.monotonic() + RECONCILE_RETRY
            return
        if released:
            log.warning("reconciled tasks=%d: their claim had not been heard", len(released))
        self._reconcile_at = time.monotonic() + RECONCILE_INTERVAL

    async def _rest(self, more_in: float | None) -> bool:
        """Nothing more to claim: sleeps until something may be; returns whether the work is done for good."""
        if self._options.until_empty and await self._is_done():
            return True
        seconds = self._options.poll * random.uniform(0.9, 1.1)
        if more_in is not None:
            # One that is due already and was not claimed is locked by someone.
            seconds = min(seconds, more_in or SHORTEST_REST)
        is_idle = not (self._runner.busy or len(self._reporter))
        if self._options.until_empty and is_idle and not (self._told_of_waiting or self._gate.is_closed):
            self._told_of_waiting = True
            until = "" if more_in is None else f" next_in={more_in:.0f}s"
            log.info("nothing is ready, waiting for tasks that were put back or are held elsewhere%s", until)
        if self._gate.is_closed:
            # Every insert wakes it, and it would ask each time.
            rest = min(seconds, SHORTEST_REST)
            await asyncio.sleep(rest)
            seconds -= rest
        await self._sleep(seconds)
        return False

    async def _sleep(self, seconds: float) -> None:
        """Sleeps for so long or until woken; what happens first counts without a detour over further tasks."""
        if not self._woken:
            self._sleeping = sleeping = asyncio.get_running_loop().create_future()
            timer = sleeping.get_loop().call_later(seconds, self._end_sleep)
            try:
                await sleeping
            finally:
                timer.cancel()
                self._sleeping = None

    def _end_sleep(self) -> None:
        if self._sleeping is not None and not self._sleeping.done():
            self._sleeping.set_result(None)

    async def _is_done(self) -> bool:
        if self._runner.busy or len(self._reporter):
            return False
        async with self._link.calling() as connection:
            return not await self._source.anything_waits(connection, self._options.categories)
