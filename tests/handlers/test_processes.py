"""A program and all its child processes end together, in every case."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from contentq.handlers.commands import processes
from contentq.handlers.commands.guardian import GUARDIAN, MARK, Guardian, Watch
from contentq.handlers.commands.processes import Ended, OutputTooLarge

from tests.support.traces import Trace
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]

LINUX = sys.platform == "linux"


class Running:
    """A shell script run as a program on the event loop of the test."""

    def __init__(self, script: str, trace: Trace) -> None:
        self._trace = trace
        self.stderr = b""
        self.task = asyncio.create_task(self._run(f"exec 9> '{trace.path}'; {script}"))

    async def _run(self, script: str) -> Ended:
        return await processes.run(
            ["/bin/sh", "-c", script],
            stdin=b"",
            environment=dict(os.environ),
            stdout_limit=1_000,
            on_stderr=self._hear,
        )

    def _hear(self, data: bytes) -> None:
        self.stderr += data

    async def begun(self) -> None:
        """Returns when the script has printed its start on standard error."""
        await asyncio.to_thread(eventually, lambda: b"begun" in self.stderr)
        assert self._trace.is_held()

    async def end(self) -> None:
        """Returns when it has ended after a cancellation."""
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(self.task, 20)


def on_loop(test: Callable[[], Any]) -> Any:
    return asyncio.run(test())


@pytest.mark.parametrize(
    "script",
    [
        "echo begun >&2; sleep 600",
        "sleep 600 & echo begun >&2; sleep 600",
        "(sleep 600; sleep 600) & echo begun >&2; wait",
        "sleep 600 & exec >&- 2>&3; wait",
        "trap '' TERM; sleep 600 & echo begun >&2; sleep 600",
        "trap 'exit 0' TERM; (trap '' TERM; sleep 600) & echo begun >&2; while true; do sleep 0.05; done",
    ],
    ids=["alone", "child", "grandchild", "without output", "deaf", "deaf child"],
)
def test_cancelling_ends_the_program_and_its_children(trace: Trace, script: str) -> None:
    async def main() -> None:
        running = Running(script.replace("2>&3", "; echo begun >&2; exec 2>&-"), trace)
        await running.begun()
        running.task.cancel()
        await running.end()

    on_loop(main)
    eventually(lambda: not trace.is_held())


def test_program_may_end_in_good_order_when_it_is_cancelled(trace: Trace, tmp_path: Path) -> None:
    async def main() -> None:
        script = f"trap 'touch {tmp_path}/saved; exit 0' TERM; echo begun >&2; while true; do sleep 0.02; done"
        running = Running(script, trace)
        await running.begun()
        running.task.cancel()
        await running.end()

    on_loop(main)
    assert (tmp_path / "saved").exists()


def test_second_cancelling_kills_at_once(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "TERM_GRACE", 600.0)

    async def main() -> None:
        running = Running("trap 'echo deaf >&2' TERM; echo begun >&2; while true; do sleep 0.02; done", trace)
        await running.begun()
        running.task.cancel()
        await asyncio.to_thread(eventually, lambda: b"deaf" in running.stderr)
        running.task.cancel()
        await running.end()

    on_loop(main)
    eventually(lambda: not trace.is_held())


@pytest.mark.slow
def test_cancelling_at_any_moment_of_the_start_leaves_nothing_behind(trace: Trace) -> None:
    async def main() -> None:
        for steps in range(1, 15):
            running = Running("sleep 600", trace)
            for _ in range(steps):
                await asyncio.sleep(0)
            running.task.cancel()
            await running.end()
        assert (await Running("true", trace).task).code == 0
        await asyncio.to_thread(eventually, lambda: not GUARDIAN._groups)

    on_loop(main)
    eventually(lambda: not trace.is_held())


def test_too_much_output_ends_the_group(trace: Trace) -> None:
    async def main() -> None:
        with pytest.raises(OutputTooLarge):
            await Running("sleep 600 & yes", trace).task

    on_loop(main)
    eventually(lambda: not trace.is_held())


@pytest.mark.parametrize("redirected", ["", "> /dev/null 2>&1"])
def test_what_a_program_leaves_behind_is_killed_when_it_has_ended(
    trace: Trace, monkeypatch: pytest.MonkeyPatch, redirected: str
) -> None:
    monkeypatch.setattr(processes, "LAST_WORDS", 0.05)

    async def main() -> None:
        assert await Running(f"sleep 600 {redirected} & echo done", trace).task == Ended(0, b"done\n")

    on_loop(main)
    eventually(lambda: not trace.is_held())


def test_what_a_program_leaves_behind_may_finish_its_output(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LAST_WORDS", 20.0)

    async def main() -> None:
        ended = await Running("(sleep 0.2; echo late) & echo done; exit 3", trace).task
        assert ended == Ended(3, b"done\nlate\n")

    on_loop(main)


def test_process_that_has_left_the_group_is_not_waited_for(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LAST_WORDS", 0.5)
    leave = f"{sys.executable} -S -c 'import os, time; os.setsid(); print(1, flush=True); time.sleep(600)'"

    async def main() -> None:
        # $! is the id of the process and of its new session.
        ended = await asyncio.wait_for(Running(f"{leave} & echo $!", trace).task, 20)
        if not LINUX:
            os.killpg(int(ended.stdout.split()[0]), signal.SIGKILL)

    on_loop(main)
    eventually(lambda: not trace.is_held())


DAEMON = "import os; os.setsid(); os.fork() and os._exit(0); os.execvp('sh', ['sh', '-c', 'touch {0}; sleep 600'])"


@pytest.mark.skipif(not LINUX, reason="there is no /proc in which processes in other sessions are found")
@pytest.mark.parametrize(
    "leave",
    [
        "setsid sh -c 'touch {0}; exec sleep 600'",
        "setsid sh -c 'sleep 600 & touch {0}; sleep 600'",
        f'{sys.executable} -S -c "{DAEMON}"',
        "trap '' TERM; setsid sh -c 'touch {0}; sleep 600'",
    ],
    ids=["setsid", "with a child", "daemon", "deaf"],
)
@pytest.mark.parametrize("how", ["ended", "cancelled"])
def test_what_a_program_leaves_behind_in_another_session_is_killed(
    trace: Trace, tmp_path: Path, leave: str, how: str
) -> None:
    left = tmp_path / "left"
    wait = f"while ! test -e {left}; do sleep 0.01; done"
    then = "true" if how == "ended" else "echo begun >&2; sleep 600"

    async def main() -> None:
        running = Running(f"{leave.format(left)} > /dev/null 2>&1 & {wait}; {then}", trace)
        if how == "cancelled":
            await running.begun()
            running.task.cancel()
            await running.end()
        else:
            assert (await running.task).code == 0

    on_loop(main)
    eventually(lambda: not trace.is_held())


@pytest.mark.skipif(not LINUX, reason="there is no /proc in which processes in other sessions are found")
def test_search_for_what_is_left_spares_programs_that_go_on(trace: Trace) -> None:
    leave = "exec 9> '{}'; exec setsid sleep 600"
    ended, other = (
        subprocess.Popen(["/bin/sh", "-c", leave.format(trace.path)], env={**os.environ, MARK: mark})
        for mark in ("ended", "going on")
    )
    watch = Watch()
    watch.hear(b"+1 ended\n+2 going on\n-1")
    watch.hear(b"\n")

    while watch.ended:
        watch.search()

    assert ended.wait(10) == -signal.SIGKILL
    assert other.poll() is None
    other.kill()
    other.wait(10)


WORKER = """
import asyncio, sys
from contentq.handlers.commands import processes

