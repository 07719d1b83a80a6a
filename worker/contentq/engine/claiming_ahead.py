"""Claims more tasks than there are free slots while handlers take milliseconds (docs/explanation/decisions/0009).

With such short handlers, claims and reports take most of the time; this way they overlap. A task claimed ahead
waits here for a slot, for a quarter of a second at most.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from contentq.engine.execution import Execution
from contentq.engine.timings import Timings

AHEAD = 3
"""Tasks claimed ahead for each slot."""

FORGETTING = 0.98
"""Factor by which the remembered longest duration shrinks with each ended handler.

One second is remembered for 230 tasks.
"""


class ClaimingAhead:
    """The tasks that wait for a slot, and the number to claim in addition.

    release: called with each task to release. is_allowed: if false, nothing is claimed ahead.
    """

    def __init__(self, timings: Timings, release: Callable[[Execution], None], *, is_allowed: bool) -> None:
        self._timings = timings
        self._release = release
        self._is_allowed = is_allowed
        self._waiting: deque[Execution] = deque()
        self._longest = 1.0
        self._paused_until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def per_slot(self) -> int:
        """The number of tasks that may wait for each slot now."""
        is_quick = self._longest < self._timings.quick_handler
        return AHEAD if self._is_allowed and is_quick and time.monotonic() >= self._paused_until else 0

    def add(self, execution: Execution) -> None:
        """Adds a task that waits for a slot."""
        self._waiting.append(execution)
        if execution.task.is_last_attempt:
            # If the worker were killed now, the rescue would fail a task that never started.
            self._paused_until = time.monotonic() + self._timings.ahead_pause
            self._release(execution)
        self._start_timer()

    def pop(self) -> Execution | None:
        """The task that has waited longest; None when none waits."""
        return self._waiting.popleft() if self._waiting else None

    def remove(self, execution: Execution) -> None:
        """A waiting task was stopped."""
        self._waiting.remove(execution)

    def release_all(self) -> None:
        """Releases every task that waits."""
        while self._waiting:
            self._release(self._waiting[-1])

    def record_duration(self, seconds: float) -> None:
        """A handler has ended after this time."""
        self._longest = max(seconds, FORGETTING * self._longest)

    def _start_timer(self) -> None:
        if self._timer is None and self._waiting:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._timings.ahead_patience, self._end_patience, self._waiting[0])

    def _end_patience(self, oldest: Execution) -> None:
        """Releases all waiting tasks if the task that was first then still waits."""
        self._timer = None
        if oldest in self._waiting:
            self._longest = self._timings.quick_handler + self._timings.ahead_patience
            self.release_all()
        self._start_timer()
