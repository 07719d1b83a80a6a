"""Fake tasks and contexts equal those that a worker passes to a handler."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from contentq import Context, PreviousContent, Task, ThreadContext
from contentq.database.connect import connect_async
from contentq.errors import NoDatabase
from contentq.testing import make_context, make_task, make_thread_context, previous_content_of

from tests.support.databases import Connection


def test_task_has_the_defaults_of_the_table() -> None:
    task = make_task("Tea")

    assert isinstance(task, Task)
    assert (task.topic, task.priority, task.max_retries, task.retry_count, task.attempt) == ("Tea", 5, 3, 0, 1)
    assert (task.timeout_at, task.seconds_left, task.error_message, task.auto_approve) == (None, None, None, True)
    assert not task.is_last_attempt
    assert task.submitted_at <= datetime.now(UTC)


def test_task_of_a_later_attempt_has_charged_retries() -> None:
    assert make_task(attempt=3).retry_count == 2
    assert make_task(attempt=9, max_retries=2).is_last_attempt
    assert make_task(attempt=2, retry_count=0).retry_count == 0


@pytest.mark.parametrize("timeout", [90, 90.0, timedelta(seconds=90)])
def test_deadline_is_given_in_seconds_or_as_a_timedelta(timeout: float | timedelta) -> None:
    task = make_task(timeout=timeout)

    assert task.seconds_left == 90
    assert task.timeout_at == task.started_at + timedelta(seconds=90)
    left = make_context(task).seconds_left()
    assert left is not None
    assert 80 < left <= 90


def test_state_is_what_an_attempt_before_has_kept() -> None:
    assert make_context(make_task(state={"job": 1})).state == {"job": 1}
    assert make_thread_context(make_task()).state == {}


@pytest.mark.parametrize(("make", "kind"), [(make_context, Context), (make_thread_context, ThreadContext)])
def test_context_has_what_a_worker_gives_and_records_progress(make: Any, kind: Any) -> None:
    task = make_task(previous_error="a reviewer has rejected it")
    context: Any = make(task, previous_content="# Tea\n\nA leaf.\n")

    assert isinstance(context, kind)
    assert context.task is task
    assert context.previous_error == "a reviewer has rejected it"
    assert context.previous_content == PreviousContent(1, "Tea", "# Tea\n\nA leaf.\n", 3, "rejected")
    assert not context.should_stop()
    context.progress(0.5)
    context.progress(note="nearly")
    assert context.reported == [(0.5, None), (None, "nearly")]


@pytest.mark.parametrize(
    ("markdown", "title"),
    [("## A & B\nx", "A & B"), ("Milk\n\n# Tea", "Tea"), ("Tea", "Untitled"), ("", "Untitled")],
)
def test_title_of_previous_content_is_its_first_heading(markdown: str, title: str) -> None:
    assert previous_content_of(markdown).title == title


def test_context_without_a_connection_says_what_to_do() -> None:
    task = make_task()

    with pytest.raises(NoDatabase, match=r"needs a database.*contentq\.testing\.run_task"):
        make_thread_context(task).connection()
    with pytest.raises(NoDatabase, match="needs a database"):
        asyncio.run(make_context(task).connection())


def test_connection_of_the_test_is_handed_to_a_plain_function(database: Connection) -> None:
    context = make_thread_context(make_task(), connection=database)

    assert context.connection() is database


def test_connection_of_the_test_is_handed_to_a_coroutine(dsn: str) -> None:
    async def main() -> tuple[Any, ...] | None:
        async with await connect_async(dsn) as connection:
            context = make_context(make_task(), connection=connection)
            given: psycopg.AsyncConnection[Any] = await context.connection()
            return await (await given.execute("SELECT 1")).fetchone()

    assert asyncio.run(main()) == (1,)
