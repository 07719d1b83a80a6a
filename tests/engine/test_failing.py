"""A worker whose every attempt fails, for example on a full disk, slows down and leaves tasks to others."""

from __future__ import annotations

import re

import pytest
from contentq import Context, Task, TemporaryError

from tests.engine.conftest import Database, Insert, Row, StartWorker
from tests.support.waiting import eventually


@pytest.fixture
def at_once(database: Database) -> None:
    """Makes retries due almost immediately."""
    database.execute("UPDATE contentq.settings SET backoff_base = '1 millisecond', backoff_max = '1 millisecond'")


def logged(caplog: pytest.LogCaptureFixture, beginning: str) -> bool:
    return any(message.startswith(beginning) for message in caplog.messages)


@pytest.mark.slow
@pytest.mark.usefixtures("at_once")
def test_worker_that_only_fails_leaves_the_tasks_to_others(
    start_worker: StartWorker, insert: Insert, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    tried = 0

    async def sick(_task: Task, _context: Context) -> None:
        nonlocal tried
        tried += 1
        raise TemporaryError("no space left on device")

    async def well(_task: Task, _context: Context) -> None:
        return None

    with database.transaction():
        for _ in range(200):
            insert(max_retries=100)
    start_worker(sick, concurrency=5)
    eventually(lambda: logged(caplog, "waiting for=it keeps failing: "))

    start_worker(well, concurrency=5)

    left = "SELECT count(*) FROM content_generation_tasks WHERE status <> 'completed'"
    eventually(lambda: database.execute(left).fetchone() == (0,))
    assert tried < 60


@pytest.mark.usefixtures("at_once")
def test_worker_goes_on_as_before_when_one_goes_well(
    start_worker: StartWorker, insert: Insert, row: Row, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def handler(_task: Task, _context: Context) -> None:
        if not logged(caplog, "waiting for=it keeps failing: "):
            raise TemporaryError("no space left on device")

    start_worker(handler, concurrency=1, log=0.1, poll=0.2)
    id_ = insert(max_retries=100)

    eventually(lambda: row(id_).status == "completed")

    assert row(id_).attempt >= 6
    said = "\n".join(caplog.messages)
    found = re.search(r"waiting for=it keeps failing: (\d+) quick failures in a row", said)
    assert found is not None
    assert 5 <= int(found[1]) < row(id_).attempt
    eventually(lambda: logged(caplog, "waiting ended for=it keeps failing after="))
