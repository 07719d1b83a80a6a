"""Logs outages of the database: one line when it is lost, and one when it can be reached again."""

from __future__ import annotations

import logging
import threading
import time

from contentq.engine.timings import Timings

log = logging.getLogger("contentq.worker")


class OutageLog:
    """Shared by the connections of a worker, in any thread: an outage ends all of them with different errors.

    The first error is logged. Later, each further reason why the database cannot be reached is logged once.
    """

    def __init__(self, timings: Timings) -> None:
        self._news_after = timings.outage_news
        self._lock = threading.Lock()
        self._without: set[str] = set()
        self._said: set[str] = set()
        self._since = 0.0

    def add(self, purpose: str, reason: str) -> None:
        """Records that the connection for this purpose is lost or cannot be opened."""
        with self._lock:
            now = time.monotonic()
            if not self._without:
                self._since = now
                self._said.clear()
            is_news = not self._without or (reason not in self._said and now - self._since >= self._news_after)
            self._without.add(purpose)
            if is_news:
                self._said.add(reason)
        log.log(
            logging.WARNING if is_news else logging.DEBUG,
            "database connection lost, reconnecting connection=%s error=%s",
            purpose,
            reason,
        )

    def remove(self, purpose: str) -> None:
        """Records that the connection for this purpose works again."""
        with self._lock:
            is_over = self._without == {purpose}
            self._without.discard(purpose)
            lasted = time.monotonic() - self._since
        if is_over:
            log.info("database reachable again after=%.1fs", lasted)
