"""A worker process: claim, run, report, with a heartbeat and an orderly end."""

from __future__ import annotations

import asyncio
import enum
import logging
import time
from dataclasses import replace
from functools import partial

from contentq.database.database import Database
from contentq.engine.claimer import Claimer, Source
from contentq.engine.connections import HandlerConnections
from contentq.engine.database_errors import one_line
from contentq.engine.execution import Stop
from contentq.engine.gates import GateKeeper
from contentq.engine.handler_calls import HandlerCalls, run_beside
from contentq.engine.health import Health
from contentq.engine.heartbeat import Heartbeat, HeartbeatListener
from contentq.engine.held import HeldTasks
from contentq.engine.leaving import Leaving
from contentq.engine.loop_watch import LoopWatch
from contentq.engine.options import WorkerOptions
from contentq.engine.outage_log import OutageLog
from contentq.engine.registration import Registration
from contentq.engine.reporter import Reporter
from contentq.engine.runner import Runner
from contentq.engine.tally import Counts, Observer, Tally
from contentq.engine.timings import Timings
from contentq.engine.wake_up import WakeUp
from contentq.handlers.loading import Handlers
from contentq.queue import contract
from contentq.queue.contract import NotRegistered
from contentq.queue.outcomes import Outcome, Released

log = logging.getLogger("contentq.worker")


class Ending(enum.Enum):
    """How a worker ended."""

    DONE = "done"
    """Every claimed task ended."""

    RELEASED = "released"
    """Tasks that were still running were released."""


