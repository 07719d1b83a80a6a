"""What keeps a worker from having more tasks, in the log: once when that changes, and once when it is over."""

from __future__ import annotations

import logging
import re
import time

from contentq.engine.timings import Timings
from contentq.queue.contract import Claimed

log = logging.getLogger("contentq.worker")

LOGGED = 400
"""Characters of it that go to the log."""

BLOCKED = 1.0
"""Seconds without any task after which it is no pace that the worker has waited for."""


class WaitingLog:
    """Told of each claim; what is in the way is logged in the words of contentq.waits_for()."""

    def __init__(self, timings: Timings) -> None:
        self._quiet = timings.log
        self._kind = ""
        self._what = ""
        self._brings_some = False
        self._since = self._seen_at = 0.0

    def note(self, claimed: Claimed) -> None:
        """A claim has brought this. Numbers in the words may change with each claim, and are no change.

        A pace is in the way of one claim and not of the next: it is over when it was not seen for long.
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
