"""Nobody can block others by the size or number of inserted rows."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.databases import Connection
from tests.support.queue import Queue

MB = 1_000_000

HANDLER = """
import asyncio


async def handler(task, context):
    await asyncio.sleep(0.05)
    return {"size": len(task.requirements or "")}
"""

MEMORY = 800 * MB
"""Maximum address space of the worker in bytes. Some 400 MB are its own."""


@pytest.fixture
def queue(database: Connection) -> Queue:
    """The queue in the test's database."""
    return Queue(database)


@pytest.mark.slow
def test_large_tasks_do_not_keep_a_worker_with_little_memory_from_honest_ones(
    dsn: str, queue: Queue, tmp_path: Path
) -> None:
    """Together they are a gigabyte, more than the worker may use. All of them end, and so does the honest one."""
    queue.run("UPDATE contentq.settings SET max_text_bytes = 500000000")
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, priority, requirements) "
        "VALUES (%s, 10, repeat('x', 20000000))",
        queue.account,
    )
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, priority, requirements) "
        "SELECT account_id, priority, requirements FROM content_generation_tasks, generate_series(1, 49)"
    )
    honest = queue.add(priority=1)
    (tmp_path / "handlers.py").write_text(HANDLER)

    worker = subprocess.run(
        [
            *(sys.executable, "-m", "contentq", "--dsn", dsn, "worker"),
            *("--handler", "handlers:handler", "--until-empty", "--concurrency", "50"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )

    assert worker.returncode == 0, worker.stderr[-2000:]
    assert queue.status(honest) == "completed"
    assert queue.values("SELECT DISTINCT (status, retry_count, attempt)::text FROM content_generation_tasks") == [
        "(completed,0,1)"
    ]
