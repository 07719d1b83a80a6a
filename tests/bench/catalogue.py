"""All measurements, in the order of a round."""

from __future__ import annotations

from tests.bench import backlog, claims, drain, enqueue, fleet, idle, latency, slots, snapshot, steady, wal
from tests.bench.figures import Measurement

MEASUREMENTS: list[Measurement] = [
    *drain.MEASUREMENTS,
    *latency.MEASUREMENTS,
    *slots.MEASUREMENTS,
    *enqueue.MEASUREMENTS,
    *backlog.MEASUREMENTS,
    *claims.MEASUREMENTS,
    *snapshot.MEASUREMENTS,
    *idle.MEASUREMENTS,
    *fleet.MEASUREMENTS,
    *wal.MEASUREMENTS,
    *steady.MEASUREMENTS,
]
