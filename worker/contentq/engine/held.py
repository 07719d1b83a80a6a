"""The attempts that a worker holds, as the heartbeat reports them to the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from contentq.queue.outcomes import Held
from contentq.task import Task


class HeldTasks:
    """Every attempt from the answer to its claim until the answer to its report.

    The event loop writes it; the heartbeat's thread reads it, also while a handler blocks the event loop.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._attempts: set[tuple[int, int]] = set()
        self._claim_sent_at: float | None = None

    def __len__(self) -> int:
        return len(self._attempts)

    @contextmanager
    def claiming(self) -> Iterator[None]:
        """Surrounds a claim, from before it is sent until its tasks were added."""
        with self._lock:
            self._claim_sent_at = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._claim_sent_at = None

    def add(self, task: Task) -> None:
        """Adds a task that a claim returned."""
        with self._lock:
            self._attempts.add((task.id, task.attempt))

    def discard(self, held: Held) -> None:
        """The database has answered the report of this attempt."""
        with self._lock:
            self._attempts.discard((held.id, held.attempt))

    def clear(self) -> None:
        """Removes everything: the registration is lost."""
        with self._lock:
            self._attempts.clear()

    def list(self, claimed_before: float) -> tuple[list[tuple[int, int]], bool]:
        """The (id, attempt) of what is held, and whether this includes all claims sent before claimed_before.

        claimed_before: a time of time.monotonic(). A claim in progress may have taken effect; its tasks are not
        known yet.
        """
        with self._lock:
            is_complete = self._claim_sent_at is None or self._claim_sent_at >= claimed_before
            return list(self._attempts), is_complete
