"""Standard output and error that are closed or full: an error or silence, and no task inserted twice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.cli.conftest import Outcome, plain_environment
from tests.support.forked import CONTENTQ
from tests.support.queue import Queue

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is missing")

InShell = Callable[[str], Outcome]
Output = tuple[str, int]
WithOutput = Callable[[str, str, Output], Outcome]

FULL = ("/dev/full", os.O_WRONLY)
CLOSED = (os.devnull, os.O_RDONLY)
"""The replacement for a closed standard output."""

READING = ["list", "list --json", "show task-1", "stats", "explain task-1", "--help", "submit --help", "--version"]


@pytest.fixture
def in_shell(dsn: str) -> InShell:
    """Runs a shell command line in which `contentq` is the program."""

    def run(line: str) -> Outcome:
        done = subprocess.run(
            ["sh", "-c", f'contentq() {{ "{sys.executable}" -m contentq "$@"; }}; {line}'],
            env={**plain_environment(), "DATABASE_URL": dsn},
            capture_output=True,
            timeout=60,
            check=False,
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def with_output(dsn: str) -> WithOutput:
    """Runs a command as a fork, with one of its streams redirected to this file."""

    def run(command: str, stream: str, output: Output) -> Outcome:
        descriptor = os.open(*output)
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: descriptor}
        environment = {**plain_environment(), "DATABASE_URL": dsn}
        try:
            with CONTENTQ.start(*command.split(), stdin=subprocess.DEVNULL, env=environment, **streams) as process:
                out, err = process.communicate(timeout=60)
        finally:
            os.close(descriptor)
        return Outcome(process.returncode, (out or b"").decode(), (err or b"").decode())

    return run


@pytest.fixture
def task(queue: Queue) -> str:
    queue.add(task_id="task-1")
    return "task-1"


@pytest.mark.slow
def test_submit_with_closed_output_inserts_nothing(in_shell: InShell, queue: Queue, account: str) -> None:
    outcome = in_shell(f"contentq submit --account {account} --topic Tea >&-")

    assert outcome.code == 1
    assert outcome.error == "standard output is closed and cannot show the result: nothing was inserted"
    assert queue.value("SELECT count(*) FROM content_generation_tasks") == 0


@pytest.mark.slow
def test_submit_to_a_full_disk_says_which_task_was_inserted(in_shell: InShell, queue: Queue, account: str) -> None:
    outcome = in_shell(f"contentq submit --account {account} --topic Tea --task-id post-7 > /dev/full")

    assert outcome.code == 7
    why = "the output could not be written: No space left on device"
    assert outcome.error == f"task post-7 was inserted, but {why}; do not submit again"
    assert queue.values("SELECT task_id FROM content_generation_tasks") == ["post-7"]


@pytest.mark.slow
def test_submit_of_a_file_to_a_full_disk_says_how_many_tasks_were_inserted(
    in_shell: InShell, queue: Queue, account: str, written: Callable[..., str]
) -> None:
    file = written("tasks.csv", f"account_id,topic\n{account},Tea\n{account},Milk\n")

    outcome = in_shell(f"contentq submit {file} --json > /dev/full")

    assert (outcome.code, outcome.error.partition(",")[0]) == (7, "2 tasks inserted")
    assert queue.value("SELECT count(*) FROM content_generation_tasks") == 2


@pytest.mark.slow
def test_submit_whose_answer_nobody_reads_is_silent(in_shell: InShell, queue: Queue, account: str) -> None:
    outcome = in_shell(f"{{ contentq submit --account {account} --topic Tea; echo $? >&2; }} | true")

    assert outcome.err in ("0\n", "")
    assert queue.value("SELECT count(*) FROM content_generation_tasks") == 1


@pytest.mark.usefixtures("task")
@pytest.mark.parametrize("command", READING)
@pytest.mark.parametrize(
    ("output", "why"), [(CLOSED, "Bad file descriptor"), (FULL, "No space left")], ids=["closed", "full"]
)
def test_output_that_cannot_be_written_is_a_sentence(
    with_output: WithOutput, command: str, output: Output, why: str
) -> None:
    outcome = with_output(command, "stdout", output)

    assert outcome.code == 1
    assert outcome.error.startswith(why)


@pytest.mark.usefixtures("task")
@pytest.mark.parametrize("command", ["list", "--version"])
@pytest.mark.parametrize(("output", "why"), [(">&-", "Bad file descriptor"), ("> /dev/full", "No space left")])
def test_interpreter_has_nothing_to_add_as_it_starts_and_ends(
    in_shell: InShell, command: str, output: str, why: str
) -> None:
    outcome = in_shell(f"contentq {command} {output}")

    assert outcome.code == 1
    assert outcome.error.startswith(why)


@pytest.mark.usefixtures("task")
@pytest.mark.parametrize("output", [CLOSED, FULL], ids=["closed", "full"])
@pytest.mark.parametrize(
    ("command", "code"),
    [("submit --topic Tea", 2), ("list --nonsense", 2), ("list", 0)],
)
def test_error_output_that_cannot_be_written_keeps_the_exit_code(
    with_output: WithOutput, command: str, code: int, output: Output
) -> None:
    outcome = with_output(command, "stderr", output)

    assert (outcome.code, outcome.err) == (code, "")
    assert "Traceback" not in outcome.out


@pytest.mark.parametrize("errors", ["2>&-", "2> /dev/full"])
@pytest.mark.parametrize(("command", "code"), [("show nothing", 1), ("cancel nothing", 1), ("list --nonsense", 2)])
def test_interpreter_keeps_the_exit_code(in_shell: InShell, command: str, code: int, errors: str) -> None:
    outcome = in_shell(f"contentq {command} {errors}")

    assert (outcome.code, outcome.err, outcome.out) == (code, "", "")


def test_worker_without_standard_streams_works(in_shell: InShell, queue: Queue, task: str) -> None:
    outcome = in_shell("contentq worker --until-empty <&- >&- 2>&-")

    assert (outcome.code, outcome.err) == (0, "")
    assert queue.value("SELECT status FROM content_generation_tasks WHERE task_id = %s", task) == "completed"
