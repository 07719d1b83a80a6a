"""What a round trip and a commit take: every call of a worker is one of each, so that they explain the rest."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from contentq.bench.latency import PAUSE
from contentq.bench.scratch import Connection

SAMPLES = 200

RESTED_SAMPLES = 50
"""With a pause before each."""

WARM_UP = 3
"""Warm-up calls, not measured."""

_NOTHING = "SELECT 1"
_UPDATE = "UPDATE contentq.settings SET retention = retention"
"""One small row: the least that must be on disk before it is answered."""


@dataclass(frozen=True)
class Timings:
    """Median milliseconds."""

    round_trip: float
    """Until an answer that takes no work has come."""

    commit: float
    """Of a small update with its commit, the round trip included; one right after the other, as in a drain."""

    rested_commit: float
    """The same after a pause as long as those between the tasks whose start is timed: processors and the disk have
    gone to rest meanwhile, and take longer."""


def time_commits(connection: Connection, seconds: float) -> Timings:
    """Times them, for so many seconds at most, or little more."""
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
