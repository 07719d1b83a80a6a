"""complete(): many tasks in one call."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.queue import Held, Queue


def claimed(queue: Queue, worker: int, count: int) -> list[Held]:
    for _ in range(count):
        queue.add()
    return [Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker, count)]


def content(queue: Queue, review_status: str = "pending") -> int:
    query = "INSERT INTO contents (account_id, title, body, review_status) VALUES (%s, 'T', 'B', %s) RETURNING id"
    return int(queue.value(query, queue.account, review_status))


def test_completed_task_has_its_result_and_no_worker(queue: Queue) -> None:
    task = queue.running(error_message="An earlier error", retry_count=1)
    before = queue.row(task.id)

    assert queue.complete(task.worker, [task], ['{"success": true}']) == [task.id]

    after = queue.row(task.id)
    assert after["completed_at"] > before["started_at"]
    changed = {"status": "completed", "result": {"success": True}, "error_message": None, "worker_id": None}
    volatile = {name: after[name] for name in ("xmin", "ctid", "updated_at", "completed_at")}
    assert after == {**before, **changed, **volatile}


def test_results_are_optional(queue: Queue, worker: int) -> None:
    tasks = claimed(queue, worker, 2)

    assert queue.complete(worker, tasks, [None, "{}"]) == [task.id for task in tasks]
    assert [queue.row(task.id)["result"] for task in tasks] == [None, {}]


def test_result_is_kept_as_written(queue: Queue) -> None:
    task, text = queue.running(), '{"b": 1,   "a": 1.50}'

    queue.complete(task.worker, [task], [text])

    assert queue.value("SELECT result::text FROM content_generation_tasks") == text


def test_each_task_of_a_batch_gets_its_own_result_whatever_the_order(queue: Queue, worker: int) -> None:
    tasks = claimed(queue, worker, 50)[::-1]

    counted = queue.complete(worker, tasks, [f'{{"of": {task.id}}}' for task in tasks])

    assert counted == sorted(task.id for task in tasks)
    assert [queue.row(task.id)["result"] for task in tasks] == [{"of": task.id} for task in tasks]


def test_task_named_twice_counts_once(queue: Queue) -> None:
    task = queue.running()

    assert queue.complete(task.worker, [task, task], ['{"a": 1}', '{"a": 1}']) == [task.id]


def test_empty_batch_is_nothing(queue: Queue, worker: int) -> None:
    assert queue.complete(worker, []) == []


def test_task_without_an_attempt_does_not_count(queue: Queue, worker: int) -> None:
    first, second = claimed(queue, worker, 2)
    before = queue.row(second.id)

    counted = queue.values("SELECT contentq.complete(%s, %s, %s)", worker, [first.id, second.id], [first.attempt])

    assert counted == [first.id]
    assert queue.row(second.id) == before


def test_more_results_than_tasks_change_nothing_else(queue: Queue, worker: int) -> None:
    first, second = claimed(queue, worker, 2)
    before = queue.row(second.id)

    assert queue.complete(worker, [first], ['{"a": 1}', '{"b": 2}']) == [first.id]
    assert queue.row(first.id)["result"] == {"a": 1}
    assert queue.row(second.id) == before


@pytest.mark.parametrize(
    ("result", "sqlstate"),
    [
        ("not JSON", "22P02"),
        ("", "22P02"),
        ('{"score": NaN}', "22P02"),
        (r'{"text": "\u0000"}', "22P05"),
        (r'{"text": "\udc00"}', "22P02"),
        ("[" * 100_000 + "]" * 100_000, "54001"),
    ],
    ids=["not JSON", "empty", "NaN", "the character zero", "a lone surrogate", "nested too deeply"],
)
def test_result_that_is_refused_leaves_the_whole_batch_as_it_was(
    queue: Queue, worker: int, result: str, sqlstate: str
) -> None:
    tasks = claimed(queue, worker, 3)
    before = [queue.row(task.id) for task in tasks]

    with pytest.raises(psycopg.Error) as refused:
        queue.complete(worker, tasks, ["{}", result, "{}"])

    assert refused.value.sqlstate == sqlstate
    assert [queue.row(task.id) for task in tasks] == before


def test_content_is_linked_and_approved(queue: Queue) -> None:
    task, made = queue.running(), content(queue)

    queue.complete(task.worker, [task], content_ids=[made])

    assert queue.row(task.id)["content_id"] == made
    assert queue.value("SELECT review_status FROM contents WHERE id = %s", made) == "approved"


def test_content_of_a_task_without_auto_approve_waits_for_its_review(queue: Queue) -> None:
    task, made = queue.running(auto_approve=False), content(queue)

    queue.complete(task.worker, [task], content_ids=[made])

    assert queue.row(task.id)["content_id"] == made
    assert queue.value("SELECT review_status FROM contents WHERE id = %s", made) == "pending"


def test_rejected_content_stays_rejected(queue: Queue) -> None:
    task, made = queue.running(), content(queue, "rejected")

    queue.complete(task.worker, [task], content_ids=[made])

    assert queue.value("SELECT review_status FROM contents WHERE id = %s", made) == "rejected"


def test_content_that_the_task_had_already_is_kept_and_not_reviewed_again(queue: Queue) -> None:
    made = content(queue)
    task = queue.running(content_id=made)

    queue.complete(task.worker, [task], ["{}"])

    assert queue.row(task.id)["content_id"] == made
    assert queue.value("SELECT review_status FROM contents WHERE id = %s", made) == "pending"


def test_content_of_a_task_that_does_not_count_is_not_approved(queue: Queue) -> None:
    task, made = queue.running(), content(queue)
    queue.cancel(task.id)

    assert queue.complete(task.worker, [task], content_ids=[made]) == []
    assert queue.value("SELECT review_status FROM contents WHERE id = %s", made) == "pending"


def test_content_that_does_not_exist_is_refused(queue: Queue) -> None:
    task = queue.running()
    before = queue.row(task.id)

    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        queue.complete(task.worker, [task], content_ids=[999])

    assert queue.row(task.id) == before
