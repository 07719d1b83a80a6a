"""revise(): stores a draft whose checks failed, and returns or ends its task, in one statement."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import psycopg
import pytest

from tests.support.queue import Held, Queue


def contents(queue: Queue) -> list[dict[str, Any]]:
    return queue.rows("SELECT id, account_id, title, body, word_count, review_status FROM contents ORDER BY id")


def claim_again(queue: Queue, task: Held) -> Held:
    (row,) = queue.claim(task.worker)
    assert row["id"] == task.id
    return Held(task.worker, row["id"], row["attempt"])


def test_draft_is_kept_and_the_task_goes_back_at_once(queue: Queue) -> None:
    task = queue.running()
    before = queue.row(task.id)

    assert queue.revise(task, "it has 2 words; write at least 300", ("Tea", "two words", 2)) == "pending"

    (draft,) = contents(queue)
    assert draft == {
        "id": draft["id"],
        "account_id": queue.account,
        "title": "Tea",
        "body": "two words",
        "word_count": 2,
        "review_status": "rejected",
    }
    after = queue.row(task.id)
    (error,) = after["attempt_errors"]
    assert before["started_at"] < datetime.fromisoformat(error.pop("at")) <= queue.now()
    said = "it has 2 words; write at least 300"
    assert error == {"attempt": 1, "worker_id": task.worker, "error_class": "CheckFailed", "message": said}
    changed = {
        "status": "pending",
        "content_id": draft["id"],
        "revision_count": 1,
        "error_message": said,
        "revision_note": said,
        "worker_id": None,
    }
    volatile = {name: after[name] for name in ("xmin", "ctid", "updated_at", "attempt_errors")}
    assert after == {**before, **changed, **volatile}
    assert claim_again(queue, task).attempt == 2


def test_what_the_handler_has_kept_is_forgotten(queue: Queue) -> None:
    task = queue.running()
    queue.set(task.id, handler_state='{"batch": 7}')

    queue.revise(task)

    assert queue.row(task.id)["handler_state"] is None


@pytest.mark.parametrize("max_revisions", [0, 1, 3])
def test_task_fails_with_its_draft_when_no_revision_is_left(queue: Queue, max_revisions: int) -> None:
    task = queue.running(max_retries=0)

    for revision in range(1, max_revisions + 1):
        assert queue.revise(task, max_revisions=max_revisions) == "pending"
        assert queue.row(task.id)["revision_count"] == revision
        task = claim_again(queue, task)

    assert queue.revise(task, "Still too short", max_revisions=max_revisions) == "failed"
    row = queue.row(task.id)
    assert (row["status"], row["retry_count"], row["revision_count"]) == ("failed", 0, max_revisions)
    assert (row["error_message"], row["worker_id"]) == ("Still too short", None)
    stored = contents(queue)
    assert [each["review_status"] for each in stored] == ["rejected"] * (max_revisions + 1)
    assert row["content_id"] == stored[-1]["id"]
    assert len(row["attempt_errors"]) == max_revisions + 1


@pytest.mark.parametrize("auto_approve", [True, False])
def test_last_draft_waits_for_its_review_when_it_is_to(queue: Queue, auto_approve: bool) -> None:
    task = queue.running(auto_approve=auto_approve)
    assert queue.revise(task, max_revisions=1, keep_for_review=True) == "pending"
    task = claim_again(queue, task)

    status = queue.revise(
        task, 'too short\nno "heading"', extra=' {"model": "x"} ', max_revisions=1, keep_for_review=True
    )

    assert status == "completed"
    first, last = contents(queue)
    assert (first["review_status"], last["review_status"]) == ("rejected", "pending")
    row = queue.row(task.id)
    assert row["result"] == {
        "success": True,
        "content_id": last["id"],
        "word_count": 2,
        "failed_checks": ["too short", 'no "heading"'],
        "model": "x",
    }
    assert row["content_id"] == last["id"]
    assert (row["error_message"], row["revision_note"], row["revision_count"]) == (None, None, 1)
    assert row["completed_at"] is not None
    assert len(row["attempt_errors"]) == 2


def test_without_a_draft_there_is_nothing_to_review(queue: Queue) -> None:
    task = queue.running()
    assert queue.revise(task, draft=None, max_revisions=1, keep_for_review=True) == "pending"
    task = claim_again(queue, task)

    assert queue.revise(task, draft=None, max_revisions=1, keep_for_review=True) == "failed"

    assert contents(queue) == []
    assert queue.row(task.id)["content_id"] is None


def test_revision_that_counts_as_nothing_known_is_one_of_two(queue: Queue) -> None:
    task = queue.running()
    for _ in range(2):
        assert queue.revise(task, None, max_revisions=None, keep_for_review=None) == "pending"
        task = claim_again(queue, task)

    assert queue.revise(task, " \n", max_revisions=None, keep_for_review=None) == "failed"

    assert queue.row(task.id)["error_message"] == "no message given"


def test_note_outlives_failures_and_refusals_of_the_revision(queue: Queue) -> None:
    task = queue.running()
    queue.revise(task, "it is too short")
    task = claim_again(queue, task)
    queue.fail(task, "503", retry_after="0")
    task = claim_again(queue, task)
    queue.snooze(task, "0", "429")

    (row,) = queue.claim(task.worker)

    assert (row["error_message"], row["revision_note"]) == ("429", "it is too short")
    assert (row["retry_count"], row["revision_count"]) == (1, 1)


@pytest.mark.parametrize("how", ["store", "complete"])
def test_completion_forgets_the_note_and_keeps_the_count(queue: Queue, how: str) -> None:
    task = queue.running()
    queue.revise(task)
    task = claim_again(queue, task)

    assert getattr(queue, how)(task.worker, [task]) == [task.id]

    row = queue.row(task.id)
    assert (row["status"], row["revision_count"], row["revision_note"]) == ("completed", 1, None)


def test_requeue_gives_all_revisions_back_and_keeps_the_note(queue: Queue) -> None:
    task = queue.running()
    queue.revise(task, "it is too short")
    assert queue.revise(claim_again(queue, task), "it is still too short", max_revisions=1) == "failed"

    assert queue.requeue(task.id) == "pending"

    row = queue.row(task.id)
    assert (row["revision_count"], row["revision_note"]) == (0, "it is still too short")
    assert row["content_id"] == contents(queue)[-1]["id"]


def test_note_of_a_reviewer_is_what_is_to_be_changed(queue: Queue) -> None:
    task = queue.running()
    queue.store(task.worker, [task])
    queue.run("UPDATE contents SET review_status = 'rejected'")

    queue.requeue(task.id, "Leave out the disclaimer")

    assert queue.row(task.id)["revision_note"] == "Leave out the disclaimer"


def test_stale_worker_keeps_no_draft(queue: Queue) -> None:
    task = queue.running()
    queue.release(task.worker, [task])
    after = queue.row(task.id)

    assert queue.revise(task, extra='{"model": "x", "cost": 1}') is None
    assert queue.revise(Held(task.worker, task.id, task.attempt + 1)) is None

    assert contents(queue) == []
    assert queue.row(task.id) == after
    assert queue.usage() == []


def test_same_report_twice_keeps_one_draft(queue: Queue) -> None:
    task = queue.running()
    extra = '{"model": "x", "prompt_tokens": 10, "completion_tokens": 5, "cost": 0.5}'

    assert [queue.revise(task, extra=extra) for _ in range(2)] == ["pending", None]

    assert len(contents(queue)) == 1
    assert queue.row(task.id)["revision_count"] == 1
    assert [usage["attempts"] for usage in queue.usage()] == [1]


def test_cancelled_task_keeps_no_draft_and_its_cost_counts(queue: Queue) -> None:
    task = queue.running()
    queue.cancel(task.id)

    assert queue.revise(task, extra='{"model": "x", "cost": 1}') == "failed"

    row = queue.row(task.id)
    assert (row["status"], row["error_message"], row["revision_count"]) == ("failed", "Task cancelled", 0)
    assert contents(queue) == []
    assert [usage["cost"] for usage in queue.usage()] == [1]


def test_task_past_its_deadline_keeps_no_draft(queue: Queue) -> None:
    task = queue.running()
    queue.set(task.id, timeout_at=queue.now())

    assert queue.revise(task, extra='{"model": "x", "cost": 1}') == "timeout"

    assert contents(queue) == []
    assert [usage["cost"] for usage in queue.usage()] == [1]


@pytest.mark.parametrize("max_revisions", [0, 1])
def test_cost_is_counted_once_whatever_becomes_of_the_task(queue: Queue, max_revisions: int) -> None:
    task = queue.running()
    extra = '{"model": "x", "prompt_tokens": 10, "completion_tokens": 5, "cost": 0.5}'

    queue.revise(task, extra=extra, max_revisions=max_revisions, keep_for_review=True)

    (usage,) = queue.usage()
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["attempts"]) == (10, 5, 1)


@pytest.mark.parametrize("extra", ["[1]", "7", "{", '{"a": "\\u0000"}'])
def test_extra_that_is_no_object_changes_nothing(queue: Queue, extra: str) -> None:
    task = queue.running()
    before = queue.row(task.id)

    with pytest.raises(psycopg.DataError):
        queue.revise(task, extra=extra, max_revisions=0, keep_for_review=True)

    assert queue.row(task.id) == before
    assert contents(queue) == []


def test_long_title_is_cut_and_a_long_message_says_so(queue: Queue) -> None:
    task = queue.running()

    queue.revise(task, "x" * 10_000, ("T" * 600, "body", 1))

    (draft,) = contents(queue)
    assert len(draft["title"]) == 500
    assert queue.row(task.id)["revision_note"].endswith("(truncated from 10000 characters)")


def test_revision_wakes_idle_workers(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    task = queue.running()
    listener = connect_queue()
    listener.run("LISTEN contentq_ready")

    queue.revise(task)

    assert next(iter(listener.connection.notifies(timeout=10, stop_after=1))).channel == "contentq_ready"


def test_failed_check_is_an_answer_of_the_provider(queue: Queue) -> None:
    worker = queue.register(gate="api.example.com")
    task = queue.running(worker)

    queue.revise(task, extra='{"model": "x", "prompt_tokens": 10, "completion_tokens": 5}')

    (row,) = queue.rows("SELECT answered, tokens FROM contentq.claimers WHERE worker_id = %s", worker)
    assert row == {"answered": 1, "tokens": 15}


def test_revision_is_no_reason_to_snooze_for_longer(queue: Queue) -> None:
    task = queue.running()
    for _ in range(2):
        queue.revise(task)
        task = claim_again(queue, task)

    assert queue.refuse(task, "elsewhere")

    assert (queue.row(task.id)["scheduled_at"] - queue.now()).total_seconds() < 1.5
