"""Fair order, caps and aging with real workers: which tasks run concurrently as slots become free."""

from __future__ import annotations

import statistics
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from contentq import Task, ThreadContext

from tests.engine.conftest import Database, StartWorker
from tests.support.waiting import eventually

Submit = Callable[..., None]


class Held:
    """A handler whose tasks run until the test ends some of them. It counts running tasks."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: list[Task] = []
        self._ending: set[int] = set()
        self._lets_all = False
        self.started: list[int] = []
        """The accounts of the tasks, in order of their start."""

    def __call__(self, task: Task, _context: ThreadContext) -> None:
        with self._changed:
            self._running.append(task)
            self.started.append(task.account_id)
            self._changed.wait_for(lambda: self._lets_all or task.id in self._ending, timeout=60)
            self._running.remove(task)

    def running(self) -> Counter[int]:
        """Number of running tasks by account."""
        with self._changed:
            return Counter(task.account_id for task in self._running)

    def end(self, number: int = 1) -> None:
        """Ends the tasks that have run longest."""
        with self._changed:
            unended = [task.id for task in self._running if task.id not in self._ending]
            self._ending.update(unended[:number])
            self._changed.notify_all()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Ends all tasks after the block."""
        try:
            yield
        finally:
            with self._changed:
                self._lets_all = True
                self._changed.notify_all()


@pytest.fixture
def handler() -> Iterator[Held]:
    held = Held()
    with held.held():
        yield held


@pytest.fixture
def submit(database: Database) -> Submit:
    """Inserts this many tasks of an account, in one transaction."""

    def insert(account: int, number: int, priority: int = 5) -> None:
        database.execute(
            "INSERT INTO content_generation_tasks (account_id, topic, priority) "
            "SELECT %s, 'A topic', %s FROM generate_series(1, %s)",
            [account, priority, number],
        )

    return insert


@pytest.fixture
def add_account(database: Database) -> Callable[..., int]:
    """Adds an account and returns its id."""

    def insert(share: int = 1, max_running: int | None = None) -> int:
        row = database.execute(
            "INSERT INTO accounts (name, share, max_running) VALUES ('Test', %s, %s) RETURNING id",
            [share, max_running],
        ).fetchone()
        assert row is not None
        return int(row[0])

    return insert


def _set(database: Database, settings: str) -> None:
    database.execute(f"UPDATE contentq.settings SET {settings}".encode())


def test_account_that_comes_later_gets_its_half_as_slots_end(
    start_worker: StartWorker, database: Database, handler: Held, submit: Submit, add_account: Callable[..., int]
) -> None:
    _set(database, "claim_order = 'fair'")
    long, short = add_account(), add_account()
    submit(long, 500)
    for _ in range(2):
        start_worker(handler, concurrency=4)
    eventually(lambda: handler.running() == {long: 8})

    submit(short, 10)
    handler.end(1)
    eventually(lambda: handler.running() == {long: 7, short: 1})
    handler.end(3)
    eventually(lambda: handler.running() == {long: 4, short: 4})


def test_shares_hold_between_the_workers_of_a_fleet(
    start_worker: StartWorker, database: Database, handler: Held, submit: Submit, add_account: Callable[..., int]
) -> None:
    _set(database, "claim_order = 'fair'")
    large, small = add_account(share=3), add_account()
    submit(large, 300)
    submit(small, 300)
    for _ in range(2):
        start_worker(handler, concurrency=8)
    eventually(lambda: handler.running().total() == 16)
    of_large = []
    for _ in range(16):
        before = len(handler.started)
        handler.end(4)
        eventually(lambda before=before: len(handler.started) == before + 4)  # type: ignore[misc]
        of_large.append(handler.running()[large])
    # Effects of concurrent claims at the start have ended. Concurrent claims may recur in any round, and until
    # the next one too many or too few tasks run.
    assert abs(statistics.mean(of_large[5:]) - 12) <= 1, of_large


def test_capped_account_never_has_more_running_and_no_place_stays_free(
    start_worker: StartWorker, database: Database, handler: Held, submit: Submit, add_account: Callable[..., int]
) -> None:
    capped = add_account(max_running=2)
    submit(capped, 20)
    for _ in range(2):
        start_worker(handler, concurrency=5, poll=60)
    for number in range(2, 20, 2):
        eventually(lambda number=number: len(handler.started) == number, within=5)  # type: ignore[misc]
        assert handler.running() == {capped: 2}
        handler.end(2)
    # A worker that reports a task claims immediately, not at its next poll a second later.
    row = database.execute(
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM t.started_at - t.ended_before)) "
        "FROM (SELECT started_at, lag(completed_at, 2) OVER (ORDER BY started_at, id) AS ended_before "
        "      FROM content_generation_tasks WHERE started_at IS NOT NULL) AS t "
        "WHERE t.ended_before IS NOT NULL"
    ).fetchone()
    assert row is not None
    assert row[0] < 0.25


def test_workers_that_sleep_take_up_a_cap_that_is_raised(
    start_worker: StartWorker, database: Database, handler: Held, submit: Submit, add_account: Callable[..., int]
) -> None:
    capped = add_account(max_running=0)
    submit(capped, 20)
    start_worker(handler, concurrency=5, poll=60)
    eventually(lambda: database.execute("SELECT id FROM contentq.workers").fetchone())
    assert handler.started == []
    database.execute("UPDATE accounts SET max_running = 3")
    eventually(lambda: handler.running() == {capped: 3}, within=5)


def test_place_that_one_worker_frees_is_taken_by_another_that_wants_it(
    start_worker: StartWorker, database: Database, handler: Held, submit: Submit, add_account: Callable[..., int]
) -> None:
    """The first worker stops claiming; the other sleeps when the slot becomes free."""
    capped = add_account(max_running=1)
    submit(capped, 2)
    first = start_worker(handler, concurrency=1, poll=60)
    eventually(lambda: handler.running() == {capped: 1})
    start_worker(handler, concurrency=1, poll=60)
    eventually(lambda: database.execute("SELECT count(*) FROM contentq.workers").fetchone() == (2,))
    first.stop()
    handler.end(1)
    eventually(lambda: len(handler.started) == 2, within=5)


@pytest.mark.slow
def test_task_that_has_waited_for_long_starts_under_a_stream_of_urgent_ones(
    start_worker: StartWorker, database: Database, handler: Held, submit: Submit, add_account: Callable[..., int]
) -> None:
    _set(database, "aging = '1 second'")
    urgent, low = add_account(), add_account()
    submit(low, 1, priority=1)
    submit(urgent, 1_000, priority=10)
    start_worker(handler, concurrency=2)

    def starts_low() -> bool:
        handler.end(2)
        return low in handler.started

    eventually(starts_low, within=15)
    waited = database.execute(
        "SELECT started_at - submitted_at FROM content_generation_tasks WHERE account_id = %s", [low]
    ).fetchone()
    assert waited is not None
    assert waited[0].total_seconds() < 10
