"""contentq requeue, cancel, maintain and cleanup."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.cli.conftest import Run
from tests.support.queue import Queue

RETRY_RULE = "only failed and timed-out tasks, and completed tasks with rejected content, can be requeued"


@pytest.fixture
def tasks(queue: Queue) -> dict[str, int]:
    """A task of each status, named after it; the ids."""
    ids = {"processing": queue.running(task_id="processing").id}
    ids["pending"] = queue.add(task_id="pending")
    ids["completed"] = queue.add(task_id="completed", status="completed", completed_at="now")
    ids["failed"] = queue.add(task_id="failed", status="failed", retry_count=3, error_message="It broke")
    ids["timeout"] = queue.add(task_id="timeout", status="timeout", timeout_at="2020-01-01")
    return ids


def test_retry_puts_tasks_back_with_all_their_retries(contentq: Run, queue: Queue, tasks: dict[str, int]) -> None:
    outcome = contentq("requeue", "failed", "timeout")

    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == "failed is pending again\ntimeout is pending again\n"
    failed, timeout = queue.row(tasks["failed"]), queue.row(tasks["timeout"])
    assert (failed["status"], failed["retry_count"]) == ("pending", 0)
    assert (timeout["status"], timeout["timeout_at"]) == ("pending", None)


def test_retry_with_a_note_tells_the_handler(contentq: Run, queue: Queue, tasks: dict[str, int]) -> None:
    assert contentq("requeue", "failed", "timeout", "--note", "Name the source").code == 0

    assert {queue.row(tasks[name])["error_message"] for name in ("failed", "timeout")} == {"Name the source"}


def test_retry_puts_a_task_with_rejected_content_back(contentq: Run, queue: Queue) -> None:
    task = queue.running(task_id="post-7", auto_approve=False)
    queue.store(task.worker, [task])
    queue.run("UPDATE contents SET review_status = 'rejected'")

    assert contentq("requeue", "post-7", "--note", "Too long").out == "post-7 is pending again\n"

    row = queue.row(task.id)
    assert (row["status"], row["error_message"], row["content_id"] is None) == ("pending", "Too long", False)


def test_cancel_ends_what_waits_and_stops_what_runs(contentq: Run, queue: Queue, tasks: dict[str, int]) -> None:
    outcome = contentq("cancel", "pending", "processing")

    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == "pending is cancelled\nprocessing is being stopped by its worker\n"
    pending, processing = queue.row(tasks["pending"]), queue.row(tasks["processing"])
    assert (pending["status"], pending["error_message"]) == ("failed", "Task cancelled")
    assert (processing["status"], processing["cancel_requested_at"] is None) == ("processing", False)


@pytest.mark.parametrize(
    ("command", "good", "refused", "rule"),
    [
        ("requeue", "failed", "processing", RETRY_RULE),
        ("requeue", "failed", "completed", RETRY_RULE),
        ("cancel", "pending", "completed", "only pending and processing tasks can be cancelled"),
        ("cancel", "pending", "timeout", "only pending and processing tasks can be cancelled"),
    ],
)
def test_what_is_refused_is_told_and_the_others_are_done(
    contentq: Run, queue: Queue, tasks: dict[str, int], command: str, good: str, refused: str, rule: str
) -> None:
    before = queue.row(tasks[refused])

    outcome = contentq(command, "no-such", refused, good)

    assert outcome.code == 1
    assert outcome.out.startswith(f"{good} is ")
    assert (
        outcome.err == "Error: no-such: no such task; find it with: contentq list\n"
        f"Error: {refused}: it is {refused}; {rule}\n"
    )
    assert queue.status(tasks[good]) != good
    assert queue.row(tasks[refused]) == before


@pytest.mark.usefixtures("tasks")
@pytest.mark.parametrize(
    ("command", "good", "after"), [("requeue", "failed", "pending"), ("cancel", "pending", "failed")]
)
def test_json_has_what_became_of_each(contentq: Run, command: str, good: str, after: str) -> None:
    assert contentq(command, good, "--json").json == [{"task_id": good, "status": after, "error": None}]


@pytest.mark.parametrize("command", ["requeue", "cancel"])
def test_id_in_place_of_a_task_id_is_recognised(contentq: Run, queue: Queue, command: str) -> None:
    id_ = queue.add(task_id="post-7")

    said = f"Error: {id_}: no such task, but {id_} is an id; its task_id is post-7\n"
    assert contentq(command, str(id_)).err == said


def test_json_has_what_was_refused_and_the_exit_code_tells(contentq: Run) -> None:
    outcome = contentq("cancel", "no-such", "--json")

    assert (outcome.code, outcome.err) == (1, "")
    assert '"error": "no such task; find it with: contentq list"' in outcome.out


def test_sweep_ends_overdue_tasks_and_takes_back_those_of_silent_workers(contentq: Run, queue: Queue) -> None:
    held = queue.running()
    overdue = [queue.add(timeout_at="2020-01-01") for _ in range(2)]
    waits = queue.add(timeout_at="2130-01-01")
    queue.silence(held.worker)

    outcome = contentq("maintain")

    assert (outcome.code, outcome.out, outcome.err) == (0, "2 timed out, 1 rescued\n", "")
    assert [queue.status(id_) for id_ in (*overdue, waits)] == ["timeout", "timeout", "pending"]
    assert (queue.status(held.id), queue.row(held.id)["retry_count"]) == ("pending", 1)


def test_sweep_ends_more_tasks_than_go_into_one_batch(contentq: Run, queue: Queue) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, timeout_at) "
        "SELECT %s, '2020-01-01' FROM generate_series(1, 2001)",
        queue.account,
    )

    assert contentq("maintain", "--json").json == {"timed_out": 2001, "rescued": 0}
    assert contentq("maintain", "--json").json == {"timed_out": 0, "rescued": 0}


def test_cleanup_deletes_old_completed_tasks(contentq: Run, queue: Queue) -> None:
    now = queue.value("SELECT now()")
    kept = [
        queue.add(status="completed", completed_at=now - timedelta(days=29)),
        queue.add(status="failed", submitted_at=now - timedelta(days=99)),
        queue.add(submitted_at=now - timedelta(days=99)),
    ]
    queue.add(status="completed", completed_at=now - timedelta(days=31))

    outcome = contentq("cleanup")

    assert (outcome.code, outcome.out, outcome.err) == (0, "1 completed task deleted\n", "")
    assert queue.values("SELECT id FROM content_generation_tasks ORDER BY id") == kept
    assert contentq("cleanup", "--older-than", "28d12h").out == "1 completed task deleted\n"


def test_cleanup_keeps_the_content(contentq: Run, queue: Queue) -> None:
    held = queue.running()
    queue.store(held.worker, [held])
    queue.set(held.id, completed_at="2020-01-01")

    assert contentq("cleanup", "--json").json == {"deleted": 1}
    assert queue.values("SELECT title FROM contents") == [f"Title {held.id}"]


def test_cleanup_deletes_more_tasks_than_go_into_one_batch(contentq: Run, queue: Queue) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, completed_at) "
        "SELECT %s, 'completed', '2020-01-01' FROM generate_series(1, 2001)",
        queue.account,
    )

    assert contentq("cleanup").out == "2001 completed tasks deleted\n"


@pytest.mark.parametrize("duration", ["30", "x", "-1d", "1d 2h", "365001d", "9999999999d"])
def test_duration_that_is_none_is_wrong_usage(contentq: Run, duration: str) -> None:
    assert contentq("cleanup", "--older-than", duration).code == 2
