"""Logs why a worker cannot claim more tasks: when the reason changes, and when it ends."""

from __future__ import annotations

import logging
import re
import time

from contentq.engine.timings import Timings
from contentq.queue.contract import Claimed

log = logging.getLogger("contentq.worker")

LOGGED = 400
"""Maximum length in the log, in characters."""

BLOCKED = 1.0
"""Seconds without a task after which the reason was not a pace."""


class WaitingLog:
    """Records each claim. Logs the reason as contentq.waits_for() words it."""

    def __init__(self, timings: Timings) -> None:
        self._quiet = timings.log
        self._kind = ""
        self._what = ""
        self._brings_some = False
        self._since = self._seen_at = 0.0

    def note(self, claimed: Claimed) -> None:
        """Records the reason after a claim.

        A change of numbers only is not a change. A pace may limit one claim and not the next, so it ends when it
        was not seen for a while.
        """
        now = time.monotonic()
        if claimed.waits_for is None:
            is_blocked = not self._brings_some and now - self._since >= BLOCKED
            if self._kind and (is_blocked or now - self._seen_at >= self._quiet):
                log.info("waiting ended for=%s after=%.1fs", self._what, now - self._since)
                self._kind = ""
            return
        said = " ".join(claimed.waits_for.split())[:LOGGED]
        kind = re.sub(r"\d+", "", said.partition(";")[0])
        if kind != self._kind:
            log.info("waiting for=%s", said)
            self._kind, self._what = kind, said.partition(": ")[0]
            self._since, self._brings_some = now, False
        self._seen_at = now
        self._brings_some = self._brings_some or bool(claimed.tasks)
