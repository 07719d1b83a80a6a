"""What a round trip and a commit take: every call of a worker is one of each, so that they explain the rest."""

from __future__ import annotations

import statistics
import time

from contentq.bench.scratch import SCHEMA, Connection

SAMPLES = 200

WARM_UP = 3
"""Calls before, which do not count."""

_NOTHING = "SELECT 1"
_UPDATE = f"UPDATE {SCHEMA}.settings SET retention = retention"
"""One small row: the least that must be on disk before it is answered."""


def round_trip(connection: Connection, seconds: float) -> float:
    """Median milliseconds until an answer that takes no work has come. seconds: how long it may be tried."""
    return _median(connection, _NOTHING, seconds)


def commit(connection: Connection, seconds: float) -> float:
    """Median milliseconds of a small update with its commit, the round trip included."""
    return _median(connection, _UPDATE, seconds)


def _median(connection: Connection, statement: str, seconds: float) -> float:
    give_up = time.monotonic() + seconds
    taken: list[float] = []
    for number in range(WARM_UP + SAMPLES):
        begun = time.perf_counter()
        connection.execute(statement.encode())
        if number >= WARM_UP or not taken:
            taken.append(1000 * (time.perf_counter() - begun))
        if time.monotonic() >= give_up:
            break
    return statistics.median(taken)
