"""The health of a worker, for probes and metrics."""

from __future__ import annotations

from dataclasses import dataclass

from contentq.engine.tally import Counts
from contentq.engine.timings import Timings

DEAD_AFTER = 60.0
"""Seconds without a sign of life after which the event loop counts as blocked for good."""


@dataclass(frozen=True)
class Health:
    """The health of a worker. Ages are in seconds."""

    counts: Counts
    running: int
    """Tasks in the slots, and tasks that wait for one."""

    is_registered: bool
    heartbeat_age: float | None
    """Age of the last answered heartbeat; None before the first."""

    loop_silence: float
    """Age of the event loop's last sign of life."""

    is_beating: bool
    """Whether the thread of the heartbeat runs."""

    is_stopping: bool

    def dead_because(self) -> str | None:
        """Why the worker should be restarted, or None. An unreachable database is not a reason."""
        if not self.is_beating:
            return "the heartbeat thread has ended"
        if self.loop_silence > DEAD_AFTER:
            return f"the event loop has been blocked for {self.loop_silence:.0f} s"
        return None

    def unready_because(self, timings: Timings) -> str | None:
        """Why the worker cannot claim tasks now, or None."""
        if self.is_stopping:
            return "it was told to stop"
        if not self.is_registered:
            return "it is not registered with the database"
        if self.heartbeat_age is None or self.heartbeat_age > timings.heartbeat + timings.heartbeat_timeout:
            return "the database has not answered its heartbeats"
        return self.dead_because()
