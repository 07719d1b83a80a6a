"""A worker inside a test: one task or all tasks, through the real queue."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from contentq import Context, GeneratedContent, PermanentError, RateLimited, Task, TemporaryError, ThreadContext
from contentq.errors import DatabaseUnreachable, DidNotEnd, HandlerUnusable, NotRunnable, SchemaMismatch
from contentq.testing import (
    Counts,
    run_task,
    run_task_async,
    run_until_empty,
    run_until_empty_async,
)

from tests.support.databases import Connection
from tests.support.queue import Queue
from tests.support.waiting import eventually


async def write(task: Task, context: Context) -> GeneratedContent:
    return GeneratedContent(task.topic or "", "two words", result={"cost": 0.5})


async def fail_twice(task: Task, context: Context) -> dict[str, Any]:
    if task.attempt == 1:
        raise TemporaryError("not yet", retry_after=3600)
    if task.attempt == 2:
        raise RateLimited("429", retry_after=3600)
    return {"attempt": task.attempt, "error": context.previous_error}


def left(queue: Queue) -> list[Any]:
    """The registrations that workers have left behind."""
    return queue.values("SELECT id FROM contentq.workers")


def cut_off(queue: Queue) -> None:
    """Closes the connection that monitors the database."""
    queue.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'contentq testing'"
    )


def test_one_task_is_run_whatever_else_waits(dsn: str, queue: Queue) -> None:
    others = [queue.add(priority=10), queue.add(topic="Coffee")]
    id_ = queue.add(topic="Tea", priority=1, task_id="post-1", auto_approve=False)

    ran = run_task(dsn, write, "post-1")

    assert (ran.id, ran.task_id, ran.status, ran.attempt) == (id_, "post-1", "completed", 1)
    assert ran.content is not None
    assert ran.result == {"success": True, "content_id": ran.content.id, "word_count": 2, "cost": 0.5}
    assert (ran.content.title, ran.content.body, ran.content.word_count) == ("Tea", "two words", 2)
    assert ran.content.review_status == "pending"
    assert [queue.row(other)["attempt"] for other in others] == [0, 0]
    assert left(queue) == []


def test_task_is_named_by_its_id_as_well(dsn: str, queue: Queue) -> None:
    assert run_task(dsn, write, queue.add()).status == "completed"


@pytest.mark.slow
def test_calling_it_again_makes_the_retry_without_its_wait(dsn: str, queue: Queue) -> None:
    id_ = queue.add()

    first = run_task(dsn, fail_twice, id_)
    assert (first.status, first.retry_count, first.error_message) == ("pending", 1, "not yet")
    assert first.scheduled_at is not None
    second = run_task(dsn, fail_twice, id_)
    assert (second.status, second.retry_count, second.error_message) == ("pending", 1, "429")
    third = run_task(dsn, fail_twice, id_)
    assert (third.status, third.attempt, third.scheduled_at) == ("completed", 3, None)
    assert third.result == {"attempt": 3, "error": "429"}


def test_only_one_attempt_is_made_even_when_the_retry_is_due_at_once(dsn: str, queue: Queue) -> None:
    async def again(task: Task, context: Context) -> None:
        raise TemporaryError("again", retry_after=0)

    ran = run_task(dsn, again, queue.add())

    assert (ran.status, ran.attempt, ran.scheduled_at) == ("pending", 1, None)


def test_permanent_error_fails_it(dsn: str, queue: Queue) -> None:
    def refuse(task: Task, context: ThreadContext) -> None:
        raise PermanentError("no such subject")

    ran = run_task(dsn, refuse, queue.add())

    assert (ran.status, ran.error_message, ran.result, ran.content) == ("failed", "no such subject", None, None)


@pytest.mark.slow
@pytest.mark.parametrize("at", [0, 20])
def test_deadline_ends_it_as_timeout(dsn: str, queue: Queue, at: float) -> None:
    called = threading.Event()

    async def slow(task: Task, context: Context) -> None:
        called.set()
        await asyncio.sleep(60)

    id_ = queue.add()
    queue.run(
        "UPDATE content_generation_tasks SET timeout_at = clock_timestamp() + %s * interval '0.1 s' WHERE id = %s",
        at,
        id_,
    )

    ran = run_task(dsn, slow, id_)

    assert ran.status == "timeout"
    assert ran.error_message == ("Task execution timeout" if at else "Task timeout before execution")
    assert called.is_set() == bool(at)


def test_outcome_of_a_task_that_was_taken_over_does_not_count(dsn: str, queue: Queue) -> None:
    def lose(task: Task, context: ThreadContext) -> dict[str, Any]:
        queue.set(task.id, attempt=task.attempt + 1)
        return {"success": True}

    ran = run_task(dsn, lose, queue.add())

    assert (ran.attempt, ran.result) == (2, None)
    assert ran.status != "completed"


@pytest.mark.slow
def test_work_in_the_transaction_of_the_completion_is_committed_with_it(dsn: str, queue: Queue) -> None:
    def rename(task: Task, context: ThreadContext) -> None:
        context.connection().execute("UPDATE accounts SET name = 'Grace'")
        if task.topic == "wrong":
            raise PermanentError("wrong")

    run_task(dsn, rename, queue.add(topic="wrong"))
    assert queue.values("SELECT name FROM accounts") == ["Ada"]
    run_task(dsn, rename, queue.add())
    assert queue.values("SELECT name FROM accounts") == ["Grace"]


def test_handler_may_be_named_or_an_object(dsn: str, queue: Queue) -> None:
    class Writer:
        async def __call__(self, task: Task, context: Context) -> dict[str, Any]:
            return {"by": "object"}

    assert run_task(dsn, Writer(), queue.add()).result == {"by": "object"}
    assert run_task(dsn, "template", queue.add(topic="Tea")).content is not None
    with pytest.raises(HandlerUnusable, match="there is no module"):
        run_task(dsn, "nowhere:write", queue.add())
    with pytest.raises(HandlerUnusable, match="is not a function"):
        run_task(dsn, Writer, queue.add())


def test_task_that_is_not_there_or_not_pending_is_refused(dsn: str, queue: Queue) -> None:
    id_ = queue.add(task_id="post-1")
    run_task(dsn, write, id_)

    with pytest.raises(NotRunnable, match="task post-1 is completed; only a pending task can be run"):
        run_task(dsn, write, "post-1")
    with pytest.raises(NotRunnable, match=r"there is no task post-2; .* committed first"):
        run_task(dsn, write, "post-2")
    with pytest.raises(NotRunnable, match="there is no task 4711"):
        run_task(dsn, write, 4711)


def test_task_whose_row_is_locked_is_refused(dsn: str, queue: Queue, connect: Callable[[], Connection]) -> None:
    id_ = queue.add()
    other = connect()
    with other.transaction():
        other.execute("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", [id_])
        with pytest.raises(NotRunnable, match="another session has locked its row"):
            run_task(dsn, write, id_)

    assert run_task(dsn, write, id_).status == "completed"


@pytest.mark.parametrize("run", [lambda dsn: run_task(dsn, write, 1), lambda dsn: run_until_empty(dsn, write)])
def test_database_must_be_there_and_migrated(run: Callable[[str], Any], empty_dsn: str) -> None:
    with pytest.raises(SchemaMismatch, match="run: contentq migrate"):
        run(empty_dsn)
    with pytest.raises(DatabaseUnreachable, match="cannot connect"):
        run("postgresql://nobody@127.0.0.1:1/nothing")


def test_handler_that_takes_too_long_is_given_back(dsn: str, queue: Queue) -> None:
    async def endless(task: Task, context: Context) -> None:
        await asyncio.sleep(600)

    id_ = queue.add(task_id="post-1")

    with pytest.raises(DidNotEnd, match=r"task post-1 did not end within 0\.3 s, .* its handler was cancelled"):
        run_task(dsn, endless, id_, timeout=0.3)

    assert (queue.status(id_), queue.row(id_)["retry_count"], left(queue)) == ("pending", 0, [])


async def block(task: Task, context: Context) -> None:
    time.sleep(0.6)  # noqa: ASYNC251
    if task.topic == "again":
        raise TemporaryError("again", retry_after=3600)


@pytest.mark.parametrize(("topic", "status"), [("Tea", "completed"), ("again", "pending")])
def test_handler_that_blocks_the_loop_past_the_timeout_has_ended_all_the_same(
    dsn: str, queue: Queue, topic: str, status: str
) -> None:
    ran = run_task(dsn, block, queue.add(topic=topic), timeout=0.5)

    assert (ran.status, ran.error_message) == (status, "again" if topic == "again" else None)


def test_queue_whose_last_handler_blocks_past_the_timeout_is_empty(dsn: str, queue: Queue) -> None:
    queue.add()
    later = queue.add()
    queue.run("UPDATE content_generation_tasks SET scheduled_at = now() + interval '1 h' WHERE id = %s", later)

    assert run_until_empty(dsn, block, timeout=0.5).completed == 1


@pytest.mark.parametrize("at_once", [True, False])
def test_no_gate_is_closed_for_the_tests_that_follow(dsn: str, queue: Queue, at_once: bool) -> None:
    async def refused(task: Task, context: Context) -> None:
        if task.attempt <= 2:
            raise RateLimited("429", retry_after=3600 if at_once else 0.1, gate="other")

    id_ = queue.add()

    assert run_task(dsn, refused, id_).status == "pending"
    queue.set(id_, scheduled_at=None)
    assert run_until_empty(dsn, refused, at_once=at_once).completed == 1
    assert queue.values("SELECT key FROM contentq.gates") == []


def test_lost_database_ends_the_test_instead_of_being_waited_for(dsn: str, queue: Queue) -> None:
    def cut(task: Task, context: ThreadContext) -> None:
        cut_off(queue)
        eventually(context.should_stop)
        told.set()

    told = threading.Event()
    with pytest.raises(DatabaseUnreachable, match="the connection to the database was lost"):
        run_task(dsn, cut, queue.add())
    assert told.wait(10)


def test_lost_database_cancels_what_runs_on_the_loop_of_the_test(dsn: str, queue: Queue) -> None:
    ended: list[str] = []

    async def cut(task: Task, context: Context) -> None:
        cut_off(queue)
        try:
            await asyncio.sleep(600)
        finally:
            ended.append(task.task_id)

    async def main() -> None:
        with pytest.raises(DatabaseUnreachable, match="the connection to the database was lost"):
            await run_task_async(dsn, cut, "post-1")
        await asyncio.sleep(0)
        assert ended == ["post-1"]

    queue.add(task_id="post-1")
    asyncio.run(main())


def test_queue_is_worked_off_with_retries_that_do_not_wait(dsn: str, queue: Queue) -> None:
    ids = [queue.add() for _ in range(30)]
    later = queue.add()
    queue.run("UPDATE content_generation_tasks SET scheduled_at = now() + interval '1 h' WHERE id = %s", later)

    began = time.monotonic()
    counts = run_until_empty(dsn, fail_twice)

    assert time.monotonic() - began < 30
    assert (counts.claimed, counts.completed, counts.retried, counts.snoozed) == (90, 30, 30, 30)
    assert {queue.status(id_) for id_ in ids} == {"completed"}
    assert queue.status(later) == "pending"
    assert left(queue) == []


def test_retries_wait_when_they_are_to(dsn: str, queue: Queue) -> None:
    started: list[float] = []

    async def again(task: Task, context: Context) -> None:
        started.append(time.monotonic())
        if task.attempt == 1:
            raise TemporaryError("again", retry_after=0.5)

    queue.add()
    run_until_empty(dsn, again, at_once=False)

    assert len(started) == 2
    assert started[1] - started[0] >= 0.5


def test_no_more_run_at_once_than_they_may(dsn: str, queue: Queue) -> None:
    lock = threading.Lock()
    running = most = 0

    def count(task: Task, context: ThreadContext) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1

    for _ in range(9):
        queue.add()

    assert run_until_empty(dsn, count, concurrency=3).completed == 9
    assert most <= 3


def test_empty_queue_is_worked_off_at_once(dsn: str) -> None:
    assert run_until_empty(dsn, write) == Counts()


def test_queue_that_never_gets_empty_is_left_with_what_is_in_it(dsn: str, queue: Queue) -> None:
    async def never(task: Task, context: Context) -> None:
        raise RateLimited("429", retry_after=60)

    queue.add(task_id="post-1")

    with pytest.raises(DidNotEnd, match=r"not empty after 0\.5 s: post-1 is pending after \d+ attempts \(429\)"):
        run_until_empty(dsn, never, timeout=0.5)

    assert left(queue) == []


def test_coroutines_await_the_twins(dsn: str, queue: Queue) -> None:
    async def main() -> tuple[str, int]:
        ran = await run_task_async(dsn, write, id_)
        return ran.status, (await run_until_empty_async(dsn, write)).completed

    id_ = queue.add()
    queue.add()

    assert asyncio.run(main()) == ("completed", 1)


@pytest.mark.parametrize("run", [run_task, run_until_empty])
def test_coroutine_that_calls_what_blocks_is_told_to_await_the_twin(run: Any) -> None:
    async def main() -> None:
        run("postgresql://", write, *(["post-1"] if run is run_task else []))

    with pytest.raises(TypeError, match=rf"{run.__name__}\(\) blocks.*await {run.__name__}_async\(\)"):
        asyncio.run(main())


def test_cancelled_test_gives_its_task_back(dsn: str, queue: Queue) -> None:
    begun = asyncio.Event()

    async def endless(task: Task, context: Context) -> None:
        begun.set()
        await asyncio.sleep(600)

    async def main() -> None:
        running = asyncio.create_task(run_task_async(dsn, endless, id_))
        await asyncio.wait_for(begun.wait(), 10)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    id_ = queue.add()
    asyncio.run(main())

    assert (queue.status(id_), left(queue)) == ("pending", [])
