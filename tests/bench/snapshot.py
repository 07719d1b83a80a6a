"""Whether the rate is stable while another session has an old snapshot open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg

from tests.bench.bed import Bed
from tests.bench.figures import Figure, Measurement, Reading, at_least

TASKS = 200_000


def _drained(on: Bed) -> Iterator[Reading]:
    tasks = on.sized(TASKS)
    on.fill(tasks)
    with closing(psycopg.connect(on.dsn)) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM accounts")
        with on.worker("tests.bench.handlers:nothing", "--until-empty") as worker:
            worker.wait(timeout=300)
    query = "SELECT extract(epoch FROM completed_at)::float8 FROM content_generation_tasks ORDER BY 1"
    ended = [row[0] for row in on.connection.execute(query).fetchall()]
    fifth = tasks // 5
    yield Reading(LAST_FIFTH, fifth / (ended[-1] - ended[-fifth]), fifth / (ended[fifth - 1] - ended[0]))


LAST_FIFTH = Figure("beside an old snapshot, last fifth", "tasks/s", "first fifth", ratio=at_least(0.8))

MEASUREMENTS = [Measurement((LAST_FIFTH,), _drained)]
