"""The measure of the steady state detects a stall."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.bench.steady import look
from tests.support.databases import Connection
from tests.support.queue import Queue
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

TASKS = 50
STALL = 1.0
"""Seconds."""


BUSY = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"""


@pytest.fixture
def queue(database: Connection) -> Queue:
    return Queue(database)


@contextmanager
def _stalled_worker(dsn: str, queue: Queue) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that stops in the middle of its work."""
    working = ["worker", "--handler", "tests.bench.handlers:nothing", "--log-level", "warning"]
    command = [sys.executable, "-m", "contentq", "--dsn", dsn, *working]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.getcwd()}) as worker:
        try:
            eventually(lambda: queue.value("SELECT count(*) FROM contentq.workers"), within=30)
            worker.send_signal(signal.SIGSTOP)
            # A claim that it sent just before would still take tasks inserted now.
            eventually(lambda: not queue.value(BUSY), within=10)
            yield worker
        finally:
            worker.send_signal(signal.SIGCONT)
            worker.terminate()


def test_stall_is_seen_while_it_lasts_and_when_it_is_over(dsn: str, database: Connection, queue: Queue) -> None:
    with _stalled_worker(dsn, queue) as worker:
        for _ in range(TASKS):
            queue.add()
        age = "SELECT clock_timestamp() - max(submitted_at) >= %s * interval '1 s' FROM content_generation_tasks"
        eventually(lambda: queue.value(age, STALL), within=10)
        during = look(database, STALL / 2)
        resumed_at = queue.value("SELECT clock_timestamp()")
        worker.send_signal(signal.SIGCONT)
        ended = "SELECT count(*) FROM content_generation_tasks WHERE status = 'completed'"
        eventually(lambda: queue.value(ended) == TASKS, within=10)
        # From the middle of the stall, in which nothing was started.
        since = queue.value("SELECT extract(epoch FROM clock_timestamp() - %s)::float8", resumed_at) + STALL / 2
        after = look(database, since)

    assert (during["started/s"], during["waiting"]) == (0, TASKS)
    assert during["p99, ms"] >= 1000 * STALL
    assert during["oldest, ms"] >= 1000 * STALL
    assert after["started/s"] == pytest.approx(TASKS / since)
    assert after["waiting"] == after["oldest, ms"] == 0
    assert after["p99, ms"] >= 1000 * STALL
    assert after["longest, ms"] >= after["p99, ms"] >= after["median, ms"]
