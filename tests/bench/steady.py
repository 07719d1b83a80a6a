"""Whether everything stays stable while producers, workers and clean-up run at half of their capacity.

A run has twelve intervals. The retention of old tasks and autovacuum_naptime are multiples of the run's interval,
so a short run has as many rounds of both as a long one.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.rows import TupleRow

from tests.bench.bed import Bed, wait_for
from tests.bench.enqueue import INSERT
from tests.bench.figures import Figure, Measurement, Reading, at_most
from tests.bench.processes import memory

INTERVALS = 12
WARM_UP = 3
"""Intervals before the first that counts: by then, tasks are deleted as fast as they arrive."""

KEPT = 1.2
"""Intervals after which a completed task is deleted."""

FULL_LOAD = 10
"""Seconds in which producers insert without a limit, to find the rate that two workers sustain."""

CLIENTS = 8

LATENCY = """
    WITH look AS MATERIALIZED (SELECT clock_timestamp() AS now),
    waited AS (
        SELECT t.status = 'pending' AS is_waiting,
               extract(epoch FROM CASE t.status WHEN 'pending' THEN look.now ELSE t.started_at END
                                  - t.submitted_at) AS seconds
        FROM content_generation_tasks AS t, look
        WHERE t.status = 'pending' OR t.started_at >= look.now - %s * interval '1 second'
    )
    SELECT count(*) FILTER (WHERE NOT is_waiting),
           coalesce(percentile_cont(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (ORDER BY seconds), '{0,0,0}'),
           count(*) FILTER (WHERE is_waiting),
           coalesce(max(seconds) FILTER (WHERE is_waiting), 0)::float8
    FROM waited"""
"""The latency of tasks started within the interval, and the age of tasks still pending.

Pending tasks count, so a stall shows while it lasts and again when it ends.
"""

SIZES = """
    SELECT pg_table_size('content_generation_tasks'), pg_indexes_size('content_generation_tasks'),
           (SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'content_generation_tasks'),
           (SELECT count(*) FROM content_generation_tasks)"""


def _steady(on: Bed) -> Iterator[Reading]:
    seconds = (0.25 if on.quick else on.minutes) * 60 / INTERVALS
    on.fill(0)
    with on.workers(2, "tests.bench.handlers:nothing", registered=True) as workers:
        full = _full_load(on)
        on.fill(0)
        rate = full / 2
        series = []
        with (
            _vacuumed_every(on, seconds),
            _cleaned_up(on, KEPT * seconds),
            on.producing(INSERT, CLIENTS, "-T", "100000", "--rate", str(rate)),
        ):
            time.sleep(WARM_UP * seconds)
            for number in range(1, INTERVALS + 1):
                time.sleep(seconds)
                resident = max(memory(worker.pid) for worker in workers)
                series.append({"interval": float(number), **look(on.connection, seconds), "worker, MB": resident})
    third = INTERVALS // 3
    yield Reading(FULL, full)
    yield Reading(RATE, statistics.mean(row["started/s"] for row in series), rate)
    for figure, column in (
        (P99, "p99, ms"),
        (TABLE, "table, MB"),
        (INDEXES, "indexes, MB"),
        (WORKER, "worker, MB"),
    ):
        values = [row[column] for row in series]
        # A table does not shrink: vacuum frees space that is filled again.
        of = statistics.median if figure is P99 else max
        first, last = of(values[:third]), of(values[-third:])
        yield Reading(figure, last, first, series if figure is P99 else ())
    yield Reading(LONGEST, max(row["longest, ms"] for row in series))


def _full_load(on: Bed) -> float:
    """Tasks per second that the workers complete while producers insert without a limit."""
    on.pgbench(INSERT, CLIENTS, "-T", str(on.sized(FULL_LOAD) or 1))
    row = on.connection.execute(
        "SELECT count(*), extract(epoch FROM clock_timestamp() - min(started_at))::float8 "
        "FROM content_generation_tasks WHERE status = 'completed'"
    ).fetchall()[0]
    waiting = "SELECT count(*) FROM content_generation_tasks WHERE status <> 'completed'"
    wait_for(lambda: not on.value(waiting), within=120)
    return float(row[0] / row[1])


def look(connection: psycopg.Connection[TupleRow], seconds: float) -> dict[str, float]:
    """The figures of the last seconds, and all sizes."""
    number, (median, p99, longest), waiting, oldest = connection.execute(LATENCY, [seconds]).fetchall()[0]
    table, indexes, dead, tasks = connection.execute(SIZES).fetchall()[0]
    return {
        "started/s": number / seconds,
        "median, ms": 1000 * median,
        "p99, ms": 1000 * p99,
        "longest, ms": 1000 * longest,
        "table, MB": table / 1e6,
        "indexes, MB": indexes / 1e6,
        "dead rows": dead,
        "tasks": tasks,
        "waiting": waiting,
        "oldest, ms": 1000 * oldest,
    }


@contextmanager
def _vacuumed_every(on: Bed, seconds: float) -> Iterator[None]:
    """Sets the interval of autovacuum; the default is one minute."""
    on.cluster.configure({"autovacuum_naptime": f"{min(60, max(1, round(seconds)))}s"})
    on.cluster.reload()
    try:
        yield
    finally:
        on.cluster.configure({"autovacuum_naptime": "60s"})
        on.cluster.reload()


@contextmanager
def _cleaned_up(on: Bed, kept: float) -> Iterator[None]:
    """Deletes completed tasks of this age once a second, as cron would."""
    ended = threading.Event()
    cleanup = "SELECT contentq.cleanup(%s * interval '1 second', 1000)"
    with psycopg.connect(on.dsn, autocommit=True) as connection:

        def clean_up() -> None:
            while not ended.wait(1):
                while connection.execute(cleanup, [kept]).fetchall()[0][0] == 1000:
                    pass

        cleaning = threading.Thread(target=clean_up)
        cleaning.start()
        try:
            yield
        finally:
            ended.set()
            cleaning.join()


FULL = Figure("steady, 2 workers beside producers without limit", "tasks/s")
RATE = Figure("steady, started", "tasks/s", "half of that")
P99 = Figure("steady, p99 until started, last third", "ms", "first third", ratio=at_most(1.5))
LONGEST = Figure("steady, longest of all until started", "ms")
TABLE = Figure("steady, table, last third", "MB", "first third", ratio=at_most(1.5))
INDEXES = Figure("steady, indexes, last third", "MB", "first third", ratio=at_most(1.5))
WORKER = Figure("steady, memory of a worker, last third", "MB", "first third", ratio=at_most(1.1))

MEASUREMENTS = [Measurement((FULL, RATE, P99, TABLE, INDEXES, WORKER, LONGEST), _steady, once=True)]
