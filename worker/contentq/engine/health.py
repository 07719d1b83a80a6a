"""How a worker is at this moment, for whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass

from contentq.engine.tally import Counts
from contentq.engine.timings import Timings

DEAD_AFTER = 60.0
"""Seconds of silence of the event loop after which it will hardly come back: a handler blocks it for good."""


@dataclass(frozen=True)
class Health:
    """How a worker is. Ages are in seconds."""

    counts: Counts
    running: int
    """Tasks that it has: those in the slots, and those that wait for one."""

    is_registered: bool
    heartbeat_age: float | None
    """Since the database answered the last heartbeat; None before the first."""

    loop_silence: float
    """Since the event loop last showed life."""

    is_beating: bool
    """Whether the thread of the heartbeat runs."""

    is_stopping: bool

    def dead_because(self) -> str | None:
        """Why it should be restarted; None when it should not. A database that is away is no reason."""
        if not self.is_beating:
            return "the thread of the heartbeat has ended"
        if self.loop_silence > DEAD_AFTER:
            return f"the event loop has been blocked for {self.loop_silence:.0f} s"
        return None

    def unready_because(self, timings: Timings) -> str | None:
        """Why it cannot take tasks now; None when it can."""
        if self.is_stopping:
            return "it was told to stop"
        if not self.is_registered:
            return "it is not registered with the database"
        if self.heartbeat_age is None or self.heartbeat_age > timings.heartbeat + timings.heartbeat_timeout:
            return "the database has not answered its heartbeats"
        return self.dead_because()
