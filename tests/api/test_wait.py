"""contentq.wait: waits until tasks or a batch have ended, from threads and from asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import contentq
import psycopg
import pytest
from contentq import aio
from contentq.queue import waiting

from tests.support.databases import Connection
from tests.support.queue import Held, Queue
from tests.support.waiting import eventually

Wait = Callable[..., dict[contentq.Status, int]]


async def _wait_async(connection: Any, *values: Any, **named: Any) -> dict[contentq.Status, int]:
    return await aio.wait(connection, *values, **named)


@pytest.fixture(params=["sync", "async"])
def wait(request: pytest.FixtureRequest) -> Wait:
    """The two forms of the call, with a DSN."""
    if request.param == "sync":
        return contentq.wait
    return lambda *values, **named: asyncio.run(_wait_async(*values, **named))


@pytest.fixture
def queue(database: Connection) -> Queue:
    return Queue(database)


@pytest.fixture
def beside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


@pytest.fixture
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polls so rarely that only a notification is in time."""
    monkeypatch.setattr(waiting, "SHORTEST_PAUSE", 60.0)
    monkeypatch.setattr(waiting, "LONGEST_PAUSE", 60.0)


def name_of(queue: Queue, task: Held) -> str:
    return str(queue.row(task.id)["task_id"])


def is_waiting(queue: Queue, sessions: int = 1) -> bool:
    """Whether this many sessions listen and wait."""
    number = queue.value(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'contentq wait' "
        "AND state = 'idle' AND query LIKE '%%statuses_of%%' AND wait_event = 'ClientRead'"
    )
    return bool(number == sessions)


@pytest.mark.usefixtures("seldom")
def test_end_of_a_task_is_heard(queue: Queue, dsn: str, wait: Wait, beside: ThreadPoolExecutor) -> None:
    task = queue.running()
    ended = beside.submit(wait, dsn, name_of(queue, task))
    eventually(lambda: is_waiting(queue))

    queue.complete(task.worker, [task])

    assert ended.result(20) == {"completed": 1}


@pytest.mark.usefixtures("seldom")
def test_end_of_the_last_of_several_tasks_is_heard(
    queue: Queue, dsn: str, wait: Wait, beside: ThreadPoolExecutor
) -> None:
    tasks = [queue.running() for _ in range(3)]
    ended = beside.submit(wait, dsn, [name_of(queue, task) for task in tasks], timeout=timedelta(minutes=1))
    eventually(lambda: is_waiting(queue))

    for task in tasks[:2]:
        queue.complete(task.worker, [task])
    assert not ended.done()
    queue.fail(tasks[2], permanent=True)

    assert ended.result(20) == {"completed": 2, "failed": 1}


@pytest.mark.usefixtures("seldom")
def test_end_of_a_batch_is_heard(queue: Queue, dsn: str, wait: Wait, beside: ThreadPoolExecutor) -> None:
    tasks = [queue.running(batch="spring") for _ in range(2)]
    ended = beside.submit(wait, dsn, batch="spring")
    eventually(lambda: is_waiting(queue))

    queue.complete(tasks[0].worker, [tasks[0]])
    queue.run("UPDATE content_generation_tasks SET status = 'timeout' WHERE id = %s", tasks[1].id)

    assert ended.result(20) == {"completed": 1, "timeout": 1}


@pytest.mark.usefixtures("seldom")
def test_several_who_wait_for_the_same_are_all_told(
    queue: Queue, dsn: str, wait: Wait, beside: ThreadPoolExecutor
) -> None:
    task = queue.running()
    calls = [beside.submit(wait, dsn, name_of(queue, task)) for _ in range(3)]
    eventually(lambda: is_waiting(queue, 3))

    queue.complete(task.worker, [task])

    assert [call.result(20) for call in calls] == [{"completed": 1}] * 3


def test_who_comes_late_is_answered_at_once(queue: Queue, dsn: str, wait: Wait) -> None:
    queue.add(task_id="old", status="failed", batch="spring")

    assert wait(dsn, "old", timeout=0) == {"failed": 1}
    assert wait(dsn, batch="spring") == {"failed": 1}


def test_it_is_right_without_any_notification(
    queue: Queue, dsn: str, wait: Wait, beside: ThreadPoolExecutor
) -> None:
    """As with a pooler that has lost the LISTEN."""
    task = queue.running()
    ended = beside.submit(wait, dsn, name_of(queue, task))
    eventually(lambda: is_waiting(queue))

    queue.run("SET contentq.notify = off")
    queue.complete(task.worker, [task])

    assert ended.result(20) == {"completed": 1}


