"""Samples the workers' sessions while they work."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.bench.bed import Bed

EVERY = 0.05
"""Seconds between two samples."""

LOOK = """
    SELECT application_name, count(*), count(*) FILTER (WHERE wait_event_type = 'Lock')
    FROM pg_stat_activity
    WHERE application_name LIKE 'bench %'
    GROUP BY application_name"""


class Sessions:
    """The observations."""

    def __init__(self) -> None:
        self.connections: dict[str, int] = {}
        """Maximum number of sessions, by worker."""
        self._waiting: list[int] = []

    @property
    def waiting(self) -> float:
        """Average number of sessions waiting for a lock of another session."""
        return statistics.mean(self._waiting)

    @property
    def most_waiting(self) -> int:
        """The maximum of the same."""
        return max(self._waiting)

    def look(self, connection: psycopg.Connection[tuple[str, int, int]]) -> None:
        """Takes a sample."""
        seen = connection.execute(LOOK).fetchall()
        for worker, connections, _ in seen:
            self.connections[worker] = max(connections, self.connections.get(worker, 0))
        self._waiting.append(sum(waiting for _, _, waiting in seen))


@contextmanager
def watched(on: Bed) -> Iterator[Sessions]:
    """The sessions of this bed's workers, sampled until the end of the block."""
    sessions = Sessions()
    ended = threading.Event()
    with psycopg.connect(on.dsn, autocommit=True) as connection:

        def watch() -> None:
            while not ended.wait(EVERY):
                sessions.look(connection)

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            yield sessions
        finally:
            ended.set()
            watching.join()
