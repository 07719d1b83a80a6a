"""The cost of idle workers, and of one task when fifty workers wait for it."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator

from tests.bench.bed import Bed
from tests.bench.figures import Figure, Measurement, Reading, at_most
from tests.bench.latency import begin, milliseconds, started_ns
from tests.bench.processes import cpu_seconds

SECONDS = 30
WORKERS = 50
INSERTS = 20

SETTLE = 6.0
"""Seconds until a newly started worker is idle."""

LOGGED = "-c log_statement=all -c log_lock_waits=on -c deadlock_timeout=1ms"
"""For the workers' sessions: logs each statement, and each wait for a lock over 1 ms."""

ENTRY = re.compile(r"^(?=\d{4}-\d\d-\d\d )", re.MULTILINE)
"""The start of a log entry; a statement may have several lines."""


def _idle(on: Bed) -> Iterator[Reading]:
    on.fill(0)
    with on.worker("tests.bench.handlers:nothing", connecting=LOGGED, registered=True) as worker:
        time.sleep(SETTLE)
        log, cpu = len(on.cluster.log()), cpu_seconds(worker.pid)
        time.sleep(SECONDS)
        spent = cpu_seconds(worker.pid) - cpu
        statements = sum(_entries(on.cluster.log()[log:], f"LOG:  {how}") for how in ("statement: ", "execute "))
    yield Reading(STATEMENTS, statements / SECONDS)
    yield Reading(CPU, 1000 * spent / SECONDS)


def _crowd(on: Bed) -> Iterator[Reading]:
    on.fill(0)
    # No worker may claim without having been woken.
    options = ("--poll", "600")
    with on.workers(WORKERS, "tests.bench.handlers:started", *options, connecting=LOGGED, registered=True):
        time.sleep(SETTLE)
        before = len(on.cluster.log())
        (begun_ns,) = begin([on], INSERTS, (0.4, 0.6))
        started = started_ns(on, INSERTS)
        log = on.cluster.log()[before:]
    yield Reading(CLAIMS, _entries(log, "LOG:  execute ", " contentq.claim(") / INSERTS)
    yield Reading(LOCK_WAITS, _entries(log, "LOG:  process ", " still waiting for ") / INSERTS)
    yield Reading(AMONG_FIFTY, statistics.median(milliseconds(begun_ns, started)))


def _entries(log: str, *texts: str) -> int:
    """Number of log entries with all these texts."""
    return sum(all(text in entry for text in texts) for entry in ENTRY.split(log))


STATEMENTS = Figure("idle worker, statements", "/s", value=at_most(1))
CPU = Figure("idle worker, CPU", "ms/s")
CLAIMS = Figure("one insert wakes 50 workers, claims", "")
LOCK_WAITS = Figure("one insert wakes 50 workers, waits for a lock", "")
AMONG_FIFTY = Figure("one insert wakes 50 workers, until it is started", "ms")

MEASUREMENTS = [
    Measurement((STATEMENTS, CPU), _idle, once=True),
    Measurement((CLAIMS, LOCK_WAITS, AMONG_FIFTY), _crowd, once=True),
]
