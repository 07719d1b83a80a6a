"""Runs the handler on claimed tasks, and stops it where it must be stopped."""

from __future__ import annotations

import asyncio
import enum
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

from contentq.content import PreviousContent
from contentq.engine import forks, transaction
from contentq.engine.connections import HandlerConnections
from contentq.engine.context import Context, ThreadContext
from contentq.engine.results import failure_of, outcome_of, traceback_of
from contentq.engine.threads import HandlerThreads
from contentq.errors import HandlerError
from contentq.handlers.loading import Handler
from contentq.queue.outcomes import CANCELLED, Failed, Held, Outcome, Overdue, Released, Returned
from contentq.task import Task

log = logging.getLogger("contentq.worker")

DEADLINE_MARGIN = 0.02
"""Seconds past the deadline at which a handler is stopped, so that the database agrees that it has passed."""


BATCH = 100
"""Tasks that it takes at once, unless handlers are quick: the first begin while others are being claimed."""

AHEAD = 3
"""Tasks for each slot that are claimed ahead while handlers are quick: they wait for a slot to become free."""

QUICK = 0.01
"""Seconds in which a handler ends when it is quick."""

FORGETTING = 0.98
"""What each handler that ends leaves of the longest duration in mind: one of a second counts for 230 tasks."""

PATIENCE = 0.25
"""Seconds that a task waits for a slot before it is given back: the handlers were not so quick after all."""


LAST_ATTEMPTS_SEEN = 10.0
"""Seconds without claiming ahead after a task on its last attempt would have had to wait."""


class Stop(enum.Enum):
    """Why an attempt is stopped before its handler has ended."""

    DEADLINE = "deadline"
    CANCELLED = "cancelled"
    RELEASED = "released"
    NOT_BEGUN = "not begun"
    LOST = "lost"


class Phase(enum.Enum):
    """How far an attempt is. Only a running handler may be cancelled: before, there is nothing to cancel, and
    afterwards its own transaction is being committed."""

    NEW = 0
    RUNNING = 1
    SETTLING = 2


class Execution:
    """One attempt, from its claim to the end of its handler."""

    __slots__ = ("began", "context", "held", "phase", "reported", "stopped", "task", "timer", "unit")

    def __init__(self, held: Held, task: Task, context: Context | ThreadContext) -> None:
        self.held = held
        self.task = task
        self.context = context
        self.unit: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.phase = Phase.NEW
        self.stopped: Stop | None = None
        self.reported = False
        self.began = 0.0


