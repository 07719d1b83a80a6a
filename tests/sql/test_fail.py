"""fail(): the retry rules. max_attempts = max_retries + 1."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.support.queue import Held, Queue


def claim_again(queue: Queue, task: Held) -> Held:
    """Claims a task that waits for its retry, as if the retry were due."""
    queue.set(task.id, scheduled_at=None)
    (row,) = queue.claim(task.worker)
    assert row["id"] == task.id
    return Held(task.worker, row["id"], row["attempt"])


@pytest.mark.parametrize("max_retries", [0, 1, 3])
def test_task_is_attempted_once_more_than_it_may_be_retried(queue: Queue, max_retries: int) -> None:
    task = queue.running(max_retries=max_retries)

    for retry in range(1, max_retries + 1):
        assert queue.fail(task) == "pending"
        assert queue.row(task.id)["retry_count"] == retry
        task = claim_again(queue, task)

    assert task.attempt == max_retries + 1
    assert queue.fail(task, "The last straw") == "failed"
    row = queue.row(task.id)
    assert (row["status"], row["retry_count"]) == ("failed", max_retries)
    assert row["error_message"] == "The last straw"
    assert [error["attempt"] for error in row["attempt_errors"]] == list(range(1, max_retries + 2))


def test_task_that_goes_back_has_its_error_and_no_worker(queue: Queue) -> None:
    task = queue.running()
    before = queue.row(task.id)

    assert queue.fail(task, "Out of tea", error_class="TeaError") == "pending"

    after = queue.row(task.id)
    (error,) = after["attempt_errors"]
    at = datetime.fromisoformat(error.pop("at"))
    assert before["started_at"] < at <= queue.value("SELECT clock_timestamp()")
    assert error == {"attempt": 1, "worker_id": task.worker, "error_class": "TeaError", "message": "Out of tea"}
    changed = {"status": "pending", "retry_count": 1, "error_message": "Out of tea", "worker_id": None}
    volatile = {name: after[name] for name in ("xmin", "ctid", "updated_at", "scheduled_at", "attempt_errors")}
    assert after == {**before, **changed, **volatile}


def test_permanent_error_ends_the_task_at_once(queue: Queue) -> None:
    task = queue.running(max_retries=3)

    assert queue.fail(task, "No such topic", permanent=True, retry_after="1 hour") == "failed"

    row = queue.row(task.id)
    assert (row["retry_count"], row["error_message"], row["scheduled_at"]) == (0, "No such topic", None)
    assert [error["message"] for error in row["attempt_errors"]] == ["No such topic"]


def test_permanence_that_is_not_known_is_temporary(queue: Queue) -> None:
    assert queue.fail(queue.running(), permanent=None) == "pending"


def test_retry_waits_for_the_time_that_the_handler_named(queue: Queue) -> None:
    task = queue.running()

    queue.fail(task, retry_after="90 minutes")

    wait = queue.row(task.id)["scheduled_at"] - queue.value("SELECT clock_timestamp()")
    assert timedelta(minutes=89) < wait <= timedelta(minutes=90)
    assert queue.claim(task.worker) == []


@pytest.mark.parametrize("retry_after", ["0", "-1 hour"])
def test_retry_without_a_delay_is_ready_at_once(queue: Queue, retry_after: str) -> None:
    task = queue.running()

    queue.fail(task, retry_after=retry_after)

    assert queue.row(task.id)["scheduled_at"] is None
    assert [row["id"] for row in queue.claim(task.worker)] == [task.id]


def test_retry_waits_for_a_random_backoff_otherwise(queue: Queue) -> None:
    # So long that none of them becomes ready during the test.
    queue.run("UPDATE contentq.settings SET backoff_base = '1000 days', backoff_max = '1000 days'")
    waits = set()
    for _ in range(20):
        task = queue.running()
        queue.fail(task)
        waits.add(queue.row(task.id)["scheduled_at"] - queue.row(task.id)["updated_at"])

    assert len(waits) > 1
    assert all(timedelta(0) < wait < timedelta(days=1001) for wait in waits)


def test_last_failure_leaves_nothing_scheduled(queue: Queue) -> None:
    task = queue.running(max_retries=0)

    assert queue.fail(task, retry_after="1 hour") == "failed"
    assert queue.row(task.id)["scheduled_at"] is None


def test_last_twenty_errors_are_kept(queue: Queue) -> None:
    task = queue.running(max_retries=100)
    for number in range(1, 26):
        queue.fail(task, f"Error {number}", retry_after="0")
        # Otherwise the worker, whose every attempt fails, would have to wait.
        queue.run("UPDATE contentq.claimers SET quick_failures = 0")
        task = claim_again(queue, task)

    errors = queue.row(task.id)["attempt_errors"]

    assert [error["message"] for error in errors] == [f"Error {number}" for number in range(6, 26)]
    assert [error["attempt"] for error in errors] == list(range(6, 26))


@pytest.mark.parametrize("message", [None, ""])
def test_error_without_a_message_says_so(queue: Queue, message: str | None) -> None:
    task = queue.running()

    queue.fail(task, message)

    assert queue.row(task.id)["error_message"] == "no message given"


def test_message_is_kept_up_to_its_limit(queue: Queue) -> None:
    task = queue.running()
    message = "ä" * 8000

    queue.fail(task, message)

    row = queue.row(task.id)
    assert row["error_message"] == message
    assert row["attempt_errors"][0]["message"] == "ä" * 1000 + " ... (truncated from 8000 characters)"


def test_longer_message_is_cut_and_says_so(queue: Queue) -> None:
    task = queue.running()

    queue.fail(task, "x" * 8001)

    assert queue.row(task.id)["error_message"] == "x" * 8000 + " ... (truncated from 8001 characters)"
