"""Detects floods of notifications: any login may notify any channel, at any rate."""

from __future__ import annotations

import logging
import time

from contentq.engine.timings import Timings

log = logging.getLogger("contentq.worker")

MOST = 1000
"""Notifications a second that are accepted: fifty times the maximum that the queue sends."""


class FloodGuard:
    """Counts the notifications of a connection, and decides whether to listen."""

    def __init__(self, timings: Timings) -> None:
        self._rest = timings.flood_rest
        self._poll = timings.poll
        self._second = 0
        self._number = 0
        self._deaf_until = float("-inf")

    @property
    def is_to_listen(self) -> bool:
        """Whether enough time has passed since the last flood."""
        return time.monotonic() >= self._deaf_until

    def count(self, number: int) -> None:
        """Counts notifications that arrived."""
        now = time.monotonic()
        if int(now) != self._second:
            self._second, self._number = int(now), 0
        self._number += number
        if self._number > MOST and self.is_to_listen:
            self._deaf_until = now + self._rest
            log.warning(
                "flood of notifications number=%d within a second: LISTEN is off for %.0fs, polling for "
                "tasks every %.0fs",
                self._number,
                self._rest,
                self._poll,
            )
