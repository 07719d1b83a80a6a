"""How long it takes from the start of an INSERT to the start of its handler, on an idle worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psycopg

from tests.bench.bed import Bed
from tests.support.waiting import eventually

SAMPLES = 200

INSERT = "INSERT INTO content_generation_tasks (account_id, topic) VALUES (1, 'latency') RETURNING id"


def worked(bed: Bed) -> list[float]:
    """Milliseconds, one a task, for an idle worker process."""
    bed.fill(0)
    bed.connection.execute("DELETE FROM contentq.workers")
    with bed.worker("tests.bench.handlers:started"):
        eventually(lambda: bed.connection.execute("SELECT id FROM contentq.workers").fetchone(), within=30)

        def started_ns(id_: int) -> int:
            query = "SELECT (result->>'started_ns')::bigint FROM content_generation_tasks WHERE id = %s"
            return eventually(lambda: _not_null(bed, query, id_), within=10)

        return _samples(bed, started_ns)


def bare(bed: Bed) -> list[float]:
    """Milliseconds, one a task, for the least that any such queue must do: hear the NOTIFY, claim the row."""
    bed.fill(0)
    claimed: dict[int, int] = {}
    ready = threading.Event()
    query = (
        "UPDATE content_generation_tasks AS t SET status = 'processing', started_at = clock_timestamp() "
        "FROM (SELECT id FROM content_generation_tasks WHERE status = 'pending' AND scheduled_at IS NULL "
        "ORDER BY priority DESC, submitted_at, id LIMIT 1 FOR UPDATE SKIP LOCKED) AS r WHERE t.id = r.id "
        "RETURNING t.id"
    )

    def claim() -> None:
        with psycopg.connect(bed.dsn, autocommit=True) as connection:
            connection.execute("LISTEN contentq_ready")
            ready.set()
            while len(claimed) < SAMPLES:
                list(connection.notifies(timeout=10, stop_after=1))
                while row := connection.execute(query).fetchone():
                    claimed[row[0]] = time.monotonic_ns()

    claiming = threading.Thread(target=claim, daemon=True)
    claiming.start()
    ready.wait(10)
    taken = _samples(bed, lambda id_: eventually(lambda: claimed.get(id_), within=10) or 0)
    claiming.join(20)
    return taken


def _samples(bed: Bed, started_ns: Callable[[int], int]) -> list[float]:
    taken = []
    for _ in range(SAMPLES):
        begun = time.monotonic_ns()
        row = bed.connection.execute(INSERT).fetchone()
        assert row is not None
        taken.append((started_ns(row[0]) - begun) / 1e6)
    return taken


def _not_null(bed: Bed, query: str, id_: int) -> int | None:
    row = bed.connection.execute(query.encode(), [id_]).fetchone()
    return None if row is None else row[0]
