"""With five million finished tasks, housekeeping and claims read only the rows that they change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from tests.support.databases import Databases
from tests.support.plans import scans
from tests.support.queue import Queue

FINISHED = 5_000_000

FEW = 10
"""Index entries that a call may read in addition to those of the rows that it changes."""

DUE = 100

CALLS = {
    "claim": "SELECT count(*) FROM contentq.claim({worker}, 100)",
    "sweep_timeouts": "SELECT contentq.sweep_timeouts()",
    "rescue_dead_workers": "SELECT contentq.rescue_dead_workers()",
    "cleanup": "SELECT contentq.cleanup()",
    "heartbeat": "SELECT contentq.heartbeat({worker})",
    "maintain": "SELECT contentq.maintain()",
}


@pytest.fixture
def large(databases: Databases) -> Iterator[Queue]:
    """A queue with this many finished tasks, and a few for each call to find."""
    with databases.migrated() as dsn, closing(psycopg.connect(dsn, autocommit=True)) as connection:
        queue = Queue(connection)
        insert = "INSERT INTO content_generation_tasks (account_id, status, completed_at, timeout_at, worker_id)"
        tasks = f"{insert} SELECT {queue.account}, %s, %s, %s, %s FROM generate_series(1, %s)"
        # Each with a deadline long past.
        queue.run(f"{tasks}", "completed", queue.value("SELECT now()"), "2020-01-01", None, FINISHED)
        queue.run(f"{tasks}", "completed", "2020-01-01", None, None, DUE)
        queue.run(f"{tasks}", "pending", None, "2020-01-01", None, DUE)
        queue.run(f"{tasks}", "pending", None, None, None, 2 * DUE)
        connection.execute("VACUUM ANALYZE content_generation_tasks")
        yield queue


@pytest.mark.long
def test_calls_beside_five_million_finished_tasks_read_only_what_they_change(large: Queue) -> None:
    worker = large.register()
    dead = large.register()
    large.claim(dead, DUE)
    large.silence(dead)
    for name, call in CALLS.items():
        read = scans(large, call.format(worker=worker))
        assert read.sequential == 0, name
        # Overdue and locked tasks are skipped; a row has an index entry for each of its versions.
        assert max(read.entries.values(), default=0) <= 4 * DUE + FEW, (name, read)
