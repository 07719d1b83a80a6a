"""Whether the rate lasts while another session holds an old snapshot."""

from __future__ import annotations

from contextlib import closing

import psycopg

from tests.bench.bed import Bed

TASKS = 200_000
FIFTH = TASKS // 5


class Drained:
    """One drain beside an old snapshot; what is asked first makes it."""

    def __init__(self) -> None:
        self._ended: list[float] = []

    def first_fifth(self, bed: Bed) -> float:
        """Tasks a second at the beginning; drains anew."""
        bed.fill(TASKS)
        with closing(psycopg.connect(bed.dsn)) as reader:
            reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            reader.execute("SELECT count(*) FROM accounts")
            with bed.worker("tests.bench.handlers:nothing", "--until-empty") as worker:
                worker.wait(timeout=300)
        query = "SELECT extract(epoch FROM completed_at)::float8 FROM content_generation_tasks ORDER BY 1"
        self._ended = [row[0] for row in bed.connection.execute(query).fetchall()]
        return self._rate(0)

    def last_fifth(self, _bed: Bed) -> float:
        """Tasks a second at the end of the same drain."""
        return self._rate(4)

    def _rate(self, fifth: int) -> float:
        return FIFTH / (self._ended[(fifth + 1) * FIFTH - 1] - self._ended[fifth * FIFTH])
