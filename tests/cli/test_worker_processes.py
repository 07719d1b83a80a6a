"""Child processes of handlers: forks, and orphans that they leave behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Start, plain_environment
from tests.support.queue import Queue
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

HANDLERS = """
import multiprocessing
import os
import subprocess
import time


def stop_child(task, context):
    ends = {}
    for how in ("terminate", "kill"):
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        child.start()
        getattr(child, how)()
        child.join(20)
        ends[how] = child.exitcode
    return ends


async def stop_child_on_the_event_loop(task, context):
    return stop_child(task, context)


def leave_orphan(task, context):
    command = ["sh", "-c", "sleep 0.1 >/dev/null 2>&1 & echo $!"]
    orphan = int(subprocess.run(command, capture_output=True, check=True).stdout)
    give_up = time.monotonic() + 10
    while os.path.exists(f"/proc/{orphan}") and time.monotonic() < give_up:
        time.sleep(0.01)
    return {"is_gone": not os.path.exists(f"/proc/{orphan}")}


def wait(task, context):
    time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with handlers for the worker."""
    (tmp_path / "handlers.py").write_text(HANDLERS)
    return tmp_path


@pytest.mark.parametrize("handler", ["stop_child", "stop_child_on_the_event_loop"])
def test_child_that_a_handler_forks_is_stopped_by_the_signals_that_stop_any_process(
    start: Start, dsn: str, queue: Queue, folder: Path, handler: str
) -> None:
    id_ = queue.add()

    worker = start("worker", "--handler", f"handlers:{handler}", "--until-empty", cwd=folder, DATABASE_URL=dsn)
    worker.communicate(timeout=60)

    assert queue.row(id_)["result"] == {"terminate": -signal.SIGTERM, "kill": -signal.SIGKILL}


CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
"""Runs a program as process 1 of a separate namespace."""


@pytest.fixture
def start_as_process_one(folder: Path, dsn: str) -> Iterator[Start]:
    """Starts the program as process 1, as in a container."""
    if shutil.which("unshare") is None or subprocess.run([*CONTAINER, "true"], capture_output=True).returncode:
        pytest.skip("unshare cannot make a PID namespace here")
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [*CONTAINER, sys.executable, "-m", "contentq", *arguments],
            stderr=subprocess.PIPE,
            cwd=cwd or folder,
            env={**plain_environment(), "DATABASE_URL": dsn, **environment},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_orphans_are_reaped_by_process_one(start_as_process_one: Start, queue: Queue) -> None:
    id_ = queue.add()

    worker = start_as_process_one("worker", "--handler", "handlers:leave_orphan", "--until-empty")

    worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert queue.row(id_)["result"] == {"is_gone": True}


def test_signals_and_the_exit_code_pass_through_process_one(start_as_process_one: Start, queue: Queue) -> None:
    id_ = queue.add()
    worker = start_as_process_one("worker", "--handler", "handlers:wait", "--grace", "0")
    eventually(lambda: queue.status(id_) == "processing", within=20)
    (process_one,) = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()

    os.kill(int(process_one), signal.SIGTERM)

    worker.communicate(timeout=60)
    assert worker.returncode == 6
    assert (queue.status(id_), queue.row(id_)["retry_count"]) == ("pending", 0)


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", ">&- 2>&- <&-"])
def test_worker_that_cannot_write_its_log_works(dsn: str, queue: Queue, folder: Path, redirection: str) -> None:
    id_ = queue.add()
    command = (
        f"exec {sys.executable} -m contentq worker --handler handlers:leave_orphan --until-empty {redirection}"
    )

    ended = subprocess.run(
        ["sh", "-c", command], cwd=folder, env={**plain_environment(), "DATABASE_URL": dsn}, timeout=60
    )

    assert ended.returncode == 0
    assert queue.status(id_) == "completed"
