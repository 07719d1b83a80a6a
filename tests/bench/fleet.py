"""Twenty worker processes on one database: none blocks another, and each task runs once."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.bed import Bed, wait_for
from tests.bench.drain import raw
from tests.bench.figures import Figure, Measurement, Reading, at_most
from tests.bench.sessions import watched

WORKERS = 20
TASKS = 40_000

DEADLOCKED = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


def _fleet(on: Bed) -> Iterator[Reading]:
    limit = raw(on, WORKERS)
    tasks = on.sized(TASKS)
    on.fill(0)
    deadlocks = on.value(DEADLOCKED)
    with (
        on.workers(WORKERS, "tests.bench.handlers:naps", registered=True),
        watched(on) as sessions,
    ):
        on.add(tasks, "1 + n % 10")
        waiting = "SELECT count(*) FROM content_generation_tasks WHERE status <> 'completed'"
        wait_for(lambda: not on.value(waiting), within=120, every=0.5)
    yield Reading(RATE, on.rate(tasks), limit)
    # A session reports its statistics to the server when it ends, at the latest.
    yield Reading(DEADLOCKS, on.value(DEADLOCKED) - deadlocks)
    again = "SELECT count(*) FROM content_generation_tasks WHERE attempt <> 1 OR status <> 'completed'"
    yield Reading(AGAIN, on.value(again))
    yield Reading(CONNECTIONS, max(sessions.connections.values()))
    yield Reading(WAITING, sessions.waiting)
    yield Reading(MOST_WAITING, sessions.most_waiting)


RATE = Figure("20 workers, rate", "tasks/s", "pgbench, 20 clients")
DEADLOCKS = Figure("20 workers, deadlocks", "", value=at_most(0))
AGAIN = Figure("20 workers, tasks not run exactly once", "", value=at_most(0))
CONNECTIONS = Figure("20 workers, connections of one, at most", "", value=at_most(4))
WAITING = Figure("20 workers, sessions waiting for a lock, mean", "")
MOST_WAITING = Figure("20 workers, sessions waiting for a lock, at most", "")

MEASUREMENTS = [Measurement((RATE, DEADLOCKS, AGAIN, CONNECTIONS, WAITING, MOST_WAITING), _fleet)]
