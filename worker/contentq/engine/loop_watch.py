"""Notices that a handler blocks the event loop, and names its task."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from contentq.engine.timings import Timings

log = logging.getLogger("contentq.worker")


class LoopWatch:
    """Watches an event loop from another thread.

    name_current: names the task that runs on that event loop now.
    """

    def __init__(self, name_current: Callable[[], str], timings: Timings) -> None:
        self._name_current = name_current
        self._warn_after = timings.blocked_warning
        self._alive_at = time.monotonic()

    def show_life(self) -> None:
        """The sign of life: called on the event loop several times a second."""
        self._alive_at = time.monotonic()

    @property
    def silence(self) -> float:
        """Seconds since the last sign of life."""
        return time.monotonic() - self._alive_at

    async def run(self) -> None:
        """Logs a warning each time that the event loop is blocked, until cancelled."""
        is_warned = False
        while True:
            await asyncio.sleep(self._warn_after / 4)
            silent = self.silence
            if silent < self._warn_after:
                is_warned = False
            elif not is_warned:
                is_warned = True
                log.warning(
                    "event loop blocked for %.1f s by %s: no other task of this worker can make progress; make "
                    "the handler a plain function, which runs in a thread, or await the blocking call",
                    silent,
                    self._name_current(),
                )
