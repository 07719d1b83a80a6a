"""A worker process: claim, run, report, with a heartbeat beside it, and an orderly end."""

from __future__ import annotations

import asyncio
import enum
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TypeVar

from contentq.database.connect import connect
from contentq.database.revisions import require_head
from contentq.engine.claimer import Claimer, Source
from contentq.engine.connections import HandlerConnections
from contentq.engine.gate import Gate
from contentq.engine.heartbeat import Heartbeat, HeartbeatListener, Identity
from contentq.engine.options import WorkerOptions
from contentq.engine.reconnecting import ReconnectingConnection, is_outage, one_line
from contentq.engine.registration import Registration
from contentq.engine.reporter import Reporter
from contentq.engine.runner import Runner, Stop
from contentq.handlers.loading import Handler
from contentq.queue import contract
from contentq.queue.outcomes import Completed, Failed, Outcome, Overdue, Released, Returned, Snoozed, Stored
from contentq.task import Task
from contentq.version import __version__

log = logging.getLogger("contentq.worker")

T = TypeVar("T")

ALIVE_INTERVAL = 0.25
"""Seconds between the event loop's signs of life to the heartbeat."""

FAREWELL_TIMEOUT = 5.0
"""Seconds that a stopping worker tries to reach the database for its last reports, and to deregister."""


RELEASE_TIMEOUT = 2.0
"""Seconds that cancelled handlers get to end; what a handler that clings to life does no longer counts."""


WIND_UP_TIMEOUT = RELEASE_TIMEOUT + 4 * FAREWELL_TIMEOUT + 1.0
"""Seconds, beside the grace, in which a worker that was told to stop has ended, if its event loop runs at all."""


PROGRESS_INTERVAL = 10.0
"""Seconds, at least, between two lines of the log that count what was done."""

LOGGED_MESSAGE = 300
"""Characters of an error that go to the log; the row has the whole of it."""


class Ending(enum.Enum):
    """How a worker has ended."""

    DONE = "done"
    """Everything that it had claimed has ended."""

    RELEASED = "released"
    """Tasks that were still running were given back."""


@dataclass
class Counts:
    """What a worker has done so far."""

    claimed: int = 0
    completed: int = 0
    failed: int = 0
    retried: int = 0
    snoozed: int = 0
    """Tasks that were put off because a provider refused a call, with no retry charged."""
    timed_out: int = 0
    released: int = 0
    """Tasks that were given back unfinished."""
    refused: int = 0
    """Outcomes that did not count: the task was taken over, cancelled or past its deadline."""


@dataclass
class Observer:
    """Who is told what happens in a worker; every part may be left out."""

    claimed: Callable[[list[Task]], None] = field(default=lambda tasks: None)
    reported: Callable[[Outcome, str | None], None] = field(default=lambda outcome, status: None)


