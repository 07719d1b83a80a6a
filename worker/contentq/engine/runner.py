"""Runs the handler on claimed tasks, and stops it when necessary."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable
from functools import partial

from contentq.content import PreviousContent
from contentq.engine import forks, transaction
from contentq.engine.claiming_ahead import ClaimingAhead
from contentq.engine.connections import HandlerConnections
from contentq.engine.context import Context, ThreadContext
from contentq.engine.execution import Execution, Phase, Stop
from contentq.engine.gates import AttemptGates, GateKeeper
from contentq.engine.reporter import Reporter
from contentq.engine.results import failure_of, judge, judge_checks, outcome_of
from contentq.engine.threads import HandlerThreads
from contentq.engine.timings import Timings
from contentq.engine.tracing import attempt_span, record_exception
from contentq.errors import CheckFailed, HandlerError
from contentq.handlers.loading import Handlers
from contentq.queue.outcomes import Held, Outcome
from contentq.task import Task

log = logging.getLogger("contentq.worker")

BATCH = 100
"""Maximum number of tasks accepted at once, so that the first ones start while others are being claimed."""

MOST_TEXT = 64_000_000
"""Limit of text in memory, in characters, with earlier content. No task is accepted above it."""


class Runner:
    """The slots: at most `slots` handlers at once.

    idle: called when no task is left. claim_ahead: whether more may be claimed than there are free slots.
    """

    def __init__(
        self,
        handlers: Handlers,
        slots: int,
        connections: HandlerConnections,
        reports: Reporter,
        keeper: GateKeeper,
        timings: Timings,
        idle: Callable[[], None],
        *,
        claim_ahead: bool,
    ) -> None:
        self._handlers = handlers
        self._slots = slots
        self._connections = connections
        self._reports = reports
        self._keeper = keeper
        self._deadline_margin = timings.deadline_margin
        self._idle = idle
        self._ahead = ClaimingAhead(timings, partial(self._stop, reason=Stop.NOT_BEGUN), is_allowed=claim_ahead)
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        forks.end_children_of(self._loop)
        self._threads = HandlerThreads(slots)
        self._executions: dict[tuple[int, int], Execution] = {}
        self._text = 0
        self._freed = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def busy(self) -> int:
        """The number of tasks in the slots and waiting for one."""
        return len(self._executions)

    @property
    def free(self) -> int:
        """The number of further tasks that it accepts now."""
        if self._text > MOST_TEXT:
            return 0
        if per_slot := self._ahead.per_slot():
            return (1 + per_slot) * self._slots - len(self._executions)
        return min(self._slots - len(self._executions), BATCH)

    async def wait_for_slot(self) -> None:
        """Waits until it accepts more tasks."""
        while self.free <= 0:
            self._freed.clear()
            await self._freed.wait()

    async def wait_until_idle(self) -> None:
        """Waits until no task is left."""
        await self._empty.wait()

    def start(self, task: Task, worker_id: int, previous: PreviousContent | None = None) -> None:
        """Runs the handler on a task that was just claimed, as soon as a slot is free."""
        held = Held(worker_id, task.id, task.attempt, task.task_id)
        progress = partial(self._reports.notes.note, held)
        gates = AttemptGates(self._keeper, held, task.attempt - task.retry_count - 1)
        context: Context | ThreadContext
        handler = self._handlers.of(task.category)
        if handler.is_async:
            context = Context(task, self._connections.open_async, previous, progress, gates)
        else:
            context = ThreadContext(task, self._connections.open, previous, progress, gates)
        execution = Execution(held, handler, task, context, _text_of(task, previous))
        self._executions[task.id, task.attempt] = execution
        self._text += execution.size
        self._empty.clear()
        if task.seconds_left is not None:
            execution.timer = self._loop.call_later(
                task.seconds_left + self._deadline_margin, self._stop, execution, Stop.DEADLINE
            )
        if len(self._executions) - len(self._ahead) <= self._slots:
            self._run(execution)
        else:
            self._ahead.add(execution)

    def stop_cancelled(self, attempts: Iterable[tuple[int, int]]) -> None:
        """Stops those of these (id, attempt) that are here: they were cancelled or rescued."""
        for attempt in attempts:
            execution = self._executions.get(attempt)
            if execution is not None:
                self._stop(execution, Stop.CANCELLED)

    def release_waiting(self) -> None:
        """Releases the tasks that wait for a slot."""
        self._ahead.release_all()

    def stop_all(self, reason: Stop) -> None:
        """Stops all of its tasks."""
        for execution in list(self._executions.values()):
            self._stop(execution, reason)

    def running(self) -> list[Execution]:
        """The tasks in the slots."""
        return [execution for execution in self._executions.values() if execution.unit is not None]

    def name_current(self) -> str:
        """Names the task that runs on the event loop at this moment; called from another thread."""
        current = asyncio.current_task(self._loop)
        for execution in self.running():
            if execution.unit is current:
                return f"task {execution.held.task_id}"
        return "something that is no task's handler"

    def close(self) -> None:
        """Ends idle threads. A thread whose handler does not return is abandoned."""
        self._threads.close()

    def _run(self, execution: Execution) -> None:
        execution.began = time.monotonic()
        run = self._run_async if execution.handler.is_async else self._run_in_thread
        execution.unit = self._loop.create_task(run(execution))

    def _stop(self, execution: Execution, reason: Stop) -> None:
        if execution.unit is None:
            execution.stopped = reason
            self._ahead.remove(execution)
            self._finish(execution, execution.outcome_of_stop())
            return
        if execution.stopped is None:
            execution.stopped = reason
            held = execution.held
            log.info("stopping task=%s attempt=%d reason=%s", held.task_id, held.attempt, reason.value)
        execution.context.stop()
        if execution.handler.is_async:
            if execution.phase is Phase.RUNNING:
                execution.unit.cancel()
        else:
            # A thread cannot be interrupted: it occupies its slot until it ends, and its outcome does not count.
            self._report(execution, execution.outcome_of_stop())

    async def _run_async(self, execution: Execution) -> None:
        outcome: Outcome | None = None
        try:
            outcome = await self._call_async(execution)
            context = execution.context
            if isinstance(context, Context) and context.transaction is not None:
                committed = self._reports.answered
                outcome = await transaction.finish(context.transaction, outcome, self._connections, committed)
        except BaseException as error:
            outcome = failure_of(execution.held, error)
        finally:
            self._finish(execution, outcome)

    async def _call_async(self, execution: Execution) -> Outcome | None:
        if execution.stopped is not None:
            return execution.outcome_of_stop()
        with attempt_span(execution.held, execution.task) as ended:
            outcome = await self._call_handler(execution)
            ended(outcome)
        return outcome

    async def _call_handler(self, execution: Execution) -> Outcome | None:
        execution.phase = Phase.RUNNING
        try:
            try:
                value = await execution.handler.call(execution.task, execution.context)
            except CheckFailed as error:
                return await judge_checks(execution.held, error)
            return await judge(execution.held, value)
        except BaseException as error:
            return self._outcome_of_error(execution, error)
        finally:
            forks.end_if_forked(self._pid)
            execution.phase = Phase.SETTLING

    async def _run_in_thread(self, execution: Execution) -> None:
        outcome: Outcome | None = None
        try:
            outcome = await self._threads.run(partial(self._call_in_thread, execution))
        except BaseException as error:
            outcome = failure_of(execution.held, error)
        finally:
            self._finish(execution, outcome)

    def _call_in_thread(self, execution: Execution) -> Outcome | None:
        context = execution.context
        assert isinstance(context, ThreadContext)
        outcome: Outcome | None
        with attempt_span(execution.held, execution.task) as ended:
            try:
                outcome = outcome_of(execution.held, execution.handler.call(execution.task, context))
            except BaseException as error:
                outcome = self._outcome_of_error(execution, error)
            finally:
                forks.end_if_forked(self._pid)
            ended(outcome)
        if context.transaction is not None:

            def committed(outcome: Outcome, status: str | None) -> None:
                self._loop.call_soon_threadsafe(self._reports.answered, outcome, status)

            outcome = transaction.finish_in_thread(context.transaction, outcome, self._connections, committed)
        return outcome

    def _outcome_of_error(self, execution: Execution, error: BaseException) -> Outcome | None:
        if execution.stopped is not None:
            return execution.outcome_of_stop()
        if not isinstance(error, HandlerError):
            held = execution.held
            log.warning("handler raised task=%s attempt=%d", held.task_id, held.attempt, exc_info=error)
            record_exception(error)
        return failure_of(execution.held, error)

    def _finish(self, execution: Execution, outcome: Outcome | None) -> None:
        if execution.timer is not None:
            execution.timer.cancel()
        del self._executions[execution.held.id, execution.held.attempt]
        self._text -= execution.size
        if execution.unit is not None:
            self._ahead.record_duration(time.monotonic() - execution.began)
            if (following := self._ahead.pop()) is not None:
                self._run(following)
        self._report(execution, outcome)
        self._freed.set()
        if not self._executions:
            self._empty.set()
            self._idle()

    def _report(self, execution: Execution, outcome: Outcome | None) -> None:
        if outcome is not None and not execution.reported:
            execution.reported = True
            self._reports.add_ended(outcome, execution.context.gate)


def _text_of(task: Task, previous: PreviousContent | None) -> int:
    """Size of the texts of a task and of earlier content, in characters."""
    texts = (task.topic, task.keywords, task.category, task.requirements, task.tone, task.error_message)
    own = sum(len(text) for text in texts if text)
    return own if previous is None else own + len(previous.body)
