"""contentq list, requeue, cancel and delete with options that select tasks; contentq errors."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.terminal import on_terminal
from tests.support.queue import Queue


@pytest.fixture
def tasks(queue: Queue) -> dict[str, int]:
    """Tasks of two accounts, by task_id."""
    grace = queue.add_account("Grace")
    tasks: dict[str, dict[str, Any]] = {
        "waits": {"category": "news", "batch": "spring"},
        "other-waits": {"account_id": grace, "batch": "spring"},
        "old": {"submitted_at": queue.now() - timedelta(hours=3)},
        "answered-503": {"status": "failed", "error_message": "api.example answered 503", "batch": "spring"},
        "answered-504": {"status": "failed", "error_message": "api.example answered 504", "account_id": grace},
        "broke": {"status": "failed", "error_message": "It broke"},
        "late": {"status": "timeout", "error_message": "Task execution timeout"},
        "done": {"status": "completed", "completed_at": "2020-01-01"},
        "runs": {"status": "processing", "started_at": "2020-01-01", "worker_id": 7},
    }
    return {name: queue.add(task_id=name, **columns) for name, columns in tasks.items()}


def statuses(queue: Queue) -> dict[str, str]:
    return {row["task_id"]: row["status"] for row in queue.rows("SELECT task_id, status FROM contentq.tasks")}


@pytest.mark.usefixtures("tasks")
@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--error", "ANSWERED"], ["answered-504", "answered-503"]),
        (["--error", "api.example answered #"], ["answered-504", "answered-503"]),
        (["--error", "answered", "--account", "Grace"], ["answered-504"]),
        (["--batch", "spring", "--status", "pending"], ["other-waits", "waits"]),
        (["--category", "news"], ["waits"]),
        (["--until", "2h"], ["old"]),
        (["--since", "2h", "--status", "pending"], ["other-waits", "waits"]),
        (["--since", "2020-01-01", "--until", "2020-01-01T00:00:01+00:00"], []),
        (["--worker", "7"], ["runs"]),
        (["--limit", "1", "--status", "failed"], ["broke"]),
    ],
)
def test_list_can_be_narrowed(contentq: Run, options: list[str], found: list[str]) -> None:
    outcome = contentq("list", "--json", *options)
    assert outcome.code == 0
    assert [task["task_id"] for task in contentq("list", "--json", *options).json] == found


def test_all_of_one_error_are_put_back(contentq: Run, queue: Queue, tasks: dict[str, int]) -> None:
    before = statuses(queue)

    outcome = contentq("requeue", "--error", "api.example answered #", "--note", "Again")

    assert (outcome.code, outcome.out, outcome.err) == (0, "2 tasks are pending again\n", "")
    assert statuses(queue) == {**before, "answered-503": "pending", "answered-504": "pending"}
    assert queue.row(tasks["answered-503"])["error_message"] == "Again"


@pytest.mark.usefixtures("tasks")
def test_batch_is_cancelled(contentq: Run, queue: Queue) -> None:
    before = statuses(queue)

    assert contentq("cancel", "--batch", "spring", "--json").json == {"changed": 2, "locked": 0}

    assert statuses(queue) == {**before, "waits": "failed", "other-waits": "failed"}


@pytest.mark.usefixtures("tasks")
def test_tasks_are_deleted_by_name_and_by_selection(contentq: Run, queue: Queue) -> None:
    outcome = contentq("delete", "done", "runs", "no-such")

    assert (outcome.code, outcome.out) == (1, "done is deleted\n")
    assert outcome.err == (
        "Error: runs: it is processing; cancel it first, then delete it when it has ended\n"
        "Error: no-such: no such task; find it with: contentq list\n"
    )
    assert contentq("delete", "--account", "Grace").out == "2 tasks are deleted\n"
    assert contentq("delete", "--status", "timeout").out == "1 task is deleted\n"
    assert sorted(statuses(queue)) == ["answered-503", "broke", "old", "runs", "waits"]


@pytest.mark.usefixtures("tasks")
@pytest.mark.parametrize(
    ("command", "left"),
    [
        ("requeue", {"pending", "processing", "completed"}),
        ("cancel", {"completed", "failed", "timeout", "processing"}),
        ("delete", {"processing"}),
    ],
)
def test_all_means_those_that_it_can_be_done_to(contentq: Run, queue: Queue, command: str, left: set[str]) -> None:
    queue.set(queue.value("SELECT id FROM contentq.tasks WHERE task_id = 'runs'"), worker_id=None)
    if command == "cancel":
        left -= {"processing"}

    assert contentq(command, "--all").code == 0
    assert {*statuses(queue).values()} == left


@pytest.mark.usefixtures("tasks")
@pytest.mark.parametrize("command", ["requeue", "cancel", "delete"])
def test_dry_run_counts_and_changes_nothing(contentq: Run, queue: Queue, command: str) -> None:
    before = queue.rows("SELECT xmin::text, * FROM content_generation_tasks ORDER BY id")

    found = contentq(command, "--all", "--dry-run", "--json").json
    said = contentq(command, "--all", "--dry-run").out

    assert queue.rows("SELECT xmin::text, * FROM content_generation_tasks ORDER BY id") == before
    changed = {"requeue": {"failed": 3, "timeout": 1}, "cancel": {"pending": 3, "processing": 1}}
    by_status = changed.get(command, {"pending": 3, "completed": 1, "failed": 3, "timeout": 1})
    assert found["by_status"] == by_status
    assert found["would_change"] == sum(by_status.values())
    assert len(found["examples"]) == min(5, found["would_change"])
    assert {task["status"] for task in found["examples"]} <= by_status.keys()
    assert said.startswith(f"would {command} {found['would_change']} tasks\n")
    assert found["examples"][0]["task_id"] in said


def test_dry_run_of_nothing_is_one_line(contentq: Run) -> None:
    assert contentq("delete", "--batch", "none", "--dry-run").out == "would delete 0 tasks\n"


@pytest.mark.parametrize("command", ["requeue", "cancel", "delete"])
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "no tasks given: name task ids, or select tasks with options such as --status, --batch or --all"),
        (["--dry-run"], "no tasks given"),
        (["task-1", "--status", "failed"], "give either task ids or options that select tasks, not both"),
        (["task-1", "--dry-run"], "give either task ids or options that select tasks, not both"),
        (["--all", "--batch", "x"], "--all cannot be combined with options that select tasks"),
        (["--batch", ""], "the value is empty"),
        (["--since", "yesterday"], "neither a time nor a duration"),
        (["--until", "2030-02-31"], "neither a time nor a duration"),
        (["--worker", "0"], "0 is not in the range"),
        (["--status", "gone"], "'gone' is not one of"),
    ],
)
def test_unclear_selection_is_wrong_usage(contentq: Run, command: str, arguments: list[str], why: str) -> None:
    outcome = contentq(command, *arguments)

    assert (outcome.code, outcome.out) == (2, "")
    assert why in outcome.err


@pytest.mark.parametrize(
    ("command", "status"), [("requeue", "pending"), ("cancel", "failed"), ("delete", "processing")]
)
def test_status_that_it_cannot_be_done_to_is_wrong_usage(contentq: Run, command: str, status: str) -> None:
    outcome = contentq(command, "--status", status)

    assert outcome.code == 2
    assert f"cannot {command} tasks with status '{status}'; possible: " in outcome.error


def test_more_tasks_than_go_into_a_step_are_changed(contentq: Run, queue: Queue) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, batch) SELECT %s, 'all' FROM generate_series(1, 2001)",
        queue.account,
    )

    assert contentq("cancel", "--batch", "all").out == (
        "2001 tasks are cancelled or being stopped by their workers\n"
    )
    assert contentq("requeue", "--batch", "all").out == "2001 tasks are pending again\n"
    assert contentq("delete", "--batch", "all").out == "2001 tasks are deleted\n"


@pytest.mark.slow
def test_locked_tasks_are_left_and_told(contentq: Run, queue: Queue) -> None:
    locked = queue.add(batch="all")
    queue.add(batch="all")
    with queue.connection.transaction():
        queue.run("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", locked)
        outcome = contentq("cancel", "--batch", "all")

    assert (outcome.code, outcome.out) == (1, "1 task is cancelled or being stopped by its worker\n")
    assert outcome.err == (
        "Error: 1 task locked by another session and not changed; "
        "run the command again when that session has ended\n"
    )
    assert queue.status(locked) == "pending"


@pytest.mark.usefixtures("tasks")
def test_bar_is_drawn_on_a_terminal_only(dsn: str, contentq: Run) -> None:
    assert "━" not in contentq("requeue", "--all").err
    code, shown = on_terminal("cancel", "--all", DATABASE_URL=dsn)
    assert code == 0
    assert "━" in shown
    assert "are cancelled" in shown


@pytest.mark.usefixtures("tasks")
def test_errors_are_shown_by_kind(contentq: Run) -> None:
    outcome = contentq("errors")

    assert (outcome.code, outcome.err) == (0, "")
    heading, first, *_ = outcome.out.splitlines()
    assert heading.split() == ["tasks", "failed", "timeout", "retrying", "accounts", "last_at", "error"]
    assert first.split()[:5] == ["2", "2", "0", "0", "2"]
    assert first.endswith("  api.example answered #")
    found = contentq("errors", "--json").json
    assert found[0]["error"] == "api.example answered #"
    assert {row["error"]: row["example"] for row in found}["It broke"] == "broke"
    assert len(contentq("errors", "--json", "--since", "1h").json) == 3
    assert contentq("errors", "--since", "2999-01-01").out == "no errors\n"
    assert contentq("errors", "--limit", "1").err == "more kinds exist: raise --limit\n"


def test_old_failed_tasks_are_cleaned_up_on_demand(contentq: Run, queue: Queue) -> None:
    old = queue.now() - timedelta(days=40)
    queue.add(status="failed", updated_at=old)
    kept = queue.add(status="timeout")

    assert contentq("cleanup").out == "0 completed tasks deleted\n"
    outcome = contentq("cleanup", "--failed-older-than", "30d")
    assert outcome.out == "0 completed tasks deleted\n1 failed or timed-out task deleted\n"
    assert contentq("cleanup", "--failed-older-than", "30d", "--json").json == {"deleted": 0, "failed_deleted": 0}
    assert queue.values("SELECT id FROM contentq.tasks") == [kept]