class Worker:
    """Runs handlers on the tasks of one database, from one event loop.

    source: where it claims tasks; by default, the whole queue.
    """

    def __init__(
        self,
        database: Database,
        handlers: Handlers,
        options: WorkerOptions | None = None,
        *,
        timings: Timings | None = None,
        observer: Observer | None = None,
        source: Source = contract,
    ) -> None:
        self._database = database
        self._handlers = handlers
        self._options = options or WorkerOptions()
        self._timings = timings or Timings()
        self._source = source
        self._registration = Registration()
        self._held = HeldTasks()
        self._wake_up = WakeUp()
        self._outages = OutageLog(self._timings)
        self._tally = Tally(observer or Observer())
        self._stop_asked = asyncio.Event()
        self._stop_now = asyncio.Event()
        self._claim_under_way = asyncio.Lock()
        self._is_assembled = False

    @property
    def counts(self) -> Counts:
        """Counts of its claims and outcomes so far."""
        return self._tally.counts

    @property
    def worker_id(self) -> int | None:
        """The id under which it is registered; None while it is not registered."""
        return self._registration.worker_id

    def health(self) -> Health | None:
        """Its health; None before it starts. Call it from any thread."""
        if not self._is_assembled:
            return None
        answered_at = self._heartbeat.answered_at
        return Health(
            replace(self.counts),
            self._runner.busy,
            self.worker_id is not None,
            None if answered_at is None else time.monotonic() - answered_at,
            self._watch.silence,
            self._heartbeat.is_alive,
            self._stop_asked.is_set(),
        )

    def stop(self) -> None:
        """Requests a graceful stop: no new claims, and timings.grace seconds for running tasks.

        A second call cancels the wait. Call it on the event loop.
        """
        if self._stop_asked.is_set():
            self._stop_now.set()
        self._stop_asked.set()

    async def run(self) -> Ending:
        """Works until it is stopped or, with options.until_empty, until no task is left."""
        self._assemble()
        self._heartbeat.start()
        self._is_assembled = True
        beside = {
            asyncio.create_task(self._reporter.run()),
            asyncio.create_task(self._keeper.run()),
            asyncio.create_task(self._show_life()),
        }
        beside |= {
            asyncio.create_task(run_beside(partial(handler.beside, self._handler_calls), self._handler_calls))
            for handler in self._handlers.each()
            if handler.beside is not None
        }
        try:
            await self._work_until_stopped(beside)
            return await self._leave()
        except Exception as error:
            log.error("worker failed, releasing its tasks error=%s", one_line(error))
            self._stop_asked.set()
            self._stop_now.set()
            await self._leave()
            raise
        finally:
            for each in beside:
                each.cancel()
            self._heartbeat.stop()
            self._runner.stop_all(Stop.LOST)  # if the worker was cancelled, its tasks must not run on without it
            self._runner.close()
            await asyncio.gather(*beside, return_exceptions=True)
            await self._handler_calls.close()

    async def _work(self) -> None:
        """The loop: claims tasks for free slots and starts each; the runner passes each outcome to the reporter.

        Ends when the worker must stop or, with until_empty, when no task waits or runs.
        """
        while not self._stop_asked.is_set():
            worker_id = await self._registration.wait()
            room = await self._claimer.wait_for_room()
            if self._stop_asked.is_set():
                break  # do not fill slots that became free since then
            try:
                claimed = await self._claim_and_start(worker_id, room)
                if len(claimed.tasks) == room:
                    continue
                if self._options.until_empty and await self._claimer.is_queue_empty():
                    return
                await self._claimer.rest(claimed)
            except NotRegistered:
                # The heartbeat will notice and register again; until then, no claim is possible.
                self._registration.end(worker_id)
            except Exception as error:
                await self._claimer.back_off(error)

    async def _claim_and_start(self, worker_id: int, max_tasks: int) -> contract.Claimed:
        async with self._claim_under_way:
            with self._held.claiming():
                claimed = await self._claimer.claim(worker_id, max_tasks)
                for task in claimed.tasks:
                    self._held.add(task)
                    self._runner.start(task, worker_id, claimed.previous.get(task.id))
        if claimed.tasks:
            self._tally.add_claimed(claimed.tasks)
            deadlines = [task.seconds_left for task in claimed.tasks if task.seconds_left is not None]
            if deadlines:
                self._heartbeat.expect_deadline(min(deadlines))
        return claimed

    def _end_attempt(self, outcome: Outcome, status: str | None) -> None:
        """Handles the answer to the report of an attempt. status: None if it did not count."""
        self._held.discard(outcome.held)
        self._tally.add_reported(outcome, status)
        may_be_ready = status == "pending" and not isinstance(outcome, Released)
        may_have_made_room = self._claimer.is_kept_waiting or self._claimer.is_more_ready
        if may_be_ready or may_have_made_room or self._options.until_empty:
            self._wake_up.signal()

    async def _work_until_stopped(self, beside: set[asyncio.Task[None]]) -> None:
        """Works until it must stop. Raises the error that ended one of its background tasks."""
        working = asyncio.create_task(self._work())
        stopping = asyncio.create_task(self._stop_asked.wait())
        try:
            await asyncio.wait({working, stopping, *beside}, return_when=asyncio.FIRST_COMPLETED)
            for each in beside:
                if each.done():
                    each.result()
            async with self._claim_under_way:  # its tasks must still be reported
                working.cancel()
            await asyncio.wait({working})
            if not working.cancelled():
                working.result()
        finally:
            stopping.cancel()
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            await self._claimer.close()

    async def _leave(self) -> Ending:
        leaving = Leaving(
            self._database,
            self._registration,
            self._runner,
            self._reporter,
            self._heartbeat,
            self._timings,
            self._outages,
        )
        is_done = await leaving.leave(self._stop_now)
        return Ending.DONE if is_done and not self.counts.released else Ending.RELEASED

    def _give_up(self, worker_id: int) -> None:
        """Handles the loss of this registration: its tasks were rescued."""
        self._registration.end(worker_id)
        self._held.clear()
        self._runner.stop_all(Stop.LOST)

    def _suspect_connections(self) -> None:
        """Handles a heartbeat without an answer."""
        self._claimer.suspect()
        self._reporter.suspect()
        self._keeper.suspect()
        self._handler_calls.suspect()

    def _look_again_until_empty(self) -> None:
        # The last report may have come long before: a thread occupies its slot after its task has ended.
        if self._options.until_empty:
            self._wake_up.signal()

    async def _show_life(self) -> None:
        """Sends signs of life of the event loop, and logs the counts now and then."""
        logged, logged_at = Counts(), 0.0
        while True:
            self._watch.show_life()
            if not self._heartbeat.is_alive:
                raise RuntimeError("the heartbeat thread of the worker has ended")
            now = time.monotonic()
            if self.counts != logged and now - logged_at >= self._timings.log:
                logged, logged_at = replace(self.counts), now
                log.info("at work running=%d %s", self._runner.busy, logged)
            await asyncio.sleep(self._timings.life_sign)

    def _assemble(self) -> None:
        """Creates the parts of the worker for the running event loop."""
        database, options, timings, outages = self._database, self._options, self._timings, self._outages
        self._reporter = Reporter(database, options, self._end_attempt, timings, outages)
        self._keeper = GateKeeper(database, options, timings, outages)
        self._handler_calls = HandlerCalls(database, self._registration, timings, outages)
        self._runner = Runner(
            self._handlers,
            options.concurrency,
            HandlerConnections(database, options.handler_connections, timings),
            self._reporter,
            self._keeper,
            timings,
            self._look_again_until_empty,
            claim_ahead=options.gate is None and options.gates is None,
        )
        self._claimer = Claimer(
            database, self._source, options, self._runner, self._reporter, self._wake_up, timings, outages
        )
        self._watch = LoopWatch(self._runner.name_current, timings)
        self._heartbeat = Heartbeat(
            database,
            options,
            self._handlers.name,
            self._held,
            HeartbeatListener(
                registered=self._registration.begin,
                given_up=self._give_up,
                woken=self._wake_up.signal,
                silent=self._suspect_connections,
                stop_tasks=self._runner.stop_cancelled,
            ),
            self._watch,
            timings,
            outages,
        )
