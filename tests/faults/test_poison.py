"""Handlers that harm their worker: the worker survives, and the row shows what happened."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from contentq import Context, Task, ThreadContext

from tests.faults.handlers import act, write
from tests.faults.proxy import Proxy
from tests.faults.scene import Scene
from tests.support.waiting import eventually

HERE = "tests.faults.test_poison"


async def close_connections(task: Task, context: Context) -> Any:
    """Closes every connection of its process while others use it."""
    for found in gc.get_objects():
        if isinstance(found, psycopg.AsyncConnection) and not found.closed:
            await found.close()
    return await act(task, context)


async def fork_and_return(task: Task, context: Context) -> Any:
    """The child process returns as if it were the worker."""
    return await act(task, context) if os.fork() else None


async def fork_and_wait(task: Task, context: Context) -> Any:
    """The child process awaits, as if the event loop belonged to it."""
    if os.fork() == 0:
        await asyncio.sleep(60)
    return await act(task, context)


def fork_in_thread(task: Task, context: ThreadContext) -> Any:
    """The child process returns from the thread."""
    return asyncio.run(act(task, context)) if os.fork() else None  # type: ignore[arg-type]


async def never_yields(task: Task, context: Context) -> Any:
    """Blocks the event loop forever."""
    if task.topic == "endless":
        while True:
            pass
    return await act(task, context)


async def stop_the_loop(task: Task, context: Context) -> Any:
    """Stops the worker's event loop."""
    asyncio.get_running_loop().stop()
    return await act(task, context)


def test_connections_closed_by_a_handler_are_opened_again(scene: Scene) -> None:
    worker = scene.start("--concurrency", "10", handler=f"{HERE}:close_connections")
    for _ in range(5):
        scene.insert(5)
    scene.wait_until_all_have_ended()
    assert scene.count("status = 'completed'") == 25
    assert worker.alive
    assert scene.audit() == []


@pytest.mark.parametrize(
    "handler", [fork_and_return, fork_and_wait, fork_in_thread], ids=lambda each: each.__name__
)
def test_child_of_a_handler_that_forks_does_not_go_on_as_a_worker(scene: Scene, handler: Any) -> None:
    worker = scene.start("--concurrency", "3", handler=f"{HERE}:{handler.__name__}")
    scene.insert(6, {"sleep": 0.1, "content": True}, max_retries=0)
    scene.wait_until_all_have_ended()
    assert scene.count("status = 'completed' AND attempt = 1 AND (result->>'pid')::integer = %s", worker.pid) == 6
    worker.send(signal.SIGTERM)
    assert worker.end() == 0
    assert worker.log().count("its child process returned") >= 1
    assert {event["pid"] for event in scene.events("end")} == {worker.pid}
    assert scene.audit() == []


def test_handler_that_never_yields_is_ended_by_its_deadline(scene: Scene) -> None:
    """Heartbeats continue and the row shows timeout; the worker itself stays blocked until it is stopped."""
    worker = scene.start("--grace", "0", handler=f"{HERE}:never_yields")
    deadline = scene.queue.value("SELECT clock_timestamp() + interval '2 seconds'")
    (endless,) = scene.insert(topic="endless", timeout_at=deadline)
    eventually(lambda: scene.queue.status(endless) == "timeout", within=10)
    row = scene.queue.row(endless)
    assert row["error_message"] == "Task execution timeout"
    assert (row["updated_at"] - row["timeout_at"]).total_seconds() <= 1
    silence = "SELECT extract(epoch FROM clock_timestamp() - heartbeat_at)::float8 FROM contentq.workers"
    assert scene.queue.value(silence) < 5
    assert "event loop blocked" in worker.log()
    assert f"by task {row['task_id']}" in worker.log()
    assert worker.alive


@pytest.mark.long
def test_worker_that_is_stuck_in_a_handler_can_be_stopped(scene: Scene) -> None:
    worker = scene.start("--grace", "0", "--concurrency", "2", handler=f"{HERE}:never_yields")
    (endless,) = scene.insert(topic="endless")
    eventually(lambda: scene.queue.status(endless) == "processing")
    worker.send(signal.SIGTERM)
    assert worker.end(60) == 6
    row = scene.queue.row(endless)
    assert (row["status"], row["retry_count"]) == ("pending", 0)
    assert scene.queue.value("SELECT count(*) FROM contentq.workers") == 0


def test_handler_that_stops_the_event_loop_does_not_end_its_worker(scene: Scene) -> None:
    worker = scene.start("--concurrency", "1", handler=f"{HERE}:stop_the_loop")
    scene.insert(3)
    scene.wait_until_all_have_ended()
    assert scene.count("status = 'completed' AND attempt = 1") == 3
    assert "called stop() of the event loop" in worker.log()
    worker.send(signal.SIGTERM)
    assert worker.end() == 0
    assert scene.audit() == []


async def leaves_a_thread_behind(task: Task, context: Context) -> Any:
    """Passes a blocking call to a thread of asyncio's, which cannot be interrupted."""
    await asyncio.to_thread(time.sleep, 60)


async def swallows_its_cancellation(task: Task, context: Context) -> Any:
    """Ignores every cancellation."""
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)


@pytest.mark.parametrize("handler", ["leaves_a_thread_behind", "swallows_its_cancellation"])
def test_handler_that_clings_to_life_does_not_keep_its_process(scene: Scene, handler: str) -> None:
    worker = scene.start("--grace", "0", handler=f"{HERE}:{handler}")
    scene.insert(3)
    eventually(lambda: scene.count("status = 'processing'") == 3)
    worker.send(signal.SIGTERM)
    assert worker.end(15) == 6
    assert scene.count("status = 'pending' AND retry_count = 0") == 3


async def has_its_connection_stranded(task: Task, context: Context) -> Any:
    """Waits with an open transaction until it is released."""
    await (await context.connection()).execute("SELECT")
    write("start", task)
    await asyncio.sleep(3)
    return {"attempt": task.attempt, "pid": os.getpid()}


@pytest.mark.long
def test_commit_of_a_handlers_own_transaction_does_not_wait_for_ever(scene: Scene, proxy: Proxy) -> None:
    worker = scene.start(handler=f"{HERE}:has_its_connection_stranded", dsn=proxy.dsn(scene.dsn))
    scene.insert(1, max_retries=1)
    eventually(lambda: scene.events("start"))
    proxy.strand()
    scene.wait_until_all_have_ended(within=120)
    assert scene.count("status = 'completed' AND attempt = 2") == 1
    assert worker.alive
