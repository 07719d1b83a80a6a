"""While handlers take milliseconds, a worker claims more tasks than it has slots, and never runs more."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import Any

import pytest
from contentq import Context, Task, ThreadContext
from contentq.engine.claiming_ahead import AHEAD, ClaimingAhead
from contentq.engine.execution import Execution
from contentq.engine.timings import Timings
from contentq.engine.worker import Ending
from contentq.queue import contract
from contentq.testing import make_task

from tests.engine.conftest import Database, StartWorker
from tests.support.waiting import eventually

FILL = """
    INSERT INTO content_generation_tasks (account_id, topic, timeout_at)
    SELECT %s, %s, clock_timestamp() + %s * interval '1 second' FROM generate_series(1, %s)"""
PROCESSING = "SELECT count(*) FROM content_generation_tasks WHERE status = 'processing'"


def statuses(database: Database) -> dict[str, int]:
    query = "SELECT status, count(*) FROM content_generation_tasks GROUP BY 1"
    return {row[0]: row[1] for row in database.execute(query).fetchall()}


class Gate:
    """Quick handlers, except for tasks with the topics "wait" and "wait first", which wait for the test."""

    def __init__(self) -> None:
        self.running = self.most = 0
        self.begun: Counter[int] = Counter()
        self.opened, self.opened_first = asyncio.Event(), asyncio.Event()

    async def __call__(self, task: Task, _context: Context) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        self.begun[task.id] += 1
        try:
            if task.topic == "wait":
                await self.opened.wait()
            elif task.topic == "wait first":
                await self.opened_first.wait()
        finally:
            self.running -= 1


QUICK = {"quick_handler": 10.0, "ahead_patience": 60.0}
"""The worker considers its handlers quick on any machine, and is patient."""


def test_quick_handlers_are_claimed_ahead_but_no_more_run_than_there_are_slots(
    start_worker: StartWorker, database: Database, account: int
) -> None:
    gate = Gate()
    database.execute(FILL, [account, "wait", None, 50])

    worker = start_worker(gate, concurrency=10, **QUICK)

    eventually(lambda: statuses(database) == {"processing": 40, "pending": 10} and gate.running == 10)
    assert {execution.task.id for execution in worker.worker._runner.running()} == set(gate.begun)
    worker._loop.call_soon_threadsafe(gate.opened.set)
    eventually(lambda: statuses(database) == {"completed": 50})
    assert gate.most == 10
    assert set(gate.begun.values()) == {1}


def test_slow_handlers_are_claimed_for_free_slots_only(
    start_worker: StartWorker, database: Database, account: int
) -> None:
    gate = Gate()
    database.execute(FILL, [account, "wait", None, 50])

    worker = start_worker(gate, concurrency=10)

    eventually(lambda: gate.running == 10)
    assert statuses(database) == {"processing": 10, "pending": 40}
    worker._loop.call_soon_threadsafe(gate.opened.set)
    eventually(lambda: statuses(database) == {"completed": 50})


def test_tasks_that_wait_too_long_for_a_slot_are_given_back_with_nothing_charged(
    start_worker: StartWorker, database: Database, account: int
) -> None:
    gate = Gate()
    database.execute(FILL, [account, "wait", None, 50])

    worker = start_worker(gate, concurrency=10, quick_handler=10.0)

    eventually(lambda: statuses(database) == {"processing": 10, "pending": 40} and gate.running == 10)
    charged = "SELECT id FROM content_generation_tasks WHERE retry_count > 0 OR error_message IS NOT NULL"
    assert database.execute(charged).fetchall() == []
    worker._loop.call_soon_threadsafe(gate.opened.set)
    eventually(lambda: statuses(database) == {"completed": 50})
    assert worker.worker.counts.released == 0


@pytest.mark.slow
def test_tasks_are_given_back_also_when_the_first_of_those_that_waited_has_begun(
    start_worker: StartWorker, database: Database, account: int
) -> None:
    gate = Gate()
    database.execute(FILL, [account, "wait first", None, 1])
    database.execute(FILL, [account, "wait", None, 39])
    worker = start_worker(gate, concurrency=10, quick_handler=10.0, ahead_patience=2.0)
    eventually(lambda: gate.running == 10)

    worker._loop.call_soon_threadsafe(gate.opened_first.set)

    eventually(lambda: statuses(database) == {"completed": 1, "processing": 10, "pending": 29})
    worker._loop.call_soon_threadsafe(gate.opened.set)
    eventually(lambda: statuses(database) == {"completed": 40})


def test_task_on_its_last_attempt_does_not_wait_for_a_slot(
    start_worker: StartWorker, database: Database, account: int
) -> None:
    gate = Gate()
    database.execute(FILL, [account, "wait", None, 50])
    first = "SELECT min(id) FROM content_generation_tasks"
    database.execute(f"UPDATE content_generation_tasks SET max_retries = 0 WHERE id >= ({first}) + 25")

    worker = start_worker(gate, concurrency=10, **QUICK)

    # The first 25 may wait. The worker gave the others back at once.
    last = "SELECT DISTINCT status FROM content_generation_tasks WHERE max_retries = 0 AND attempt > 0"
    eventually(lambda: database.execute(last).fetchall() == [("pending",)])
    assert statuses(database) == {"processing": 25, "pending": 25}
    worker._loop.call_soon_threadsafe(gate.opened.set)
    eventually(lambda: statuses(database) == {"completed": 50})
    charged = "SELECT id FROM content_generation_tasks WHERE retry_count > 0"
    assert database.execute(charged).fetchall() == []


def test_worker_that_stops_gives_back_what_waits_and_ends_what_runs(
    start_worker: StartWorker, database: Database, account: int
) -> None:
    gate = Gate()
    database.execute(FILL, [account, "wait", None, 50])
    worker = start_worker(gate, concurrency=10, **QUICK)
    eventually(lambda: statuses(database) == {"processing": 40, "pending": 10})

    worker.stop()

    eventually(lambda: statuses(database) == {"processing": 10, "pending": 40})
    worker._loop.call_soon_threadsafe(gate.opened.set)
    assert worker.ending() is Ending.DONE
    assert statuses(database) == {"completed": 10, "pending": 40}


@pytest.mark.slow
def test_deadline_of_a_task_that_waits_for_a_slot_is_kept(
    start_worker: StartWorker, database: Database, account: int
) -> None:
    gate = Gate()
    database.execute(FILL, [account, "wait", None, 10])
    worker = start_worker(gate, concurrency=10, **QUICK)
    eventually(lambda: gate.running == 10)

    database.execute(FILL, [account, "late", 1, 5])

    eventually(lambda: statuses(database) == {"processing": 10, "timeout": 5})
    worker._loop.call_soon_threadsafe(gate.opened.set)
    eventually(lambda: statuses(database) == {"completed": 10, "timeout": 5})
    assert worker.worker.counts.timed_out == 5


@pytest.mark.slow
def test_cancelled_task_that_waits_for_a_slot_never_begins(
    start_worker: StartWorker, database: Database, account: int
) -> None:
    gate = Gate()
    database.execute(FILL, [account, "wait", None, 10])
    worker = start_worker(gate, concurrency=10, **QUICK)
    eventually(lambda: gate.running == 10)
    database.execute(FILL, [account, "unwanted", None, 1])
    eventually(lambda: statuses(database) == {"processing": 11})

    unwanted = "SELECT contentq.cancel(task_id) FROM content_generation_tasks WHERE topic = 'unwanted'"
    database.execute(unwanted)

    eventually(lambda: statuses(database) == {"processing": 10, "failed": 1})
    worker._loop.call_soon_threadsafe(gate.opened.set)
    eventually(lambda: statuses(database) == {"completed": 10, "failed": 1})
    assert len(gate.begun) == 10


def test_threads_are_claimed_ahead_too(start_worker: StartWorker, database: Database, account: int) -> None:
    go_on, lock, most, running = threading.Event(), threading.Lock(), 0, 0

    def handler(_task: Task, _context: ThreadContext) -> None:
        nonlocal most, running
        with lock:
            running += 1
            most = max(most, running)
        go_on.wait(30)
        with lock:
            running -= 1

    database.execute(FILL, [account, "wait", None, 20])
    start_worker(handler, concurrency=3, **QUICK)

    eventually(lambda: statuses(database) == {"processing": 12, "pending": 8} and running == 3)
    go_on.set()
    eventually(lambda: statuses(database) == {"completed": 20})
    assert most == 3


def test_slow_tasks_are_claimed_a_hundred_at_a_time(
    monkeypatch: pytest.MonkeyPatch, start_worker: StartWorker, database: Database, account: int
) -> None:
    asked: list[int] = []
    claim = contract.claim

    async def counted(connection: Any, worker_id: int, max_tasks: int) -> Any:
        asked.append(max_tasks)
        return await claim(connection, worker_id, max_tasks)

    monkeypatch.setattr(contract, "claim", counted)
    gate = Gate()
    database.execute(FILL, [account, "wait", None, 150])

    worker = start_worker(gate, concurrency=150)

    eventually(lambda: gate.running == 150)
    assert asked[:2] == [100, 50]
    worker._loop.call_soon_threadsafe(gate.opened.set)
    eventually(lambda: statuses(database) == {"completed": 150})


def test_worker_without_a_free_slot_reads_its_notifications(
    start_worker: StartWorker, database: Database, account: int
) -> None:
    # Unread notifications would fill its socket, and then the server's whole queue.
    gate = Gate()
    database.execute(FILL, [account, "wait", None, 2])
    worker = start_worker(gate, concurrency=1)
    eventually(lambda: gate.running == 1)
    wake_up = worker.worker._wake_up
    wake_up.clear()

    database.execute(FILL, [account, "wait", None, 1])

    eventually(lambda: wake_up.is_signalled)
    assert statuses(database) == {"processing": 1, "pending": 2}
    worker._loop.call_soon_threadsafe(gate.opened.set)
    eventually(lambda: statuses(database) == {"completed": 3})


class Attempt:
    """The part of an execution that claiming ahead reads."""

    def __init__(self, task: Task) -> None:
        self.task = task


class Waiting:
    """The object under test, on the event loop of the test, and the tasks that it gave back."""

    def __init__(self, *, is_allowed: bool = True, **timings: float) -> None:
        self.given_back: list[Any] = []
        self.changed = asyncio.Event()
        self.ahead = ClaimingAhead(Timings(**timings), self._release, is_allowed=is_allowed)

    def _release(self, execution: Execution) -> None:
        self.ahead.remove(execution)
        self.given_back.append(execution)
        self.changed.set()

    def add(self, *, is_last_attempt: bool = False) -> Any:
        execution: Any = Attempt(make_task(retry_count=3 if is_last_attempt else 0))
        self.ahead.add(execution)
        return execution


def test_handlers_count_as_quick_only_after_some_hundred_of_them_were() -> None:
    ahead = Waiting().ahead
    ended = 0
    while ahead.per_slot() == 0:
        ahead.record_duration(0.001)
        ended += 1
    assert ahead.per_slot() == AHEAD
    assert 200 < ended < 300
    ahead.record_duration(0.5)
    ahead.record_duration(0.001)
    assert ahead.per_slot() == 0


def test_nothing_is_claimed_ahead_where_it_is_not_allowed() -> None:
    assert Waiting(quick_handler=10).ahead.per_slot() == AHEAD
    assert Waiting(quick_handler=10, is_allowed=False).ahead.per_slot() == 0


def test_nothing_is_claimed_ahead_for_a_while_after_a_task_on_its_last_attempt() -> None:
    async def scene() -> None:
        waiting = Waiting(quick_handler=10)
        first = waiting.add()
        last = waiting.add(is_last_attempt=True)
        assert waiting.given_back == [last]
        assert waiting.ahead.per_slot() == 0
        assert waiting.ahead.pop() is first
        assert waiting.ahead.pop() is None

    asyncio.run(scene())


def test_pause_after_a_task_on_its_last_attempt_ends() -> None:
    async def scene() -> None:
        waiting = Waiting(quick_handler=10, ahead_pause=0)
        waiting.add(is_last_attempt=True)
        assert waiting.ahead.per_slot() == AHEAD

    asyncio.run(scene())


def test_tasks_that_get_their_slots_in_time_are_not_given_back() -> None:
    async def scene() -> None:
        waiting = Waiting(quick_handler=10, ahead_patience=0.2)
        first, second, third = waiting.add(), waiting.add(), waiting.add()
        assert waiting.ahead.pop() is first
        at_its_end = asyncio.Event()
        asyncio.get_running_loop().call_later(0.2, at_its_end.set)
        await at_its_end.wait()  # of the patience with the first
        assert waiting.given_back == []
        assert waiting.ahead.per_slot() == AHEAD

        await waiting.changed.wait()  # and then that with the second
        assert waiting.given_back == [third, second]
        assert waiting.ahead.per_slot() == 0

    asyncio.run(scene())
