"""The result of a producer's plain INSERT."""

from __future__ import annotations

import re

import psycopg
import pytest

from tests.support.queue import Queue


def test_producer_needs_to_name_only_the_account(queue: Queue) -> None:
    row = queue.row(queue.add())

    now = row["created_at"]
    assert {name: value for name, value in row.items() if value is not None} == {
        "xmin": row["xmin"],
        "ctid": row["ctid"],
        "id": row["id"],
        "task_id": row["task_id"],
        "account_id": queue.account,
        "status": "pending",
        "priority": 5,
        "retry_count": 0,
        "max_retries": 3,
        "submitted_at": now,
        "auto_approve": True,
        "created_at": now,
        "updated_at": now,
        "attempt": 0,
        "attempt_errors": [],
        "revision_count": 0,
    }


def test_task_ids_are_made_by_the_database_and_differ(queue: Queue) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id) SELECT %s FROM generate_series(1, 1000)", queue.account
    )

    task_ids = queue.values("SELECT task_id FROM content_generation_tasks")
    assert len(set(task_ids)) == 1000
    assert all(re.fullmatch(r"task-[0-9a-f]{32}", task_id) for task_id in task_ids)


def test_producer_can_name_the_task_id_itself(queue: Queue) -> None:
    assert queue.row(queue.add(task_id="task-1f0c9a2b"))["task_id"] == "task-1f0c9a2b"


def test_ids_count_up_from_one(queue: Queue) -> None:
    assert [queue.add(), queue.add()] == [1, 2]


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"status": "done"}, "status_check"),
        ({"priority": 0}, "priority_check"),
        ({"priority": 11}, "priority_check"),
        ({"retry_count": -1}, "retry_count_check"),
        ({"max_retries": -1}, "max_retries_check"),
        ({"attempt": -1}, "attempt_check"),
        ({"status": "processing"}, "started_at_check"),
        ({"status": "completed"}, "completed_at_check"),
        ({"attempt_errors": "{}"}, "attempt_errors_check"),
        ({"account_id": 999}, "account_id_fkey"),
        ({"content_id": 999}, "content_id_fkey"),
    ],
)
def test_row_that_breaks_a_rule_is_refused(queue: Queue, columns: dict[str, object], constraint: str) -> None:
    with pytest.raises(psycopg.errors.IntegrityError) as refused:
        queue.add(**columns)

    assert refused.value.diag.constraint_name == f"content_generation_tasks_{constraint}"


def test_second_task_with_the_same_task_id_is_refused(queue: Queue) -> None:
    queue.add(task_id="task-1")

    with pytest.raises(psycopg.errors.UniqueViolation):
        queue.add(task_id="task-1")


@pytest.mark.parametrize(
    ("result", "sqlstate"),
    [
        ('{"success": tru', "22P02"),
        (r'{"text": "a\u0000b"}', "22P05"),
        (r'{"text": "\ud800"}', "22P02"),
        ("[" * 100_000 + "]" * 100_000, "54001"),
    ],
    ids=["not JSON", "the character zero", "a lone surrogate", "nested too deeply"],
)
def test_result_that_readers_could_not_read_is_refused(queue: Queue, result: str, sqlstate: str) -> None:
    with pytest.raises(psycopg.Error) as refused:
        queue.add(result=result)

    assert refused.value.sqlstate == sqlstate


def test_result_keeps_the_text_as_written(queue: Queue) -> None:
    text = '{"b": 1,   "a": [1.50, 2], "b": 2}'

    assert (
        queue.value("SELECT result::text FROM content_generation_tasks WHERE id = %s", queue.add(result=text))
        == text
    )


@pytest.mark.parametrize(
    ("column", "length"),
    [("task_id", 100), ("topic", 500), ("keywords", 500), ("category", 100), ("tone", 50)],
)
def test_text_longer_than_its_column_is_refused(queue: Queue, column: str, length: int) -> None:
    fits = queue.add(**{column: "ä" * length})

    assert queue.row(fits)[column] == "ä" * length
    with pytest.raises(psycopg.errors.StringDataRightTruncation):
        queue.add(**{column: "ä" * (length + 1)})


def test_deleted_content_leaves_its_task(queue: Queue) -> None:
    content = queue.value(
        "INSERT INTO contents (account_id, title, body) VALUES (%s, 'T', 'B') RETURNING id", queue.account
    )
    task = queue.add(content_id=content)

    queue.run("DELETE FROM contents")

    assert queue.row(task)["content_id"] is None


def test_account_with_tasks_cannot_be_deleted(queue: Queue) -> None:
    queue.add()

    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        queue.run("DELETE FROM accounts")


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [({"review_status": "maybe"}, "review_status_check"), ({"word_count": -1}, "word_count_check")],
)
def test_content_that_breaks_a_rule_is_refused(queue: Queue, columns: dict[str, object], constraint: str) -> None:
    name, value = next(iter(columns.items()))

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        queue.run(
            f"INSERT INTO contents (account_id, title, body, {name}) VALUES (%s, 'T', 'B', %s)",
            queue.account,
            value,
        )

    assert refused.value.diag.constraint_name == f"contents_{constraint}"