class Runner:
    """The slots: at most `slots` handlers at once.

    While handlers take milliseconds, the time goes into claiming and reporting; then more is claimed than there
    are slots, so that both go on at once.

    ended: told each outcome that is still to be reported, its task, and when its handler began (time.monotonic()).
    settled: told each that was committed together with the handler's own work, the task's new status (None when
    it did not count), and when its handler began. idle: told when all are free. progressed: told, from any thread,
    how far an attempt is. ahead: whether more may be claimed than there are slots.
    """

    def __init__(
        self,
        handler: Handler,
        slots: int,
        connections: HandlerConnections,
        ended: Callable[[Outcome, Task, float], None],
        settled: Callable[[Outcome, str | None, float], None],
        idle: Callable[[], None],
        progressed: Callable[[Held, float | None, str | None], None],
        *,
        ahead: bool,
    ) -> None:
        self._handler = handler
        self._slots = slots
        self._connections = connections
        self._ended = ended
        self._settled = settled
        self._idle = idle
        self._progressed = progressed
        self._ahead = ahead
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        forks.end_children_of(self._loop)
        self._threads = None if handler.is_async else HandlerThreads(slots)
        self._executions: dict[tuple[int, int], Execution] = {}
        self._waiting: deque[Execution] = deque()
        self._patience: asyncio.TimerHandle | None = None
        self._longest = 1.0
        self._ahead_from = 0.0
        self._freed = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def busy(self) -> int:
        """How many tasks it has: those in the slots, and those that wait for one."""
        return len(self._executions)

    @property
    def free(self) -> int:
        """How many more tasks it takes at once."""
        if self._ahead and self._longest < QUICK and time.monotonic() >= self._ahead_from:
            return (1 + AHEAD) * self._slots - len(self._executions)
        return min(self._slots - len(self._executions), BATCH)

    def held(self) -> Iterable[tuple[int, int]]:
        """(id, attempt) of the tasks that it has."""
        return self._executions.keys()

    async def wait_for_slot(self) -> None:
        """Waits until it takes more tasks."""
        while self.free <= 0:
            self._freed.clear()
            await self._freed.wait()

    async def wait_until_idle(self) -> None:
        """Waits until it has no task."""
        await self._empty.wait()

    def start(self, task: Task, worker_id: int, previous: PreviousContent | None = None) -> None:
        """Runs the handler on a task that was just claimed, as soon as a slot is free."""
        held = Held(worker_id, task.id, task.attempt, task.task_id)
        progress = partial(self._progressed, held)
        context: Context | ThreadContext
        if self._threads is None:
            context = Context(task, self._connections.open_async, previous, progress)
        else:
            context = ThreadContext(task, self._connections.open, previous, progress)
        execution = Execution(held, task, context)
        self._executions[task.id, task.attempt] = execution
        self._empty.clear()
        if task.seconds_left is not None:
            execution.timer = self._loop.call_later(
                task.seconds_left + DEADLINE_MARGIN, self._stop, execution, Stop.DEADLINE
            )
        if len(self._executions) - len(self._waiting) <= self._slots:
            self._run(execution)
        else:
            self._waiting.append(execution)
            if task.is_last_attempt:
                # Were the worker killed now, the rescue would end it as failed although it has never begun.
                self._ahead_from = time.monotonic() + LAST_ATTEMPTS_SEEN
                self._stop(execution, Stop.NOT_BEGUN)
            self._have_patience()

    def stop_cancelled(self, attempts: Iterable[tuple[int, int]]) -> None:
        """Stops these (id, attempt), as far as they are here: they were cancelled or taken away."""
        for attempt in attempts:
            execution = self._executions.get(attempt)
            if execution is not None:
                self._stop(execution, Stop.CANCELLED)

    def give_back_waiting(self) -> None:
        """Gives back the tasks that wait for a slot."""
        while self._waiting:
            self._stop(self._waiting[-1], Stop.NOT_BEGUN)

    def stop_all(self, reason: Stop) -> None:
        """Stops everything that it has."""
        for execution in list(self._executions.values()):
            self._stop(execution, reason)

    def running(self) -> list[Execution]:
        """What is in the slots."""
        return [execution for execution in self._executions.values() if execution.unit is not None]

    def close(self) -> None:
        """Lets idle threads end; one whose handler does not return is left behind."""
        if self._threads is not None:
            self._threads.close()

    def _run(self, execution: Execution) -> None:
        execution.began = time.monotonic()
        run = self._run_async if self._threads is None else self._run_in_thread
        execution.unit = self._loop.create_task(run(execution))

    def _have_patience(self) -> None:
        """Looks after those that wait, in a while, unless someone does."""
        if self._patience is None and self._waiting:
            self._patience = self._loop.call_later(PATIENCE, self._lose_patience, self._waiting[0])

    def _lose_patience(self, oldest: Execution) -> None:
        """This one was the first of those that wait, a while ago."""
        self._patience = None
        if oldest in self._waiting:
            self._longest = PATIENCE
            self.give_back_waiting()
        self._have_patience()

    def _stop(self, execution: Execution, reason: Stop) -> None:
        if execution.unit is None:
            execution.stopped = reason
            self._waiting.remove(execution)
            self._finished(execution, _outcome_of_stop(execution))
            return
        if execution.stopped is None:
            execution.stopped = reason
            log.info(
                "stopping task=%s attempt=%d reason=%s",
                execution.held.task_id,
                execution.held.attempt,
                reason.value,
            )
        execution.context.stop()
        if self._threads is None:
            if execution.phase is Phase.RUNNING:
                execution.unit.cancel()
        else:
            # A thread cannot be interrupted: it keeps its slot until it ends, and its outcome is fenced off.
            self._report(execution, _outcome_of_stop(execution))

    async def _run_async(self, execution: Execution) -> None:
        outcome: Outcome | None = None
        try:
            outcome = await self._outcome_async(execution)
            context = execution.context
            if isinstance(context, Context) and context.transaction is not None:
                settled = partial(self._settle, execution)
                outcome = await transaction.finish(context.transaction, outcome, self._connections, settled)
        except BaseException as error:
            outcome = failure_of(execution.held, error)
        finally:
            self._finished(execution, outcome)

    async def _outcome_async(self, execution: Execution) -> Outcome | None:
        if execution.stopped is not None:
            return _outcome_of_stop(execution)
        execution.phase = Phase.RUNNING
        try:
            return outcome_of(execution.held, await self._handler.call(execution.task, execution.context))
        except BaseException as error:
            return self._failed(execution, error)
        finally:
            forks.end_if_forked(self._pid)
            execution.phase = Phase.SETTLING

    async def _run_in_thread(self, execution: Execution) -> None:
        assert self._threads is not None
        outcome: Outcome | None = None
        try:
            outcome = await self._threads.run(lambda: self._in_thread(execution))
        except BaseException as error:
            outcome = failure_of(execution.held, error)
        finally:
            self._finished(execution, outcome)

    def _in_thread(self, execution: Execution) -> Outcome | None:
        context = execution.context
        assert isinstance(context, ThreadContext)
        outcome: Outcome | None
        try:
            outcome = outcome_of(execution.held, self._handler.call(execution.task, context))
        except BaseException as error:
            outcome = self._failed(execution, error)
        finally:
            forks.end_if_forked(self._pid)
        if context.transaction is not None:
            outcome = transaction.finish_in_thread(
                context.transaction, outcome, self._connections, partial(self._settle_in_thread, execution)
            )
        return outcome

    def _failed(self, execution: Execution, error: BaseException) -> Outcome | None:
        if execution.stopped is not None:
            return _outcome_of_stop(execution)
        if not isinstance(error, HandlerError):
            held = execution.held
            log.warning("handler raised task=%s attempt=%d\n%s", held.task_id, held.attempt, traceback_of(error))
        return failure_of(execution.held, error)

    def _finished(self, execution: Execution, outcome: Outcome | None) -> None:
        if execution.timer is not None:
            execution.timer.cancel()
        del self._executions[execution.held.id, execution.held.attempt]
        if execution.unit is not None:
            self._longest = max(time.monotonic() - execution.began, FORGETTING * self._longest)
            if self._waiting:
                self._run(self._waiting.popleft())
        self._report(execution, outcome)
        self._freed.set()
        if not self._executions:
            self._empty.set()
            self._idle()

    def _report(self, execution: Execution, outcome: Outcome | None) -> None:
        if outcome is not None and not execution.reported:
            execution.reported = True
            self._ended(outcome, execution.task, execution.began)

    def _settle(self, execution: Execution, outcome: Outcome, status: str | None) -> None:
        self._settled(outcome, status, execution.began)

    def _settle_in_thread(self, execution: Execution, outcome: Outcome, status: str | None) -> None:
        self._loop.call_soon_threadsafe(self._settle, execution, outcome, status)


def _outcome_of_stop(execution: Execution) -> Outcome | None:
    """What to report of a handler that was stopped; the database makes timeout or cancelled of it itself."""
    held = execution.held
    if execution.stopped is Stop.DEADLINE:
        return Overdue(held)
    if execution.stopped is Stop.CANCELLED:
        return Failed(held, "Task cancelled", CANCELLED, permanent=True)
    if execution.stopped is Stop.RELEASED:
        return Released(held)
    if execution.stopped is Stop.NOT_BEGUN:
        return Returned(held)
    return None