class Worker:
    """Runs a handler on the tasks of one database, from one event loop.

    source: where it claims its tasks; the whole queue, unless it is told otherwise.
    """

    def __init__(
        self,
        dsn: str,
        handler: Handler,
        options: WorkerOptions | None = None,
        observer: Observer | None = None,
        source: Source = contract,
    ) -> None:
        self._dsn = dsn
        self._handler = handler
        self._options = options or WorkerOptions()
        self._observer = observer or Observer()
        self._source = source
        self.counts = Counts()
        self._registration = Registration()
        self._stop_asked = asyncio.Event()
        self._stop_now = asyncio.Event()

    def check(self) -> None:
        """Raises DatabaseUnreachable or SchemaMismatch, so that a mistake shows before anything is started."""
        with connect(self._dsn, "contentq worker") as connection:
            require_head(connection)

    @property
    def worker_id(self) -> int | None:
        """The id under which it is registered now; None while it is not."""
        return self._registration.worker_id

    def stop(self) -> None:
        """Asks for a graceful stop: no new claims, and options.grace seconds for what runs.

        The second call does not wait any longer. To be called on the event loop.
        """
        if self._stop_asked.is_set():
            self._stop_now.set()
        self._stop_asked.set()

    async def run(self) -> Ending:
        """Works until stopped, or until nothing is left with options.until_empty."""
        loop = asyncio.get_running_loop()
        registration = self._registration
        connections = HandlerConnections(self._dsn, self._options.handler_connections)
        gate = Gate(self._options.gate)
        self._reporter = reporter = Reporter(self._dsn, self._reported, gate.told, prepare=self._options.is_direct)

        def ended(outcome: Outcome, task: Task, began: float) -> None:
            outcome = gate.judge(outcome, task, began)
            if isinstance(outcome, Failed | Snoozed) and not self._options.closes_gates:
                outcome = replace(outcome, closing=None)
            reporter.add(outcome)

        def settled(outcome: Outcome, status: str | None, began: float) -> None:
            gate.went_well(began)
            self._reported(outcome, status)

        self._runner = runner = Runner(
            self._handler,
            self._options.concurrency,
            connections,
            ended,
            settled,
            self._idle,
            reporter.notes.note,
            ahead=gate.key is None,
        )
        self._claimer = claimer = Claimer(
            self._dsn,
            self._options,
            registration,
            runner,
            reporter,
            gate,
            self._claimed,
            self._stop_asked,
            self._source,
        )

        def given_up(worker_id: int) -> None:
            registration.end(worker_id)
            runner.stop_all(Stop.LOST)

        def suspect() -> None:
            claimer.suspect()
            reporter.suspect()

        def on_loop(call: Callable[..., None]) -> Callable[..., None]:
            def hand_over(*values: object) -> None:
                loop.call_soon_threadsafe(call, *values)

            return hand_over

        self._heartbeat = heartbeat = Heartbeat(
            self._options.listen_dsn or self._dsn,
            Identity(
                self._options.hostname,
                self._options.pid,
                self._options.concurrency,
                self._handler.name,
                self._options.gate,
                __version__,
            ),
            HeartbeatListener(
                registered=on_loop(registration.begin),
                given_up=on_loop(given_up),
                woken=on_loop(claimer.wake),
                silent=on_loop(suspect),
                stop_tasks=on_loop(runner.stop_cancelled),
                busy=lambda: runner.busy + len(reporter),
                blocked_by=lambda: _on_the_loop(loop, runner),
            ),
            listen=self._options.listen and self._options.listen_dsn is not None,
        )
        heartbeat.start()
        reporting = asyncio.create_task(reporter.run())
        living = asyncio.create_task(self._show_life())
        try:
            await self._claim_until_stopped(claimer, {reporting, living})
            ending = await self._wind_up()
        except Exception as error:
            log.error("the worker cannot go on, giving its tasks back error=%s", one_line(error))
            self.stop()
            self.stop()
            await self._wind_up()
            raise
        finally:
            living.cancel()
            reporting.cancel()
            heartbeat.stop()
            runner.stop_all(Stop.LOST)  # of a worker that was cancelled: nothing is to go on without it
            runner.close()
            await asyncio.gather(reporting, living, return_exceptions=True)
        return ending

    async def _claim_until_stopped(self, claimer: Claimer, vital: set[asyncio.Task[None]]) -> None:
        """Claims until it is told to stop. Raises what has ended one of the tasks without which nothing works."""
        claiming = asyncio.create_task(claimer.run())
        stopping = asyncio.create_task(self._stop_asked.wait())
        try:
            await asyncio.wait({claiming, stopping, *vital}, return_when=asyncio.FIRST_COMPLETED)
            for each in vital:
                if each.done():
                    each.result()
            await claimer.stop()
            await claiming
        finally:
            stopping.cancel()
            claiming.cancel()

    async def _wind_up(self) -> Ending:
        """Lets what runs end, gives back what does not, reports everything, and leaves."""
        link = ReconnectingConnection(self._dsn, "farewell")
        try:
            self._runner.give_back_waiting()
            await _within(FAREWELL_TIMEOUT, self._heartbeat.register_no_more())
            if self._runner.busy:
                log.info("draining running=%d grace=%gs", self._runner.busy, self._options.grace)
                await self._farewell(link, contract.drain_worker)
            if not await self._until_idle(self._options.grace):
                log.info("releasing tasks=%d", self._runner.busy)
                self._runner.stop_all(Stop.RELEASED)
                await self._until_idle(RELEASE_TIMEOUT, at_once=False)
            await _within(FAREWELL_TIMEOUT, self._reporter.all_done())
            if len(self._reporter):
                log.error(
                    "unreported tasks=%d: they will be done again",
                    len(self._reporter),
                )
            left = await self._farewell(link, contract.deregister_worker)
        finally:
            await link.close()
        return Ending.RELEASED if left or self.counts.released or len(self._reporter) else Ending.DONE

    async def _farewell(
        self,
        link: ReconnectingConnection,
        call: Callable[[contract.Connection, int], Awaitable[T]],
    ) -> T | None:
        """Makes a call for as long as the farewell may take; its answer, None when there was none."""
        give_up = time.monotonic() + FAREWELL_TIMEOUT
        while self.worker_id is not None and time.monotonic() < give_up:
            try:
                async with link.calling(FAREWELL_TIMEOUT) as connection:
                    return await call(connection, self.worker_id)
            except Exception as error:
                if not is_outage(error):
                    log.error("farewell failed error=%s", one_line(error))
                    return None
                await link.back_off(error)
        return None

    async def _until_idle(self, seconds: float, *, at_once: bool = True) -> bool:
        """Waits until no slot is taken, at most so long; at_once: or until told not to wait. Whether it is so."""
        idle = asyncio.create_task(self._runner.wait_until_idle())
        waiting = {idle, asyncio.create_task(self._stop_now.wait())} if at_once else {idle}
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return idle.done()
        finally:
            for each in waiting:
                each.cancel()

    async def _show_life(self) -> None:
        """Tells the heartbeat that the event loop runs, and now and then the log what was done."""
        told, told_at = Counts(), 0.0
        while True:
            self._heartbeat.loop_is_alive()
            if not self._heartbeat.is_alive:
                raise RuntimeError("the thread that beats the worker's heart has ended")
            now = time.monotonic()
            if self.counts != told and now - told_at >= PROGRESS_INTERVAL:
                told, told_at = replace(self.counts), now
                done = " ".join(f"{name}={number}" for name, number in asdict(told).items() if number)
                log.info("at work running=%d %s", self._runner.busy, done)
            await asyncio.sleep(ALIVE_INTERVAL)

    def _claimed(self, tasks: list[Task]) -> None:
        self.counts.claimed += len(tasks)
        deadlines = [task.seconds_left for task in tasks if task.seconds_left is not None]
        if deadlines:
            self._heartbeat.deadline_in(min(deadlines))
        self._observer.claimed(tasks)

    def _idle(self) -> None:
        # The last report may have come long before: a thread keeps its slot when its task was ended under it.
        if self._options.until_empty:
            self._claimer.wake()

    def _reported(self, outcome: Outcome, status: str | None) -> None:
        counts = self.counts
        if isinstance(outcome, Failed) and status is not None:
            log.log(
                logging.INFO if status == "pending" else logging.WARNING,
                "attempt failed task=%s attempt=%d status=%s error=%s",
                outcome.held.task_id,
                outcome.held.attempt,
                status,
                " ".join(outcome.message[:LOGGED_MESSAGE].split()),
            )
        if status == "completed":
            counts.completed += 1
        elif isinstance(outcome, Overdue):
            counts.timed_out += status is None
            counts.retried += status is not None
        elif isinstance(outcome, Released) and status is not None:
            counts.released += not isinstance(outcome, Returned)
        elif status == "pending":
            counts.snoozed += isinstance(outcome, Snoozed)
            counts.retried += not isinstance(outcome, Snoozed)
            self._claimer.wake()  # it may be ready again sooner than anything else
        elif status == "failed":
            counts.failed += 1
        elif status == "timeout":
            counts.timed_out += 1
        else:
            counts.refused += 1
            log.log(
                logging.WARNING if isinstance(outcome, Completed | Stored) else logging.DEBUG,
                "outcome refused task=%s attempt=%d: no longer held by this worker in this attempt",
                outcome.held.task_id,
                outcome.held.attempt,
            )
        if self._options.until_empty:
            self._claimer.wake()
        self._observer.reported(outcome, status)


def _on_the_loop(loop: asyncio.AbstractEventLoop, runner: Runner) -> str:
    """Names what runs on the event loop at this moment; called from another thread."""
    current = asyncio.current_task(loop)
    for execution in runner.running():
        if execution.unit is current:
            return f"task {execution.held.task_id}"
    return "something that is no task's handler"


async def _within(seconds: float, waiting: Awaitable[None]) -> None:
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(waiting, seconds)
