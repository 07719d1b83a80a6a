"""The context of an attempt, which a handler gets together with its task."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import TupleRow

from contentq.content import PreviousContent
from contentq.engine.gates import AttemptGates
from contentq.task import Task

if TYPE_CHECKING:
    from contentq.checks.check import Checked

Progress = Callable[[float | None, str | None], None]
"""Receives the progress of an attempt: the fraction done, from 0 to 1, and a note."""


class _Attempt:
    """The running attempt: its deadline, its progress, and whether it should stop."""

    __slots__ = (
        "_ends_at",
        "_gates",
        "_progress",
        "_stopped",
        "checked",
        "passed_over",
        "previous_content",
        "task",
    )

    def __init__(
        self,
        task: Task,
        previous_content: PreviousContent | None,
        progress: Progress,
        gates: AttemptGates | None,
    ) -> None:
        self.task = task
        self._gates = gates
        self.passed_over: dict[str, str] = {}
        """Why enter_gate() skipped gates, by their keys."""
        self.previous_content = previous_content
        self.checked: list[Checked] = []
        """The results of the checks of its draft, which `contentq try` shows."""
        self._progress = progress
        self._stopped = False
        self._ends_at = None if task.seconds_left is None else time.monotonic() + task.seconds_left

    @property
    def deadline(self) -> datetime | None:
        """The task's deadline by the database's clock; None without one."""
        return self.task.timeout_at

    def seconds_left(self) -> float | None:
        """Seconds until the deadline, negative after it; None without one.

        Counted from the claim, so that the clock of this machine does not matter.
        """
        return None if self._ends_at is None else self._ends_at - time.monotonic()

    @property
    def previous_error(self) -> str | None:
        """Why the previous attempt failed; None if no attempt has failed."""
        return self.task.error_message

    @property
    def state(self) -> dict[str, Any]:
        """The state that an earlier attempt stored with Snooze; empty if there is none."""
        return {} if self.task.handler_state is None else dict(json.loads(self.task.handler_state))

    def progress(self, fraction: float | None = None, note: str | None = None) -> None:
        """Reports the progress of the work: the fraction done, from 0 to 1, and a short note.

        Call it from any thread, as often as you like. The latest values are written once a second, to the columns
        progress and progress_note of the task. None leaves a value unchanged.
        """
        self._progress(fraction, note)

    @property
    def gate(self) -> str | None:
        """The gate that the attempt entered and has not left; None if there is none."""
        return None if self._gates is None else self._gates.entered

    @property
    def has_one_gate(self) -> bool:
        """Whether the worker has a single gate, which each task passed with its claim."""
        return self._gates is not None and self._gates.has_one

    def should_stop(self) -> bool:
        """Whether the outcome will not count: past the deadline, cancelled, rescued, or the worker is stopping.

        For plain functions, which cannot be interrupted: check it now and then, and return early.
        """
        return self._stopped

    def stop(self) -> None:
        """Makes should_stop() true. For the worker."""
        self._stopped = True


class Context(_Attempt):
    """The context of an `async def` handler."""

    __slots__ = ("_open", "transaction")

    def __init__(
        self,
        task: Task,
        open_connection: Callable[[], Awaitable[psycopg.AsyncConnection[TupleRow]]],
        previous_content: PreviousContent | None,
        progress: Progress,
        gates: AttemptGates | None = None,
    ) -> None:
        super().__init__(task, previous_content, progress, gates)
        self._open = open_connection
        self.transaction: psycopg.AsyncConnection[TupleRow] | None = None

    async def enter_gate(self, keys: Sequence[str]) -> str:
        """Enters the first of these gates, in this order, that has room, and returns its key.

        For handlers that call several providers: call it before each request, with the gates of the providers that
        are acceptable. The worker must have all of these gates (docs/how-to/pace-a-provider.md). It waits in the
        slot if a gate has room in a moment. If no gate has room, it raises NoGateHasRoom, which returns the task
        to pending. The outcome of the attempt is reported to the gate entered. In a worker with one gate or none,
        it returns the first key.
        """
        if self._gates is None:
            return keys[0]
        key, why = await self._gates.enter(keys)
        self.passed_over.update(why)
        return key

    async def leave_gate(self, error: BaseException | None = None) -> None:
        """Reports the result of the call to the gate entered, while the attempt continues.

        error: the provider's answer as an exception, such as RateLimited or ProviderUnavailable; None for a usable
        answer. The usage of the error is counted now and removed from it.
        """
        if self._gates is not None:
            await self._gates.leave(error)

    async def connection(self) -> psycopg.AsyncConnection[TupleRow]:
        """A connection in a transaction that commits together with the completion of the task.

        Do not commit it. When the handler returns, the worker completes the task in the same transaction and
        commits both, or neither. A worker has few of these connections: request one at the end of the work.
        """
        if self.transaction is None:
            self.transaction = await self._open()
        return self.transaction


class ThreadContext(_Attempt):
    """The context of a plain function, which runs in a thread."""

    __slots__ = ("_open", "transaction")

    def __init__(
        self,
        task: Task,
        open_connection: Callable[[], psycopg.Connection[TupleRow]],
        previous_content: PreviousContent | None,
        progress: Progress,
        gates: AttemptGates | None = None,
    ) -> None:
        super().__init__(task, previous_content, progress, gates)
        self._open = open_connection
        self.transaction: psycopg.Connection[TupleRow] | None = None

    def enter_gate(self, keys: Sequence[str]) -> str:
        """Enters the first of these gates that has room; returns its key. As Context.enter_gate()."""
        if self._gates is None:
            return keys[0]
        key, why = self._gates.enter_in_thread(keys)
        self.passed_over.update(why)
        return key

    def leave_gate(self, error: BaseException | None = None) -> None:
        """Reports the result of the call to the gate, while the attempt continues. As Context.leave_gate()."""
        if self._gates is not None:
            self._gates.leave_in_thread(error)

    def connection(self) -> psycopg.Connection[TupleRow]:
        """A connection in a transaction that commits together with the completion of the task.

        Do not commit it. When the handler returns, the worker completes the task in the same transaction and
        commits both, or neither. A worker has few of these connections: request one at the end of the work.
        """
        if self.transaction is None:
            self.transaction = self._open()
        return self.transaction
