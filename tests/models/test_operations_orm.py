"""The operations of the specification, one by one, through the models."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from contentq.models import Account, ContentGenerationTask
from sqlalchemy import delete, func, inspect, select, text, update
from sqlalchemy.orm import Session, defer

Task = ContentGenerationTask


def add(session: Session, account: Account, **columns: object) -> Task:
    task = Task(account_id=account.id, **columns)
    session.add(task)
    session.commit()
    return task


def test_1_create(session: Session, account: Account) -> None:
    task = ContentGenerationTask(
        task_id="task-1f0c9a2b",
        account_id=account.id,
        topic="Tea",
        keywords="tea, leaves",
        status="pending",
        priority=8,
    )
    session.add(task)
    session.commit()
    session.refresh(task)

    assert task.id == 1
    assert (task.task_id, task.topic, task.keywords) == ("task-1f0c9a2b", "Tea", "tea, leaves")
    assert (task.status, task.priority, task.retry_count, task.max_retries) == ("pending", 8, 0, 3)
    assert task.auto_approve
    assert task.attempt_errors == []
    assert task.submitted_at == task.created_at == task.updated_at
    assert task.submitted_at.tzinfo is not None


def test_1_create_with_nothing_but_the_account(session: Session, account: Account) -> None:
    task = add(session, account)

    assert task.task_id.startswith("task-")
    assert (task.status, task.priority, task.result, task.scheduled_at) == ("pending", 5, None, None)


def test_2_start_and_complete(session: Session, account: Account) -> None:
    task = add(session, account)
    created = task.updated_at

    task.status = "processing"
    task.started_at = datetime.now(UTC)
    session.commit()
    assert task.started_at.utcoffset() == timedelta(0)
    assert task.updated_at > created

    task.status = "completed"
    task.completed_at = datetime.now(UTC)
    task.result = {"success": True, "content_id": 123, "word_count": 1500}
    session.commit()
    session.refresh(task)
    assert task.status == "completed"
    assert task.result == {"success": True, "content_id": 123, "word_count": 1500}
    assert task.completed_at >= task.started_at


@pytest.mark.parametrize("max_retries", [0, 1, 3])
def test_3_error_goes_back_to_pending_while_retries_are_left(
    session: Session, account: Account, max_retries: int
) -> None:
    task = add(session, account, max_retries=max_retries)
    attempts = 0

    while task.status == "pending":
        task.status, task.started_at = "processing", datetime.now(UTC)
        session.commit()
        attempts += 1
        task.status, task.error_message = "failed", "It broke"
        if task.retry_count < task.max_retries:
            task.retry_count += 1
            task.status = "pending"
        session.commit()

    assert (task.status, task.error_message, task.retry_count) == ("failed", "It broke", max_retries)
    assert attempts == max_retries + 1


def test_4_pending_tasks_in_the_order_of_their_claim(session: Session, account: Account) -> None:
    day = datetime(2026, 1, 1, tzinfo=UTC)
    for priority, days in ((5, 1), (9, 2), (5, 0), (9, 1)):
        add(session, account, priority=priority, submitted_at=day + timedelta(days=days))
    add(session, account, status="failed", priority=10)

    pending = session.scalars(
        select(Task).where(Task.status == "pending").order_by(Task.priority.desc(), Task.submitted_at.asc())
    )

    assert [(task.priority, task.submitted_at.day) for task in pending] == [(9, 2), (9, 3), (5, 1), (5, 2)]


def test_5_counts(session: Session, account: Account) -> None:
    for status in ("pending", "pending", "failed"):
        add(session, account, status=status)

    assert session.scalar(select(func.count()).select_from(Task)) == 3
    assert session.scalar(select(func.count()).where(Task.status == "pending")) == 2


@pytest.mark.slow
def test_6_filter_by_account_and_status_uses_an_index(session: Session, account: Account) -> None:
    others = [Account(name=f"Account {number}") for number in range(50)]
    session.add_all(others)
    session.flush()
    session.add_all(Task(account_id=other.id, status="failed") for other in others for _ in range(100))
    mine = add(session, account, status="failed")
    session.execute(text("ANALYZE content_generation_tasks"))
    query = select(Task).where(Task.account_id == account.id, Task.status == "failed")

    explain = f"EXPLAIN {query.compile(session.get_bind(), compile_kwargs={'literal_binds': True})}"
    plan = "\n".join(session.scalars(text(explain)))

    assert session.scalars(query).all() == [mine]
    assert "content_generation_tasks_account_id_idx" in plan
    assert "Seq Scan" not in plan


def test_7_pages_without_the_large_results(session: Session, account: Account) -> None:
    for number in range(25):
        add(session, account, topic=f"Topic {number}", result={"text": "x" * 10_000})
    session.expunge_all()

    query = select(Task).options(defer(Task.result)).order_by(Task.id).limit(10).offset(20)
    page = session.scalars(query).all()

    assert "result" not in str(query)
    assert [task.topic for task in page] == [f"Topic {number}" for number in range(20, 25)]
    assert all("result" in inspect(task).unloaded for task in page)
    assert page[0].result == {"text": "x" * 10_000}


def test_8_overdue_pending_tasks_become_timeout_in_one_statement(session: Session, account: Account) -> None:
    day = timedelta(days=1)
    now = datetime.now(UTC)
    overdue = add(session, account, timeout_at=now - day)
    in_time = add(session, account, timeout_at=now + day)
    without = add(session, account)

    changed = session.execute(
        update(Task)
        .where(Task.status == "pending", Task.timeout_at < func.now())
        .values(status="timeout")
        .returning(Task.id)
    )

    assert changed.scalars().all() == [overdue.id]
    session.commit()
    assert [task.status for task in (overdue, in_time, without)] == ["timeout", "pending", "pending"]


def test_9_deadline_ends_running_tasks(session: Session, account: Account) -> None:
    task = add(session, account, timeout_at=func.now() + timedelta(minutes=10))
    assert task.timeout_at is not None
    assert task.timeout_at - task.created_at == timedelta(minutes=10)
    task.status, task.started_at = "processing", datetime.now(UTC)
    session.commit()
    check = (
        update(Task)
        .where(Task.status == "processing", Task.timeout_at < func.now())
        .values(status="timeout", error_message="Task execution timeout")
    )

    session.execute(check)
    assert task.status == "processing"

    task.timeout_at = datetime(2001, 1, 1, tzinfo=UTC)
    session.commit()
    session.execute(check)
    session.commit()
    assert (task.status, task.error_message) == ("timeout", "Task execution timeout")


def test_10_old_completed_tasks_are_deleted(session: Session, account: Account) -> None:
    now = datetime.now(UTC)
    add(session, account, status="completed", completed_at=now - timedelta(days=31))
    recent = add(session, account, status="completed", completed_at=now - timedelta(days=29))
    failed = add(session, account, status="failed", completed_at=now - timedelta(days=31))

    session.execute(
        delete(Task).where(Task.status == "completed", Task.completed_at < func.now() - timedelta(days=30))
    )
    session.commit()

    assert session.scalars(select(Task.id).order_by(Task.id)).all() == [recent.id, failed.id]
