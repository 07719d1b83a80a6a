"""Time from the start of an INSERT to the start of its handler, on an idle worker.

The worker and the baseline process have separate databases and get their tasks in turn, after a pause. Results are
read after the last task, so that nothing else runs meanwhile.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from tests.bench.bed import Bed, wait_for
from tests.bench.figures import Figure, Measurement, Reading, at_most

SAMPLES = 300

PAUSE = (0.03, 0.05)
"""Minimum and maximum seconds between two inserts: the receiver has long been idle again."""

SETTLE = 1.0
"""Seconds until a newly started process is idle."""

INSERT = "INSERT INTO content_generation_tasks (account_id, topic) VALUES (1, 'latency') RETURNING id"


def _latency(on: Bed) -> Iterator[Reading]:
    other = on.beside("bare", lambda _made: None)
    on.fill(0)
    other.fill(0)
    with on.worker("tests.bench.handlers:started", registered=True), _bare(other) as claimed_ns:
        time.sleep(SETTLE)
        begun_ns, begun_bare_ns = begin([on, other], SAMPLES, PAUSE)
        taken = milliseconds(begun_ns, started_ns(on, SAMPLES))
        least = milliseconds(begun_bare_ns, claimed_ns())
    yield Reading(MEDIAN, statistics.median(taken), statistics.median(least))
    yield Reading(P99, p99(taken), p99(least))


@contextmanager
def _bare(on: Bed) -> Iterator[Callable[[], dict[int, int]]]:
    """The minimum of any such queue; after the block, the times at which it had claimed each task."""
    command = [sys.executable, "-m", "tests.bench.bare", on.dsn, str(SAMPLES)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        output = process.stdout
        assert output is not None
        output.readline()
        try:
            yield lambda: {int(id_): ns for id_, ns in json.load(output).items()}
        finally:
            process.terminate()


def begin(on: Sequence[Bed], samples: int, pause: tuple[float, float]) -> list[dict[int, int]]:
    """Inserts this many tasks into each database in turn, with a pause after each; returns the start of each
    INSERT, by id.
    """
    begun_ns: list[dict[int, int]] = [{} for _ in on]
    for _ in range(samples):
        for bed, begun in zip(on, begun_ns, strict=True):
            before = time.monotonic_ns()
            begun[int(bed.value(INSERT))] = before
            time.sleep(random.uniform(*pause))
    return begun_ns


def started_ns(on: Bed, samples: int) -> dict[int, int]:
    """Start times of this many tasks by id, as logged by the handler `started`."""
    wait_for(
        lambda: on.value("SELECT count(*) FROM content_generation_tasks WHERE result IS NOT NULL") == samples, 10
    )
    query = "SELECT id, (result->>'started_ns')::bigint FROM content_generation_tasks"
    return dict(on.connection.execute(query).fetchall())


def milliseconds(begun_ns: Mapping[int, int], started_ns: Mapping[int, int]) -> list[float]:
    """Time from INSERT to start, per task."""
    return [(started_ns[id_] - begun) / 1e6 for id_, begun in begun_ns.items()]


def p99(values: Sequence[float]) -> float:
    """The 99th percentile."""
    return sorted(values)[int(len(values) * 0.99)]


BARE = "bare NOTIFY and claim"
MEDIAN = Figure("insert to start, median", "ms", BARE, ratio=at_most(1.5), value=at_most(3))
P99 = Figure("insert to start, p99", "ms", BARE, value=at_most(8))

MEASUREMENTS = [Measurement((MEDIAN, P99), _latency)]
