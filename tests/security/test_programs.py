"""Output, reports and remains of programs do no harm, and the worker's secrets stay with the worker."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from contentq import PermanentError, RateLimited, TemporaryError
from contentq.engine.results import failure_of
from contentq.handlers.commands import handler as command
from contentq.handlers.commands.handler import CommandHandler
from contentq.handlers.commands.stderr import LINES_PER_SECOND, Lines
from contentq.queue.outcomes import Held, Snoozed

from tests.handlers.programs import Heard, run
from tests.support.tasks import context, task

ROOT = Path(__file__).parents[2]

LINUX = sys.platform == "linux"

HELD = Held(1, 1, 1, "task-1")

ANOTHER_USER = "nobody"


def shell(script: str) -> CommandHandler:
    return CommandHandler(["/bin/sh", "-c", script])


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == "contentq.handlers.command"]


@pytest.mark.slow
@pytest.mark.parametrize("line", ["y", "y" * 100_000], ids=["short", "long"])
def test_program_that_floods_standard_error_fills_no_log(caplog: pytest.LogCaptureFixture, line: str) -> None:
    caplog.set_level("INFO", "contentq.handlers.command")
    flood = f"timeout 2 yes '{line}' >&2; echo >&2; echo contentq:progress 1 >&2; echo the last words >&2; exit 1"
    heard: Heard = []

    with pytest.raises(PermanentError, match=r"the last words$") as caught:
        run(shell(flood), heard=heard)

    lines = told(caplog)
    seconds = 1 + caplog.records[-1].created - caplog.records[0].created
    assert len(lines) <= (LINES_PER_SECOND + 1) * (1 + seconds)
    assert max(map(len, lines)) < 2_100
    assert line == "y" * 100_000 or any(each.endswith(" lines more") for each in lines)
    assert heard == [(1.0, None)]
    assert len(str(caught.value)) < 2_200


def test_every_line_is_logged_or_counted() -> None:
    written: list[str] = []
    left_out: list[int] = []
    lines = Lines(lambda line: False, written.append, left_out.append)

    for _ in range(50):
        lines.feed(b"".join(b"%d\n\n" % number for number in range(100)))
    lines.feed(b"x\n" * 10_000)
    tail = lines.end()

    assert len(written) + sum(left_out) == 50 * 100 + 10_000
    assert len(written) < 1_000
    assert tail.endswith("x\nx")


def test_other_programs_go_on_beside_one_that_floods(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", "contentq.handlers.command")

    async def main() -> int:
        flooding = asyncio.ensure_future(shell("yes >&2")(task(), context(task())))
        done = 0
        for _ in range(5):
            await shell("true")(task(), context(task()))
            done += 1
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        return done

    assert asyncio.run(asyncio.wait_for(main(), 30)) == 5


@pytest.mark.parametrize("again", ["x", "[],"], ids=["text", "brackets"])
def test_output_without_end_is_cut_off_with_a_plain_error(again: str) -> None:
    with pytest.raises(PermanentError, match="handler output too large: /bin/sh wrote more than 4,000,000 bytes"):
        run(shell(f"yes '{again}'"))


def test_program_may_close_its_output_and_live_on(tmp_path: Path) -> None:
    run(shell(f"exec >&- 2>&-; sleep 0.3; touch {tmp_path}/done"))

    assert (tmp_path / "done").exists()


def test_task_of_a_megabyte_may_be_left_unread() -> None:
    assert run(shell("true"), task(requirements="x" * 1_000_000)) is None


def test_program_cannot_put_off_its_task_for_ever_or_close_the_gate_of_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(RateLimited) as caught:
        run(shell("""echo '{"rate_limited": true, "gate": "*", "retry_after": 1e12}'; exit 75"""))

    outcome = failure_of(HELD, caught.value)

    assert isinstance(outcome, Snoozed)
    assert (outcome.delay, outcome.refused_by) == (timedelta(hours=1), None)
    assert "key='*'" in caplog.records[-1].getMessage()


@pytest.mark.parametrize("gate", ["*", "x" * 301, "a\x00b", "\ud800"])
def test_handler_cannot_close_a_gate_that_is_not_its_own(gate: str) -> None:
    outcome = failure_of(HELD, RateLimited("429", gate=gate))

    assert isinstance(outcome, Snoozed)
    assert outcome.refused_by is None


def test_temporary_error_of_a_program_is_tried_again_within_an_hour() -> None:
    with pytest.raises(TemporaryError) as caught:
        run(shell("""echo '{"retry_after": 1e300}'; exit 75"""))

    assert caught.value.retry_after == timedelta(hours=1)


def test_program_gets_no_variable_that_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://a:secret@host/b")
    monkeypatch.setenv("PGPASSWORD", "secret")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("PYTHONPATH", "secret")

    assert run(shell("""if env | grep -q secret; then exit 1; fi""")) is None


WORKER = """
import asyncio, os, sys
from contentq.handlers.loading import load
from contentq.testing.fakes import FakeContext, make_task

handler = load("command", command=tuple(sys.argv[1:]))
handler.introduce()
of = make_task()
print(asyncio.run(handler.call(of, FakeContext(of))).body)
"""

READ = ["/bin/sh", "-c", "cat /proc/$PPID/environ || echo it is hidden; id -u"]


def read_by_program(program: list[str], *as_user: str) -> str:
    """The environment of a program; the worker is a separate process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "worker"), "TOP_SECRET": "pudding"}
    worker = [*as_user, sys.executable, "-c", WORKER, *program]
    done = subprocess.run(worker, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


needs_root = pytest.mark.skipif(
    not LINUX or os.getuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv, on Linux"
)


def as_other() -> list[str]:
    entry = pwd.getpwnam(ANOTHER_USER)
    return [f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", "--no-new-privs", "--"]


@pytest.mark.slow
@needs_root
def test_program_that_runs_as_another_user_cannot_read_the_workers_environment() -> None:
    read = read_by_program(["setpriv", *as_other(), *READ])

    assert "pudding" not in read
    assert "it is hidden" in read
    assert read.split()[-1] == str(pwd.getpwnam(ANOTHER_USER).pw_uid)


@pytest.mark.slow
@pytest.mark.skipif(not LINUX, reason="there is no /proc")
def test_program_of_the_same_user_cannot_read_the_workers_environment() -> None:
    if os.getuid() != 0:
        read = read_by_program(READ)
    elif shutil.which("setpriv") is not None:
        # Root may read everything, so the worker and the program give up the capabilities for it.
        read = read_by_program(READ, "setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
    else:
        pytest.skip("needs another user than root, or setpriv")

    assert "pudding" not in read
    assert "it is hidden" in read


@pytest.mark.slow
def test_worker_that_hides_itself_still_runs_programs() -> None:
    assert "hello" in read_by_program(["/bin/echo", "hello"])


def test_limits_of_output_fit_into_the_memory_that_is_promised() -> None:
    assert command.STDOUT_LIMIT * 25 <= 100_000_000