def test_time_is_up(queue: Queue, dsn: str, wait: Wait) -> None:
    done, left = queue.running(batch="spring"), queue.running(batch="spring")
    queue.complete(done.worker, [done])

    with pytest.raises(contentq.WaitTimedOut, match=r"^batch spring: 1 of 2 have not ended in time$") as error:
        wait(dsn, batch="spring", timeout=0.2)
    with pytest.raises(TimeoutError, match=r"^task [^ ]+ has not ended in time$"):
        wait(dsn, name_of(queue, left), timeout=timedelta(0))

    assert error.value.counts == {"completed": 1, "processing": 1}


def test_what_does_not_exist_is_not_waited_for(queue: Queue, dsn: str, wait: Wait) -> None:
    task = queue.running()
    with pytest.raises(contentq.ContentQueueError, match=r"^there is no task post-1$"):
        wait(dsn, [name_of(queue, task), "post-1"])
    with pytest.raises(contentq.ContentQueueError, match=r"^there is no batch spring$"):
        wait(dsn, batch="spring")


@pytest.mark.parametrize("number", [1, waiting.MOST_ASKED_AGAIN + 1])
def test_task_that_is_deleted_ends_the_waiting(
    queue: Queue, dsn: str, wait: Wait, beside: ThreadPoolExecutor, number: int
) -> None:
    for place in range(number):
        queue.add(task_id=f"post-{place}")
    ended: Future[Any] = beside.submit(wait, dsn, [f"post-{place}" for place in range(number)])
    eventually(lambda: is_waiting(queue))

    queue.run("DELETE FROM content_generation_tasks WHERE task_id = 'post-0'")

    with pytest.raises(contentq.ContentQueueError, match=r"^there is no task post-0|^1 of 101 tasks were deleted"):
        ended.result(20)


@pytest.mark.parametrize("named", [{}, {"task_id": []}, {"task_id": "a", "batch": "b"}])
def test_tasks_or_a_batch_must_be_named(dsn: str, wait: Wait, named: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^give "):
        wait(dsn, **named)


def test_connection_of_the_caller_is_left_as_it_was(queue: Queue, dsn: str) -> None:
    task = queue.running()
    queue.complete(task.worker, [task])
    with psycopg.connect(dsn) as connection:
        assert contentq.wait(connection, name_of(queue, task)) == {"completed": 1}
        assert not connection.autocommit
        assert connection.execute("SELECT count(*) FROM pg_listening_channels()").fetchone() == (0,)
        with pytest.raises(contentq.ContentQueueError, match="outside a transaction: commit or roll back"):
            contentq.wait(connection, name_of(queue, task))
        connection.commit()
        with pytest.raises(contentq.ContentQueueError, match="there is no task"):
            contentq.wait(connection, "post-1")
        assert not connection.autocommit

    async def on_asyncio() -> None:
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            assert await aio.wait(connection, name_of(queue, task)) == {"completed": 1}
            assert not connection.autocommit
            await connection.execute("SELECT 1")
            with pytest.raises(contentq.ContentQueueError, match="outside a transaction: commit or roll back"):
                await aio.wait(connection, name_of(queue, task))

    asyncio.run(on_asyncio())


def test_cancelled_waiting_leaves_the_connection_usable(queue: Queue, dsn: str) -> None:
    task = queue.running()
    name = name_of(queue, task)

    async def cancel_it() -> None:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await aio.wait(connection, name)
            queue.complete(task.worker, [task])
            assert await aio.wait(connection, name) == {"completed": 1}

    asyncio.run(cancel_it())


def test_other_connections_are_refused(wait: Wait) -> None:
    with pytest.raises(TypeError, match=r"^wait\(\) needs an? .*connection of psycopg, or a DSN, not int$"):
        wait(7, "task-1")


@pytest.mark.slow
@pytest.mark.usefixtures("seldom")
def test_thousands_of_tasks_are_waited_for_on_one_connection(
    queue: Queue, dsn: str, beside: ThreadPoolExecutor
) -> None:
    names = queue.values(
        "INSERT INTO content_generation_tasks (account_id, status, started_at) "
        "SELECT %s, 'processing', now() FROM generate_series(1, 3000) RETURNING task_id",
        queue.account,
    )
    ended = beside.submit(contentq.wait, dsn, names)
    eventually(lambda: is_waiting(queue))

    queue.run("UPDATE content_generation_tasks SET status = 'completed', completed_at = now()")

    assert ended.result(30) == {"completed": 3000}