asyncio.run(
    processes.run(
        ["/bin/sh", "-c", sys.argv[1]],
        stdin=b"",
        environment={},
        stdout_limit=10,
        on_stderr=lambda data: print(data.decode(), flush=True),
    )
)
"""


@pytest.mark.slow
@pytest.mark.parametrize("trap", ["", "trap '' TERM;"])
@pytest.mark.parametrize("leave", ["", *(["/usr/bin/setsid"] if LINUX else [])])
def test_program_ends_when_its_worker_is_killed(trace: Trace, trap: str, leave: str) -> None:
    script = f"exec 9> '{trace.path}'; {trap} {leave} /bin/sleep 600 & echo begun >&2; /bin/sleep 600"
    with subprocess.Popen([sys.executable, "-c", WORKER, script], cwd=ROOT, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"begun\n"
        assert trace.is_held()
        worker.kill()

    eventually(lambda: not trace.is_held())


@pytest.fixture
def guardian() -> Iterator[Guardian]:
    made = Guardian()
    yield made
    made.dismiss()


@pytest.mark.slow
def test_guardian_that_was_killed_is_replaced(guardian: Guardian, trace: Trace) -> None:
    command = ["/bin/sh", "-c", f"exec 9> '{trace.path}'; sleep 600"]
    program = subprocess.Popen(command, start_new_session=True)
    guardian.watch(program.pid)
    assert guardian._process is not None
    first = guardian._process.pid
    os.kill(first, signal.SIGKILL)
    eventually(trace.is_held)

    def is_replaced() -> bool:
        guardian.forget(1_000_000_000)
        return guardian._process is not None and guardian._process.pid != first

    eventually(is_replaced)
    guardian.dismiss()

    assert program.wait(20) == -signal.SIGTERM
    eventually(lambda: not trace.is_held())
