"""How many notifications are too many. Anyone who can connect may notify any channel, as fast as he can."""

from __future__ import annotations

import logging
import time

from contentq.engine.timings import Timings

log = logging.getLogger("contentq.worker")

MOST = 1000
"""Notifications a second that are listened to: fifty times what the queue itself sends, whatever is inserted."""


class FloodGuard:
    """Counts the notifications of a connection, and says whether to listen on."""

    def __init__(self, timings: Timings) -> None:
        self._rest = timings.flood_rest
        self._poll = timings.poll
        self._second = 0
        self._number = 0
        self._deaf_until = float("-inf")

    @property
    def is_to_listen(self) -> bool:
        """Whether the last flood is long enough ago."""
        return time.monotonic() >= self._deaf_until

    def count(self, number: int) -> None:
        """So many notifications have come."""
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
