"""Measures a round trip and a commit.

Every call of a worker has one of each, so they explain the other figures.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from contentq.bench.latency import PAUSE
from contentq.bench.scratch import Connection

SAMPLES = 200

RESTED_SAMPLES = 50
"""Number of calls with a pause before each."""

WARM_UP = 3
"""Warm-up calls, not measured."""

_NOTHING = "SELECT 1"
_UPDATE = "UPDATE contentq.settings SET retention = retention"
"""Updates one small row: the smallest commit that must reach the disk."""


@dataclass(frozen=True)
class Timings:
    """Median milliseconds."""

    round_trip: float
    """Time until a trivial query is answered."""

    commit: float
    """Time of a small update with its commit and round trip; without pauses, as in a drain."""

    rested_commit: float
    """The same after a pause as long as the one between timed tasks.

    The processors and the disk are idle then, and slower to respond.
    """


def time_commits(connection: Connection, seconds: float) -> Timings:
    """Measures for about this number of seconds at most."""
    each = seconds / 3
    return Timings(
        _median(connection, _NOTHING, each),
        _median(connection, _UPDATE, each),
        _median(connection, _UPDATE, each, samples=RESTED_SAMPLES, pause=PAUSE),
    )


def _median(
    connection: Connection, statement: str, seconds: float, *, samples: int = SAMPLES, pause: float = 0.0
) -> float:
    give_up = time.monotonic() + seconds
    taken: list[float] = []
    for number in range(WARM_UP + samples):
        if pause:
            time.sleep(pause)
        begun = time.perf_counter()
        connection.execute(statement.encode())
        if number >= WARM_UP or not taken:
            taken.append(1000 * (time.perf_counter() - begun))
        if time.monotonic() >= give_up:
            break
    return statistics.median(taken)
