"""The operations of the specification in plain SQL; tests/models has them through the models."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.queue import Queue


def test_1_create(queue: Queue) -> None:
    created = queue.rows(
        "INSERT INTO content_generation_tasks (task_id, account_id, topic, keywords, status, priority) "
        "VALUES ('task-1f0c9a2b', %s, 'Tea', 'tea, leaves', 'pending', 8) RETURNING *",
        queue.account,
    )

    assert [(row["id"], row["task_id"], row["status"], row["priority"]) for row in created] == [
        (1, "task-1f0c9a2b", "pending", 8)
    ]


def test_2_start_and_complete(queue: Queue) -> None:
    task = queue.add()

    queue.run("UPDATE content_generation_tasks SET status = 'processing', started_at = now() WHERE id = %s", task)
    queue.run(
        "UPDATE content_generation_tasks SET status = 'completed', completed_at = now(), "
        """result = '{"success": true, "content_id": 123, "word_count": 1500}' WHERE id = %s""",
        task,
    )

    row = queue.row(task)
    assert row["status"] == "completed"
    assert row["completed_at"] > row["started_at"]
    assert row["result"] == {"success": True, "content_id": 123, "word_count": 1500}


@pytest.mark.parametrize("max_retries", [0, 1, 3])
def test_3_error_goes_back_to_pending_while_retries_are_left(queue: Queue, max_retries: int) -> None:
    task, attempts = queue.add(max_retries=max_retries), 0

    while queue.status(task) == "pending":
        queue.run("UPDATE content_generation_tasks SET status = 'processing', started_at = now()")
        attempts += 1
        queue.run(
            "UPDATE content_generation_tasks SET error_message = 'It broke', "
            "status = CASE WHEN retry_count < max_retries THEN 'pending' ELSE 'failed' END, "
            "retry_count = least(retry_count + 1, max_retries)"
        )

    row = queue.row(task)
    assert (row["status"], row["error_message"], row["retry_count"]) == ("failed", "It broke", max_retries)
    assert attempts == max_retries + 1


def test_4_pending_tasks_in_the_order_of_their_claim(queue: Queue) -> None:
    for priority, day in ((5, 2), (9, 3), (5, 1), (9, 2)):
        queue.add(priority=priority, submitted_at=f"2026-01-0{day}")
    queue.add(status="failed", priority=10)

    pending = queue.rows(
        "SELECT priority, submitted_at FROM content_generation_tasks WHERE status = 'pending' "
        "ORDER BY priority DESC, submitted_at"
    )

    assert [(row["priority"], row["submitted_at"].day) for row in pending] == [(9, 2), (9, 3), (5, 1), (5, 2)]


def test_5_counts(queue: Queue) -> None:
    for status in ("pending", "pending", "failed"):
        queue.add(status=status)

    assert queue.value("SELECT count(*) FROM content_generation_tasks") == 3
    assert queue.value("SELECT count(*) FROM content_generation_tasks WHERE status = 'pending'") == 2


@pytest.mark.parametrize("analyzed", [True, False])
def test_6_filter_by_account_and_status_uses_an_index(queue: Queue, analyzed: bool) -> None:
    queue.run("INSERT INTO accounts (name) SELECT 'Account ' || n FROM generate_series(1, 100) AS n")
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, completed_at) "
        "SELECT a.id, 'completed', now() FROM accounts AS a, generate_series(1, 100)"
    )
    if analyzed:
        queue.run("ANALYZE content_generation_tasks")

    plan = "\n".join(
        queue.values(
            "EXPLAIN SELECT * FROM content_generation_tasks WHERE account_id = 7 AND status = 'completed'"
        )
    )

    assert "content_generation_tasks_account_id_idx" in plan
    assert "Seq Scan" not in plan


def test_7_pages_without_the_large_results(queue: Queue) -> None:
    for _ in range(25):
        queue.add(result='{"text": "long"}')

    page = queue.values("SELECT id FROM content_generation_tasks ORDER BY id LIMIT 10 OFFSET 20")

    assert page == [21, 22, 23, 24, 25]


def test_8_overdue_pending_tasks_become_timeout_in_one_statement(queue: Queue) -> None:
    overdue, in_time = queue.add(timeout_at="2001-01-01"), queue.add(timeout_at="2999-01-01")

    changed = queue.run(
        "UPDATE content_generation_tasks SET status = 'timeout' WHERE status = 'pending' AND timeout_at < now()"
    )

    assert changed == 1
    assert (queue.status(overdue), queue.status(in_time)) == ("timeout", "pending")


def test_9_deadline_ends_running_tasks(queue: Queue) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, timeout_at) VALUES (%s, now() + interval '10 minutes')",
        queue.account,
    )
    task = queue.value("SELECT id FROM content_generation_tasks")
    row = queue.row(task)
    assert row["timeout_at"] - row["created_at"] == timedelta(minutes=10)
    queue.set(task, status="processing", started_at="2001-01-01")
    check = (
        "UPDATE content_generation_tasks SET status = 'timeout', error_message = 'Task execution timeout' "
        "WHERE status = 'processing' AND timeout_at < now()"
    )

    assert queue.run(check) == 0
    queue.set(task, timeout_at="2001-01-01")
    assert queue.run(check) == 1
    assert (queue.row(task)["status"], queue.row(task)["error_message"]) == ("timeout", "Task execution timeout")


def test_10_old_completed_tasks_are_deleted(queue: Queue) -> None:
    queue.add(status="completed", completed_at=queue.value("SELECT now() - interval '31 days'"))
    recent = queue.add(status="completed", completed_at=queue.value("SELECT now() - interval '29 days'"))
    failed = queue.add(status="failed", completed_at="2001-01-01")

    queue.run(
        "DELETE FROM content_generation_tasks "
        "WHERE status = 'completed' AND completed_at < now() - interval '30 days'"
    )

    assert queue.values("SELECT id FROM content_generation_tasks ORDER BY id") == [recent, failed]
