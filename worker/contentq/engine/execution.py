"""One attempt at a task, from its claim to the end of the handler."""

from __future__ import annotations

import asyncio
import enum
from dataclasses import dataclass

from contentq.engine.context import Context, ThreadContext
from contentq.handlers.loading import Handler
from contentq.queue.outcomes import CANCELLED, Failed, Held, Outcome, Overdue, Released, Returned
from contentq.task import Task


class Stop(enum.Enum):
    """Why an attempt is stopped before its handler has ended."""

    DEADLINE = "deadline"
    CANCELLED = "cancelled"
    RELEASED = "released"
    NOT_BEGUN = "not begun"
    LOST = "lost"


class Phase(enum.Enum):
    """The phase of an attempt.

    Only a running handler may be cancelled: before, there is nothing to cancel; afterwards, its own transaction is
    being committed.
    """

    NEW = 0
    RUNNING = 1
    SETTLING = 2


@dataclass(slots=True, eq=False)
class Execution:
    """One attempt.

    size: characters of text in memory. unit: the asyncio task or future that runs it, None while it waits for a
    slot. began: when its handler started (time.monotonic()).
    """

    held: Held
    handler: Handler
    task: Task
    context: Context | ThreadContext
    size: int
    unit: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    phase: Phase = Phase.NEW
    stopped: Stop | None = None
    reported: bool = False
    began: float = 0.0

    def outcome_of_stop(self) -> Outcome | None:
        """The outcome of a stopped attempt. The database decides between timeout and cancelled."""
        if self.stopped is Stop.DEADLINE:
            return Overdue(self.held)
        if self.stopped is Stop.CANCELLED:
            return Failed(self.held, "Task cancelled", CANCELLED, permanent=True)
        if self.stopped is Stop.RELEASED:
            return Released(self.held)
        if self.stopped is Stop.NOT_BEGUN:
            return Returned(self.held)
        return None
