"""What a handler gets beside its task."""

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
"""Told how far an attempt is: the fraction done, from 0 to 1, and a note."""


class _Attempt:
    """The attempt under way: its deadline, and whether it should stop."""

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
        """Why enter_gate() has passed over gates, by their keys."""
        self.previous_content = previous_content
        self.checked: list[Checked] = []
        """What became of the checks of its draft; `contentq try` shows it."""
        self._progress = progress
        self._stopped = False
        self._ends_at = None if task.seconds_left is None else time.monotonic() + task.seconds_left

    @property
    def deadline(self) -> datetime | None:
        """When the task becomes timeout, by the database's clock; None when it has no deadline."""
        return self.task.timeout_at

    def seconds_left(self) -> float | None:
        """Seconds until the deadline, negative when it has passed; None when there is none.

        Counted from the claim on, so that the clock of this machine does not matter.
        """
        return None if self._ends_at is None else self._ends_at - time.monotonic()

    @property
    def previous_error(self) -> str | None:
        """Why the attempt before this one failed; None when it is the first, or when none has failed."""
        return self.task.error_message

    @property
    def state(self) -> dict[str, Any]:
        """What an attempt before this one has kept (Snooze); empty when there is nothing."""
        return {} if self.task.handler_state is None else dict(json.loads(self.task.handler_state))

    def progress(self, fraction: float | None = None, note: str | None = None) -> None:
        """Shows how far the work is: the fraction done, from 0 to 1, and a note of a line or two.

        It may be called as often as one likes, from any thread: what is said last is written once a second, to
        the columns progress and progress_note of the task. What is None stays as it was.
        """
        self._progress(fraction, note)

    @property
    def gate(self) -> str | None:
        """The gate that the attempt has entered and not left; None when it is behind none of its own."""
        return None if self._gates is None else self._gates.entered

    @property
    def has_one_gate(self) -> bool:
        """Whether the worker has one gate for all that its tasks call, which each has passed with its claim."""
        return self._gates is not None and self._gates.has_one

    def should_stop(self) -> bool:
        """Whether the outcome will not count: past the deadline, cancelled, taken over, or worker stopping.

        For plain functions, which cannot be interrupted: ask now and then, and return early.
        """
        return self._stopped

    def stop(self) -> None:
        """Makes should_stop() true; for the worker."""
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
        """Enters the first of these gates, in their order, that has room; returns its key.

        For handlers that call several providers: before each call, with the gates of those that would do. The
        worker must have been given all of them (docs/how-to/pace-a-provider.md). A turn that comes in a moment
        is waited for; when
        no gate has room, it raises NoGateHasRoom, which puts the task off. What becomes of the attempt is told to
        that gate. Where the worker has one gate, or none, the first key is the answer.
        """
        if self._gates is None:
            return keys[0]
        key, why = await self._gates.enter(keys)
        self.passed_over.update(why)
        return key

    async def leave_gate(self, error: BaseException | None = None) -> None:
        """Tells the gate that the attempt has entered what became of the call, while the attempt goes on.

        error: what the provider's answer has become, such as RateLimited or ProviderUnavailable; None for an
        answer that is of use. What it says that the call has cost (usage) is counted now, and taken out of it.
        """
        if self._gates is not None:
            await self._gates.leave(error)

    async def connection(self) -> psycopg.AsyncConnection[TupleRow]:
        """A connection inside a transaction that commits together with the completion of the task.

        Do not commit it: when the handler returns, the worker completes the task in the same transaction and
        commits both, or neither. A worker has few of these; ask for it at the end of the work.
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
        """Tells the gate what became of the call, while the attempt goes on. As Context.leave_gate()."""
        if self._gates is not None:
            self._gates.leave_in_thread(error)

    def connection(self) -> psycopg.Connection[TupleRow]:
        """A connection inside a transaction that commits together with the completion of the task.

        Do not commit it: when the handler returns, the worker completes the task in the same transaction and
        commits both, or neither. A worker has few of these; ask for it at the end of the work.
        """
        if self.transaction is None:
            self.transaction = self._open()
        return self.transaction
