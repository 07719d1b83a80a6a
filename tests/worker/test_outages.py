"""Connections that break under a working worker."""

from __future__ import annotations

import pytest
from contentq import Context, Task

from tests.support.waiting import eventually
from tests.worker.conftest import Database, Insert, Row, StartWorker

TERMINATE = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE %s AND application_name <> 'contentq test'"""


@pytest.mark.parametrize("which", ["contentq pulse", "contentq claim", "contentq report", "contentq %"])
def test_worker_goes_on_when_its_connections_are_terminated(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, which: str
) -> None:
    async def handler(task: Task, context: Context) -> None:
        return None

    start_worker(handler, poll=60)
    first = insert()
    eventually(lambda: row(first).status == "completed", within=10)
    terminated = database.execute(TERMINATE, [which]).fetchone()
    assert terminated is not None
    assert terminated[0] >= 1
    second = insert()
    eventually(lambda: row(second).status == "completed", within=10)


def test_task_whose_claim_was_not_heard_is_released(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    async def handler(task: Task, context: Context) -> None:
        return None

    start_worker(handler, listen=False, poll=60)
    worker = eventually(lambda: database.execute("SELECT id FROM contentq.workers").fetchone(), within=10)
    # What the database has done when the answer to a claim is lost on the way.
    with database.transaction():
        id_ = insert()
        database.execute("SELECT FROM contentq.claim(%s, 1)", worker)
    database.execute(TERMINATE, ["contentq claim"])
    database.execute(TERMINATE, ["contentq pulse"])  # once it is back, the worker looks for tasks
    eventually(lambda: row(id_).status == "completed", within=10)
    assert (row(id_).attempt, row(id_).retry_count) == (2, 0)
