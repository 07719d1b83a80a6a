"""One attempt at a task, from its claim to the end of its handler."""

from __future__ import annotations

import asyncio
import enum

from contentq.engine.context import Context, ThreadContext
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
    """How far an attempt is. Only a running handler may be cancelled: before, there is nothing to cancel, and
    afterwards its own transaction is being committed."""

    NEW = 0
    RUNNING = 1
    SETTLING = 2


class Execution:
    """One attempt. unit: the asyncio task that runs it; None while it waits for a slot. size: characters of text
    that it keeps in memory."""

    __slots__ = ("began", "context", "held", "phase", "reported", "size", "stopped", "task", "timer", "unit")

    def __init__(self, held: Held, task: Task, context: Context | ThreadContext, size: int) -> None:
        self.held = held
        self.task = task
        self.context = context
        self.size = size
        self.unit: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.phase = Phase.NEW
        self.stopped: Stop | None = None
        self.reported = False
        self.began = 0.0

    def outcome_of_stop(self) -> Outcome | None:
        """What to report of a stopped attempt; the database itself decides between timeout and cancelled."""
        if self.stopped is Stop.DEADLINE:
            return Overdue(self.held)
        if self.stopped is Stop.CANCELLED:
            return Failed(self.held, "Task cancelled", CANCELLED, permanent=True)
        if self.stopped is Stop.RELEASED:
            return Released(self.held)
        if self.stopped is Stop.NOT_BEGUN:
            return Returned(self.held)
        return None
