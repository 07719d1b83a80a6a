"""The handler command in a worker: when an attempt is stopped, its program ends and the row shows the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from contentq.engine.worker import Ending
from contentq.handlers.commands.handler import CommandHandler

from tests.engine.conftest import Database, Insert, Row, RunningWorker, StartWorker
from tests.support.traces import Trace
from tests.support.waiting import eventually

ENDLESS = "sleep 600 & (trap '' TERM; sleep 600) & echo begun >&2; wait"


@pytest.fixture
def trace(tmp_path: Path) -> Iterator[Trace]:
    made = Trace(tmp_path / "trace")
    yield made
    made.close()


@pytest.fixture
def program(trace: Trace) -> Callable[[str], CommandHandler]:
    """The handler for a script that leaves a trace."""
    return lambda script: CommandHandler(["/bin/sh", "-c", f"exec 9> '{trace.path}'; {script}"])


Program = Callable[[str], CommandHandler]
WorkOff = Callable[..., RunningWorker]


def test_content_is_stored_with_its_result(
    work_off: WorkOff, insert: Insert, row: Row, database: Database, program: Program
) -> None:
    id_ = insert()
    work_off(program("""printf '%s' '{"title": "Soup", "body": "# Soup\\n\\nHot.", "model": "m"}'"""))

    task = row(id_)
    assert (task.status, task.error_message) == ("completed", None)
    assert task.result == {"success": True, "content_id": task.content_id, "word_count": 2, "model": "m"}
    assert database.execute("SELECT title, body FROM contents").fetchall() == [("Soup", "# Soup\n\nHot.")]


def test_no_output_is_a_success(work_off: WorkOff, insert: Insert, row: Row, program: Program) -> None:
    id_ = insert()
    work_off(program("true"))
    assert (row(id_).status, row(id_).result) == ("completed", {"success": True})


@pytest.mark.parametrize(
    ("script", "status", "attempts", "retries", "message"),
    [
        ("echo no such model >&2; exit 1", "failed", 1, 0, "/bin/sh ended with exit code 1: no such model"),
        ("echo busy >&2; exit 75", "failed", 2, 1, "/bin/sh ended with exit code 75: busy"),
        ("""echo '{"retry_after": 0.01}'; exit 75""", "failed", 2, 1, "/bin/sh ended with exit code 75"),
        ("kill -KILL $$", "failed", 2, 1, "/bin/sh was killed by SIGKILL (out of memory?)"),
    ],
)
def test_failure_is_in_the_row(  # noqa: PLR0913 (fixtures and one row of the table)
    work_off: WorkOff,
    insert: Insert,
    row: Row,
    database: Database,
    program: Program,
    script: str,
    status: str,
    attempts: int,
    retries: int,
    message: str,
) -> None:
    database.execute("UPDATE contentq.settings SET backoff_base = '1 millisecond'")
    id_ = insert(max_retries=1)
    work_off(program(script))

    task = row(id_)
    assert (task.status, task.attempt, task.retry_count) == (status, attempts, retries)
    assert task.error_message == message


def test_rate_limit_charges_no_retry(work_off: WorkOff, insert: Insert, row: Row, program: Program) -> None:
    id_ = insert(max_retries=0)
    refuse = """echo '{"rate_limited": true, "retry_after": 0.01}'; exit 75"""
    work_off(program(f"""if grep -q '"attempt": 1,'; then {refuse}; fi"""))

    task = row(id_)
    assert (task.status, task.attempt, task.retry_count) == ("completed", 2, 0)


@pytest.mark.slow
def test_deadline_kills_the_whole_group(
    start_worker: StartWorker, insert: Insert, row: Row, trace: Trace, program: Program
) -> None:
    start_worker(program(ENDLESS))
    id_ = insert(timeout_at=datetime.now(UTC) + timedelta(seconds=1.5))
    eventually(trace.is_held)

    eventually(lambda: row(id_).status == "timeout")

    eventually(lambda: not trace.is_held())
    assert row(id_).error_message == "Task execution timeout"


@pytest.mark.slow
def test_cancelling_kills_the_whole_group(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, trace: Trace, program: Program
) -> None:
    running = start_worker(program(ENDLESS))
    id_ = insert(task_id="task-endless")
    eventually(trace.is_held)

    database.execute("SELECT contentq.cancel('task-endless')")

    eventually(lambda: not trace.is_held())
    eventually(lambda: running.worker._runner.busy == 0)
    eventually(lambda: (row(id_).status, row(id_).error_message) == ("failed", "Task cancelled"))


@pytest.mark.parametrize("signals", [1, 2])
def test_stopping_worker_kills_the_whole_group_and_gives_the_task_back(
    start_worker: StartWorker, insert: Insert, row: Row, trace: Trace, program: Program, signals: int
) -> None:
    running = start_worker(program(ENDLESS), grace=0.2 if signals == 1 else 600)
    id_ = insert()
    eventually(trace.is_held)

    for _ in range(signals):
        running.stop()

    assert running.ending() is Ending.RELEASED
    assert not trace.is_held()
    task: Any = row(id_)
    assert (task.status, task.retry_count, task.error_message) == ("pending", 0, None)


def test_progress_that_a_program_tells_is_no_line_of_the_log(
    work_off: WorkOff, insert: Insert, row: Row, program: Program, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "contentq.handlers.command")
    id_ = insert(task_id="task-soup")
    work_off(program("echo contentq:progress 0.5 half >&2; echo stirring >&2"))

    assert row(id_).status == "completed"
    lines = [record.getMessage() for record in caplog.records if record.name == "contentq.handlers.command"]
    assert lines == ["task=task-soup attempt=1 stirring"]
