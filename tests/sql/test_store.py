"""store(): inserts content and completes its task in one statement."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.queue import Held, Queue


def contents(queue: Queue) -> list[dict[str, Any]]:
    return queue.rows("SELECT id, account_id, title, body, word_count, review_status FROM contents ORDER BY id")


def result_text(queue: Queue, task: Held) -> str:
    return str(queue.value("SELECT result::text FROM content_generation_tasks WHERE id = %s", task.id))


def claimed(queue: Queue, worker: int, count: int) -> list[Held]:
    for _ in range(count):
        queue.add()
    return [Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker, count)]


def test_content_is_stored_with_the_completion(queue: Queue) -> None:
    task = queue.running(error_message="An earlier error")

    assert queue.store(task.worker, [task], titles=["Tea"], bodies=["Tea is good"], word_counts=[3]) == [task.id]

    (stored,) = contents(queue)
    assert stored == {
        "id": stored["id"],
        "account_id": queue.account,
        "title": "Tea",
        "body": "Tea is good",
        "word_count": 3,
        "review_status": "approved",
    }
    row = queue.row(task.id)
    assert row["status"] == "completed"
    assert row["content_id"] == stored["id"]
    assert row["result"] == {"success": True, "content_id": stored["id"], "word_count": 3}
    assert row["error_message"] is None
    assert row["worker_id"] is None
    assert row["completed_at"] is not None


def test_content_of_a_task_without_auto_approve_waits_for_its_review(queue: Queue) -> None:
    task = queue.running(auto_approve=False)

    queue.store(task.worker, [task])

    assert [stored["review_status"] for stored in contents(queue)] == ["pending"]


def test_each_task_of_a_batch_gets_its_own_content(queue: Queue, worker: int) -> None:
    tasks = claimed(queue, worker, 20)[::-1]

    assert queue.store(worker, tasks) == sorted(task.id for task in tasks)

    titles = queue.values(
        "SELECT c.title FROM content_generation_tasks t JOIN contents c ON c.id = t.content_id ORDER BY t.id"
    )
    assert titles == [f"Title {task.id}" for task in reversed(tasks)]
    assert len(contents(queue)) == 20


@pytest.mark.parametrize(
    ("extra", "rest"),
    [
        (None, "}"),
        ("{}", "}"),
        ("{ }", "}"),
        (" {\n} ", "}"),
        ('{"model": "x", "cost": 1.50}', ', "model": "x", "cost": 1.50}'),
        ('\n {"a": {"b": []}}\n', ', "a": {"b": []}}'),
    ],
)
def test_members_of_the_extra_object_follow_in_the_result(queue: Queue, extra: str | None, rest: str) -> None:
    task = queue.running()

    assert queue.store(task.worker, [task], extras=[extra]) == [task.id]

    (stored,) = contents(queue)
    assert result_text(queue, task) == f'{{"success": true, "content_id": {stored["id"]}, "word_count": 2{rest}'


@pytest.mark.parametrize(
    ("extra", "sqlstate"),
    [
        ("", "22P02"),
        ("no JSON", "22P02"),
        ('{"a": 1', "22P02"),
        ("[1]", "22P02"),
        ('"a": 1}', "22P02"),
        ('x"a": 1}', "22P02"),
        ('["a": 1}', "22P02"),
        ('{"a": 1}, {"b": 2}', "22P02"),
        ("null", "22P02"),
        (r'{"a": "\u0000"}', "22P05"),
        (r'{"a": "\ud800"}', "22P02"),
    ],
)
def test_extra_that_is_no_object_leaves_the_whole_batch_as_it_was(
    queue: Queue, worker: int, extra: str, sqlstate: str
) -> None:
    tasks = claimed(queue, worker, 3)
    before = [queue.row(task.id) for task in tasks]

    with pytest.raises(psycopg.Error) as refused:
        queue.store(worker, tasks, extras=["{}", extra, None])

    assert refused.value.sqlstate == sqlstate
    assert [queue.row(task.id) for task in tasks] == before
    assert contents(queue) == []


@pytest.mark.parametrize("missing", ["titles", "bodies", "word_counts"])
def test_task_without_its_content_leaves_the_whole_batch_as_it_was(
    queue: Queue, worker: int, missing: str
) -> None:
    tasks = claimed(queue, worker, 2)
    before = [queue.row(task.id) for task in tasks]

    with pytest.raises(psycopg.errors.NotNullViolation):
        queue.store(worker, tasks, **{missing: [2] if missing == "word_counts" else ["only one"]})

    assert [queue.row(task.id) for task in tasks] == before
    assert contents(queue) == []


def test_task_named_twice_gets_one_content(queue: Queue) -> None:
    task = queue.running()

    assert queue.store(task.worker, [task, task]) == [task.id]
    assert [stored["id"] for stored in contents(queue)] == [queue.row(task.id)["content_id"]]


def test_deadline_that_passes_while_content_is_stored_comes_too_late(queue: Queue, worker: int) -> None:
    tasks = claimed(queue, worker, 2)
    # Simulates a slow disk: when the content is inserted, its task's deadline has passed.
    queue.run("""
        CREATE FUNCTION pass_deadlines() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE contentq.tasks SET timeout_at = clock_timestamp();
            RETURN NEW;
        END;
        $$""")
    queue.run("CREATE TRIGGER slow AFTER INSERT ON contents FOR EACH ROW EXECUTE FUNCTION pass_deadlines()")

    counted = queue.store(worker, tasks)

    # Content without its completed task, or the reverse, must not exist.
    assert counted == [task.id for task in tasks]
    assert [queue.status(task.id) for task in tasks] == ["completed", "completed"]
    assert [queue.row(task.id)["content_id"] for task in tasks] == [stored["id"] for stored in contents(queue)]


def test_empty_batch_is_nothing(queue: Queue, worker: int) -> None:
    assert queue.store(worker, []) == []


def test_content_that_a_trigger_leaves_out_completes_nothing(queue: Queue, worker: int) -> None:
    queue.connection.execute(
        "CREATE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END; $$;"
        "CREATE TRIGGER leave_out BEFORE INSERT ON contents FOR EACH ROW "
        "WHEN (NEW.title = 'Second') EXECUTE FUNCTION leave_out()"
    )
    tasks = claimed(queue, worker, 2)

    with pytest.raises(psycopg.errors.TriggeredActionException, match="suppressed an insert of content"):
        queue.store(worker, tasks, titles=["First", "Second"], bodies=["1", "2"], word_counts=[1, 1])

    assert queue.values("SELECT DISTINCT status FROM content_generation_tasks") == ["processing"]
    assert contents(queue) == []
