"""examples/wait.mjs waits until a task or a batch has ended."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.examples.conftest import EXAMPLES
from tests.support.databases import Connection
from tests.support.queue import Queue
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow


@pytest.fixture
def start(
    tmp_path: Path, database: Connection, node_modules: Callable[[], Path]
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the program with these arguments."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node or npm is not installed")
    shutil.copy(EXAMPLES / "wait.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(node_modules())
    info = database.info
    dsn = f"postgresql://postgres@127.0.0.1:{info.port}/{info.dbname}?sslmode=disable"
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [str(shutil.which("node")), "wait.mjs", *arguments],
            cwd=tmp_path,
            env={"DATABASE_URL": dsn},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("kind", ["task", "batch"])
def test_it_is_told_when_the_last_task_has_ended(
    queue: Queue, start: Callable[..., subprocess.Popen[str]], kind: str
) -> None:
    task = queue.running(task_id="post-1", batch="spring")
    process = start(kind, "post-1" if kind == "task" else "spring")

    def is_waiting() -> bool:
        assert process.poll() is None, process.communicate()
        state = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle' AND query LIKE '%%statuses_of%%'"
        return bool(queue.value(state) == 1)

    eventually(is_waiting, within=20)

    queue.complete(task.worker, [task])

    # Without a notification it would poll after 10 seconds.
    assert process.communicate(timeout=8)[0] == "1 completed\n"
    assert process.returncode == 0


def test_who_comes_late_is_answered(queue: Queue, start: Callable[..., subprocess.Popen[str]]) -> None:
    for status in ("completed", "failed", "completed"):
        queue.add(batch="spring", status=status, completed_at="2026-01-01")

    assert start("batch", "spring").communicate(timeout=20)[0] == "2 completed, 1 failed\n"
