"""doctor() on the queue: prices, workers, housekeeping, tasks that wait for long."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sql.doctor import found, long_ago, only
from tests.support.queue import Queue


def test_model_whose_price_is_new_has_one(queue: Queue) -> None:
    """Its earlier usage has no cost."""
    queue.run(
        "INSERT INTO contentq.usage (account_id, category, model, day, attempts, prompt_tokens, "
        "completion_tokens, cost) SELECT %s, '', 'm', (now() AT TIME ZONE 'UTC')::date - n, 1, 5, 5, n - 1 "
        "FROM generate_series(1, 2) AS n",
        queue.account,
    )
    assert found(queue) == []


def test_model_without_a_price(queue: Queue) -> None:
    task = queue.add()
    queue.charge({task: '{"model": "free", "prompt_tokens": 10, "completion_tokens": 5}'})
    queue.charge({task: '{"model": "paid", "prompt_tokens": 10, "cost": 1}'})
    assert found(queue) == [("advice", "model_without_price", "free")]

    queue.run("UPDATE accounts SET monthly_budget = 100")
    finding = only(queue)
    assert (finding["severity"], finding["detail"]) == ("warning", "15 tokens in the last 30 days, but no cost")

    queue.run("UPDATE contentq.usage SET day = day - 31")
    assert found(queue) == []


def test_silent_worker_with_what_it_holds(queue: Queue) -> None:
    task = queue.running()
    queue.silence(task.worker)

    finding = only(queue)
    assert (finding["severity"], finding["finding"], finding["subject"]) == (
        "warning",
        "worker_silent",
        "workers: 1",
    )
    assert f"running tasks: 1; workers: {task.worker} (host, pid 4711)" in finding["detail"]


def test_housekeeping_that_is_held_up(queue: Queue, connect_queue: Callable[[], Queue], worker: int) -> None:
    queue.run("UPDATE contentq.workers SET started_at = clock_timestamp() - interval '1 hour'")
    assert only(queue)["detail"] == "it has never run"

    queue.value("SELECT contentq.maintain()")
    assert found(queue) == []

    queue.run("UPDATE contentq.maintenance SET ran_at = clock_timestamp() - interval '1 hour'")
    other = connect_queue()
    with other.connection.transaction():
        other.run("SELECT FROM contentq.maintenance FOR UPDATE")
        finding = only(queue)
        assert (finding["severity"], finding["finding"]) == ("warning", "maintenance_late")
        assert f"its row was last locked by session {other.connection.info.backend_pid} (" in finding["detail"]


@pytest.mark.parametrize("moved", ["contentq.workers SET heartbeat_at", "contentq.maintenance SET ran_at"])
def test_clock_that_went_back(queue: Queue, worker: int, moved: str) -> None:
    queue.run(f"UPDATE {moved} = clock_timestamp() + interval '1 hour'")

    assert found(queue) == [("warning", "clock_went_back", "server")]


def test_tasks_without_a_live_worker(queue: Queue) -> None:
    queue.add(submitted_at=long_ago(queue), category="blog")
    queue.add(submitted_at=long_ago(queue, 7), task_id="oldest", priority=1)
    queue.add(category="news")

    finding = only(queue)
    assert (finding["severity"], finding["finding"], finding["subject"]) == ("error", "no_live_worker", "tasks")
    assert finding["detail"].startswith("ready tasks ('blog', without a category), the oldest for 00:07:0")
    assert finding["detail"].endswith(": oldest; there is no live worker")


@pytest.mark.parametrize("category", ["news", None])
def test_tasks_of_a_category_that_no_live_worker_claims(queue: Queue, category: str | None) -> None:
    queue.register(categories=["blog"])
    silent = queue.register()
    queue.silence(silent, "12 seconds")
    queue.run("UPDATE contentq.workers SET draining = true WHERE id = %s", queue.register())
    queue.add(submitted_at=long_ago(queue), category="blog")
    queue.add(submitted_at=long_ago(queue), category=category)
    queue.add(submitted_at=long_ago(queue), category="later", scheduled_at="2999-01-01")

    finding = only(queue)
    assert (finding["severity"], finding["finding"]) == ("warning", "tasks_nobody_claims")
    assert finding["subject"] == "categories: 1"
    assert f"({repr(category) if category else 'without a category'})" in finding["detail"]


@pytest.mark.parametrize("gate", ["provider", "*"])
def test_tasks_behind_a_gate_that_stays_closed(queue: Queue, gate: str) -> None:
    queue.register(gate="provider")
    queue.add(submitted_at=long_ago(queue))
    queue.close_gate(gate, "1 hour")
    assert found(queue) == []

    queue.close_gate(gate, "infinity")
    assert found(queue) == [("warning", "tasks_behind_closed_gates", "categories: 1")]

    queue.open_gate(gate)
    assert found(queue) == []


def test_tasks_that_can_enter_another_gate_are_no_finding(queue: Queue) -> None:
    queue.register(gates=["first", "second"])
    queue.add(submitted_at=long_ago(queue))
    queue.close_gate("first", "infinity")
    assert found(queue) == []

    queue.close_gate("second", "infinity")
    assert found(queue) == [("warning", "tasks_behind_closed_gates", "categories: 1")]


def test_tasks_that_wait_for_long(queue: Queue, worker: int) -> None:
    queue.add(submitted_at=long_ago(queue, 59))
    assert found(queue) == []

    queue.add(submitted_at=long_ago(queue, 61), priority=1, task_id="starved", category="blog")
    finding = only(queue)
    assert (finding["severity"], finding["finding"]) == ("advice", "tasks_wait")
    assert finding["fix"] == "contentq explain starved"


def test_retries_that_are_put_off_for_long(queue: Queue) -> None:
    soon = queue.running(task_id="soon")
    queue.fail(soon, retry_after="59 minutes")
    queue.add(scheduled_at="2999-01-01")
    assert found(queue) == []

    late = queue.running(task_id="late")
    queue.fail(late, retry_after="3 days")
    finding = only(queue)
    assert (finding["severity"], finding["finding"], finding["subject"]) == (
        "advice",
        "retries_put_off",
        "tasks: 1",
    )
    queue.run(finding["fix"].rpartition("ready: ")[2])
    assert queue.row(late.id)["scheduled_at"] is None
    assert found(queue) == []


def test_reviews_that_wait_for_long(queue: Queue) -> None:
    insert = (
        "INSERT INTO contents (account_id, title, body, review_status, created_at, generation_task_id) "
        "VALUES (%s, 'Title', 'Text.', %s, clock_timestamp() - %s::interval, %s)"
    )
    queue.run(insert, queue.account, "pending", "6 days", 1)
    queue.run(insert, queue.account, "approved", "9 days", 1)
    queue.run(insert, queue.account, "pending", "9 days", None)  # of the host
    assert found(queue) == []

    queue.run(insert, queue.account, "pending", "8 days", 1)
    assert found(queue) == [("advice", "reviews_wait", "contents: 1")]
