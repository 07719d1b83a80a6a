"""Who waits for a task or a batch is notified when it has ended, and holds up nobody."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.support.plans import scans
from tests.support.queue import Held, Queue
from tests.support.waiting import eventually

HOLD = "SET CONSTRAINTS ALL IMMEDIATE"
"""Makes a transaction do now what it would do right before its commit, and leaves it there."""

END = "end of the test"

Connect = Callable[[], Queue]


class Waiter:
    """A session that waits for tasks or batches, as any language would."""

    def __init__(self, session: Queue) -> None:
        self.session = session

    def ask(self, task: str | None = None, batch: str | None = None) -> str:
        """Calls wait_channel(); returns the channel."""
        return str(self.session.value("SELECT contentq.wait_channel(%s, %s)", task, batch))

    def wait(self, task: str | None = None, batch: str | None = None) -> str:
        """Begins to wait: asks, listens, asks again; returns the channel."""
        channel = self.ask(task, batch)
        self.session.run(f"LISTEN {channel}")
        assert self.ask(task, batch) == channel
        return channel

    def heard(self) -> list[str]:
        """The channels that were notified before this call, each once."""
        self.session.run("LISTEN until_here")
        self.session.run("SELECT pg_notify('until_here', '')")
        channels: list[str] = []
        for notification in self.session.connection.notifies(timeout=10):
            if notification.channel == "until_here":
                return sorted(set(channels))
            assert notification.payload == ""
            channels.append(notification.channel)
        raise AssertionError("the last notification did not come")


@pytest.fixture
def waiter(connect_queue: Connect) -> Waiter:
    return Waiter(connect_queue())


def end(queue: Queue, *tasks: Held) -> None:
    """Completes tasks."""
    assert len(queue.complete(tasks[0].worker, tasks)) == len(tasks)


def running_batch(queue: Queue, size: int, name: str = "spring", **columns: object) -> list[Held]:
    """Tasks of a batch, each held by the same worker."""
    worker = queue.register(slots=size)
    ids = [queue.add(batch=name, **columns) for _ in range(size)]
    rows = queue.claim(worker, size)
    assert [row["id"] for row in rows] == ids
    return [Held(worker, row["id"], row["attempt"]) for row in rows]


def name_of(queue: Queue, task: int) -> str:
    return str(queue.row(task)["task_id"])


def completed(queue: Queue, held: Held) -> None:
    end(queue, held)


def failed(queue: Queue, held: Held) -> None:
    assert queue.fail(held, permanent=True) == "failed"


def out_of_retries(queue: Queue, held: Held) -> None:
    queue.set(held.id, max_retries=0)
    assert queue.fail(held) == "failed"


def stored(queue: Queue, held: Held) -> None:
    assert queue.store(held.worker, [held]) == [held.id]


def timed_out(queue: Queue, held: Held) -> None:
    queue.set(held.id, timeout_at="2001-01-01")
    assert queue.value("SELECT contentq.sweep_timeouts()") == 1


def completed_by_hand(queue: Queue, held: Held) -> None:
    queue.run("UPDATE content_generation_tasks SET status = 'completed', completed_at = now()")


def cancelled_by_hand(queue: Queue, held: Held) -> None:
    queue.run("UPDATE content_generation_tasks SET status = 'failed', updated_at = now()")


def deleted(queue: Queue, held: Held) -> None:
    queue.run("DELETE FROM content_generation_tasks WHERE id = %s", held.id)


@pytest.mark.parametrize(
    "ending",
    [
        completed,
        failed,
        out_of_retries,
        stored,
        timed_out,
        completed_by_hand,
        cancelled_by_hand,
        deleted,
    ],
)
def test_end_of_a_task_is_heard_however_it_ends(
    queue: Queue, waiter: Waiter, ending: Callable[[Queue, Held], None]
) -> None:
    task = queue.running(batch="spring")
    channels = sorted([waiter.wait(task=name_of(queue, task.id)), waiter.wait(batch="spring")])
    assert waiter.heard() == []

    ending(queue, task)

    assert waiter.heard() == channels
    assert all(len(channel) <= 63 and channel.islower() and channel.isidentifier() for channel in channels)


def retried(queue: Queue, held: Held) -> None:
    assert queue.fail(held) == "pending"


def released(queue: Queue, held: Held) -> None:
    assert queue.release(held.worker, [held]) == [held.id]


def rolled_back(queue: Queue, held: Held) -> None:
    with queue.connection.transaction(force_rollback=True):
        end(queue, held)


def another_ended(queue: Queue, held: Held) -> None:
    end(queue, queue.running())


@pytest.mark.parametrize("change", [retried, released, rolled_back, another_ended])
def test_what_does_not_end_it_is_not_heard(
    queue: Queue, waiter: Waiter, change: Callable[[Queue, Held], None]
) -> None:
    task = queue.running(batch="spring")
    waiter.wait(task=name_of(queue, task.id))
    waiter.wait(batch="spring")

    change(queue, task)

    assert waiter.heard() == []


def test_who_does_not_wait_is_not_notified(queue: Queue, waiter: Waiter) -> None:
    """Unasked, nothing is sent."""
    task = queue.running(batch="spring")
    channels = [waiter.ask(task=name_of(queue, task.id)), waiter.ask(batch="spring")]
    for channel in channels:
        waiter.session.run(f"LISTEN {channel}")
    queue.run("DELETE FROM contentq.awaited")

    end(queue, task)

    assert waiter.heard() == []


def test_batch_is_heard_at_the_end_of_its_last_task(queue: Queue, waiter: Waiter) -> None:
    first, second, third = running_batch(queue, 3)
    channel = waiter.wait(batch="spring")

    end(queue, first)
    queue.fail(second, permanent=True)
    assert waiter.heard() == []
    end(queue, third)
    assert waiter.heard() == [channel]


def test_last_task_of_a_batch_may_be_deleted(queue: Queue, waiter: Waiter) -> None:
    first, second = running_batch(queue, 2)
    channel = waiter.wait(batch="spring")
    end(queue, first)
    assert waiter.heard() == []

    queue.run("DELETE FROM content_generation_tasks WHERE id = %s", second.id)

    assert waiter.heard() == [channel]


def test_who_comes_late_is_answered(queue: Queue, waiter: Waiter) -> None:
    task = queue.running(batch="spring")
    end(queue, task)

    channels = [waiter.wait(task=name_of(queue, task.id)), waiter.wait(batch="spring")]

    assert waiter.heard() == sorted(channels)
    assert queue.value("SELECT count(*) FROM contentq.awaited") == 0


def test_end_between_the_first_call_and_listen_is_heard(queue: Queue, waiter: Waiter) -> None:
    task = queue.running()
    channel = waiter.ask(task=name_of(queue, task.id))
    end(queue, task)
    waiter.session.run(f"LISTEN {channel}")
    assert waiter.heard() == []

    waiter.ask(task=name_of(queue, task.id))

    assert waiter.heard() == [channel]


def asks_while(asking: Waiter, other: Queue, batch: str, what: Callable[[], None]) -> None:
    """Does something while a call of wait_channel() waits for it."""
    with ThreadPoolExecutor() as pool:
        call = pool.submit(asking.ask, batch=batch)
        pid = asking.session.connection.info.backend_pid
        eventually(
            lambda: other.value("SELECT wait_event FROM pg_stat_activity WHERE pid = %s", pid) == "PgSleep",
        )
        what()
        call.result(10)


def test_end_that_was_under_way_when_waiting_began_is_heard(
    queue: Queue, connect_queue: Connect, waiter: Waiter
) -> None:
    """It has looked whether somebody waits before anybody did."""
    (task,) = running_batch(queue, 1)
    other = connect_queue()
    other.run("BEGIN")
    end(other, task)
    channel = waiter.ask(batch="spring")
    waiter.session.run(f"LISTEN {channel}")

    asks_while(waiter, queue, "spring", lambda: other.connection.commit())

    assert waiter.heard() == [channel]


@pytest.mark.parametrize("first_has_looked", [True, False])
def test_last_two_tasks_of_a_batch_that_end_at_once_are_heard(
    queue: Queue, connect_queue: Connect, waiter: Waiter, first_has_looked: bool
) -> None:
    """Neither transaction sees what the other does."""
    tasks = running_batch(queue, 2)
    channel = waiter.wait(batch="spring")
    first, second = connect_queue(), connect_queue()
    first.run("BEGIN")
    end(first, tasks[0])
    if first_has_looked:
        first.run(HOLD)
    second.run("BEGIN")
    end(second, tasks[1])
    second.run("COMMIT")

    assert waiter.heard() == [channel]
    # As whoever is notified: it may be too early.
    asks_while(waiter, queue, "spring", lambda: first.connection.commit())
    assert waiter.heard() == [channel]
    assert waiter.session.values("SELECT pending + processing FROM contentq.batches") == [0]


@pytest.mark.parametrize("second_began", ["before", "after"])
def test_end_in_a_transaction_that_does_not_see_the_other_ends_is_heard(
    queue: Queue, connect_queue: Connect, waiter: Waiter, second_began: str
) -> None:
    tasks = running_batch(queue, 2)
    channel = waiter.wait(batch="spring")
    first, second = connect_queue(), connect_queue()
    second.run("BEGIN")
    if second_began == "before":
        end(second, tasks[1])
        queue.add()  # a transaction with a later id, so that the snapshot names this one
    first.run("BEGIN ISOLATION LEVEL REPEATABLE READ")
    first.run("SELECT FROM content_generation_tasks")
    if second_began == "after":
        end(second, tasks[1])
    second.run("COMMIT")
    assert waiter.heard() == []

    end(first, tasks[0])
    first.run("COMMIT")

    assert waiter.heard() == [channel]


def test_transaction_that_does_not_end_keeps_no_one_waiting_for_it(
    queue: Queue, connect_queue: Connect, waiter: Waiter
) -> None:
    (task,) = running_batch(queue, 1)
    channel = waiter.wait(batch="spring")
    hanging = connect_queue()
    with hanging.connection.transaction(force_rollback=True):
        end(hanging, task)

        waiter.ask(batch="spring")

        assert waiter.heard() == [channel]  # to look again


def test_open_transaction_of_who_waits_holds_up_no_worker(
    queue: Queue, connect_queue: Connect, waiter: Waiter
) -> None:
    tasks = running_batch(queue, 3)
    name = name_of(queue, tasks[0].id)
    queue.run("SET lock_timeout = '100ms'")
    open_one = Waiter(connect_queue())
    with open_one.session.connection.transaction():
        open_one.ask(task=name)
        open_one.ask(batch="spring")
        end(queue, tasks[0])

    channel = waiter.wait(batch="spring")
    with open_one.session.connection.transaction():
        open_one.ask(batch="spring")
        open_one.session.run("SELECT FROM contentq.awaited FOR UPDATE")
        end(queue, *tasks[1:])
        assert queue.value("SELECT contentq.maintain()") is not None

    assert waiter.heard() == [channel]


def test_who_notes_the_same_in_an_open_transaction_holds_up_no_other_and_keeps_nothing_from_it(
    queue: Queue, connect_queue: Connect, waiter: Waiter
) -> None:
    task = queue.running()
    name = name_of(queue, task.id)
    open_one = Waiter(connect_queue())
    waiter.session.run("SET lock_timeout = '100ms'")
    with open_one.session.connection.transaction():
        open_one.ask(task=name)
        channel = waiter.wait(task=name)

        end(queue, task)

        assert waiter.heard() == [channel]
    queue.run("SELECT contentq.maintain()")
    assert queue.value("SELECT count(*) FROM contentq.awaited") == 0


def test_session_that_may_only_read_is_not_noted_and_gets_its_channel(queue: Queue, waiter: Waiter) -> None:
    """As logins of readers are often set: it looks by itself."""
    task = queue.running(batch="spring")
    waiter.session.run("SET default_transaction_read_only = on")

    for channel in (waiter.wait(task=name_of(queue, task.id)), waiter.wait(batch="spring")):
        assert channel.startswith("contentq_")
    assert queue.value("SELECT count(*) FROM contentq.awaited") == 0


@pytest.mark.newest
def test_no_more_is_awaited_than_the_housekeeping_can_look_at(queue: Queue, waiter: Waiter) -> None:
    """Whoever waits for more looks by itself."""
    name = name_of(queue, queue.add())
    queue.run(
        "INSERT INTO contentq.awaited (kind, name) SELECT 'task', n::text FROM generate_series(1, 100000) AS n"
    )

    assert waiter.ask(task=name)
    assert queue.value("SELECT count(*) FROM contentq.awaited") == 100000

    queue.run("DELETE FROM contentq.awaited WHERE name = '50000'")
    waiter.ask(task=name)
    assert queue.value("SELECT count(*) FROM contentq.awaited WHERE name = %s", name) == 1


@pytest.mark.parametrize("arguments", ["", "NULL, NULL", "'task-1', 'spring'"])
def test_one_of_the_two_must_be_named(queue: Queue, arguments: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="one of task_id and batch"):
        queue.run(f"SELECT contentq.wait_channel({arguments})")


@pytest.mark.parametrize(("arguments", "what"), [("'task-1'", "task task-1"), ("batch => 'x'", "batch x")])
def test_what_does_not_exist_is_not_waited_for(queue: Queue, arguments: str, what: str) -> None:
    with pytest.raises(psycopg.errors.NoDataFound, match=f"there is no {what}"):
        queue.run(f"SELECT contentq.wait_channel({arguments})")

    assert queue.value("SELECT contentq.await_end('task', 'task-1')")
    assert queue.value("SELECT count(*) FROM contentq.awaited") == 0


@pytest.mark.parametrize(("since", "checked"), [("1 second", True), ("40 seconds", True), ("40 seconds", False)])
def test_end_that_no_trigger_told_is_told_by_the_housekeeping(
    queue: Queue, waiter: Waiter, since: str, checked: bool
) -> None:
    """What was noted lately each time, all of it once a minute."""
    task = queue.running(batch="spring")
    channels = sorted([waiter.wait(task=name_of(queue, task.id)), waiter.wait(batch="spring")])
    queue.run("SET contentq.notify = off")
    end(queue, task)
    queue.run("RESET contentq.notify")
    queue.run("UPDATE contentq.awaited SET since = clock_timestamp() - %s::interval", since)
    if not checked:
        queue.run("UPDATE contentq.maintenance SET cleaned_at = clock_timestamp()")
    assert waiter.heard() == []

    queue.run("SELECT contentq.maintain()")

    assert waiter.heard() == (channels if checked else [])
    assert queue.value("SELECT count(*) FROM contentq.awaited") == (0 if checked else 2)


def test_housekeeping_forgets_what_nobody_waits_for_any_more(queue: Queue, waiter: Waiter) -> None:
    tasks = [queue.running(batch="spring") for _ in range(2)]
    for task in tasks:
        waiter.ask(task=name_of(queue, task.id))
    waiter.ask(batch="spring")
    queue.run(
        "UPDATE contentq.awaited SET since = clock_timestamp() - interval '25 hours' WHERE name = %s",
        name_of(queue, tasks[0].id),
    )

    queue.run("SELECT contentq.maintain()")

    assert queue.values("SELECT name FROM contentq.awaited ORDER BY kind") == [
        "spring",
        name_of(queue, tasks[1].id),
    ]


@pytest.mark.newest
def test_last_task_of_a_large_batch_is_found_without_reading_the_others(queue: Queue, waiter: Waiter) -> None:
    (task,) = running_batch(queue, 1)
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, batch, status, completed_at) "
        "SELECT %s, 'spring', 'completed', now() FROM generate_series(1, 5000)",
        queue.account,
    )
    queue.run("VACUUM ANALYZE content_generation_tasks")
    waiter.wait(batch="spring")

    read = scans(
        queue,
        f"DO $$ BEGIN UPDATE content_generation_tasks SET status = 'completed', completed_at = now() "
        f"WHERE id = {task.id}; SET CONSTRAINTS ALL IMMEDIATE; END $$",
    )
    asked = scans(waiter.session, "SELECT contentq.wait_channel(batch => 'spring')")

    assert (read.sequential, asked.sequential) == (0, 0)
    assert read.rows < 20
    assert asked.rows < 20
    assert len(waiter.heard()) == 1


@pytest.mark.parametrize("others", ["end", "go on"])
def test_many_tasks_of_a_batch_that_end_at_once_are_not_looked_at_again_for_each_other(
    queue: Queue, waiter: Waiter, others: str
) -> None:
    number = 400
    tasks = running_batch(queue, number)
    channel = waiter.wait(batch="spring")
    last = tasks[-1].id + (others == "end")

    read = scans(
        queue,
        f"DO $$ BEGIN UPDATE content_generation_tasks SET status = 'completed', completed_at = now() "
        f"WHERE id < {last}; SET CONSTRAINTS ALL IMMEDIATE; END $$",
    )

    assert sum(read.entries.values()) < 10 * number
    assert waiter.heard() == ([channel] if others == "end" else [])


def test_tasks_of_a_batch_that_ended_after_an_old_snapshot_are_not_read_by_those_that_end_later(
    queue: Queue, connect_queue: Connect, waiter: Waiter
) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, batch) "
        "SELECT %s, 'spring' FROM generate_series(1, 600)",
        queue.account,
    )
    queue.run("VACUUM content_generation_tasks")
    channel = waiter.wait(batch="spring")
    worker = queue.register(slots=500)
    with connect_queue().connection.transaction() as old:
        old.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.connection.execute("SELECT FROM content_generation_tasks LIMIT 1")
        end(queue, *[Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker, 500)])
        (row,) = queue.claim(worker, 1)

        read = scans(
            queue,
            f"DO $$ BEGIN UPDATE content_generation_tasks SET status = 'completed', completed_at = now() "
            f"WHERE id = {row['id']}; SET CONSTRAINTS ALL IMMEDIATE; END $$",
        )

        assert read.entries["batch_idx"] < 200
        assert waiter.heard() == []
        queue.run("UPDATE content_generation_tasks SET status = 'failed' WHERE status = 'pending'")
        assert waiter.heard() == [channel]


def test_what_was_told_counts_for_its_transaction_only(queue: Queue, waiter: Waiter) -> None:
    first, second = running_batch(queue, 2)
    channel = waiter.wait(batch="spring")
    queue.run("BEGIN")
    queue.run("SAVEPOINT before")
    end(queue, first, second)
    queue.run(HOLD)
    queue.run("ROLLBACK TO before")
    end(queue, first)
    queue.run(HOLD)
    queue.run("COMMIT")
    assert waiter.heard() == []

    end(queue, second)

    assert waiter.heard() == [channel]


def test_batch_of_several_accounts_is_heard_once_for_each(queue: Queue, waiter: Waiter) -> None:
    """Also when one transaction ends the tasks of both, one after the other."""
    tasks = running_batch(queue, 2)
    other = queue.add_account()
    tasks += running_batch(queue, 2, account_id=other)
    channel = waiter.wait(batch="spring")

    with queue.connection.transaction():
        for task in (tasks[0], tasks[2], tasks[1]):
            queue.set(task.id, status="completed", completed_at=queue.now())

    assert waiter.heard() == [channel]


def test_setting_of_a_session_that_makes_no_sense_hinders_nothing(queue: Queue, waiter: Waiter) -> None:
    """As one that a pooler has left."""
    (task,) = running_batch(queue, 1)
    channel = waiter.wait(batch="spring")
    queue.run("SET contentq.batches_told = 'what'")

    end(queue, task)

    assert waiter.heard() == [channel]


@pytest.mark.parametrize("waits", [True, False])
def test_only_who_waits_has_transactions_that_delete_tasks_look(queue: Queue, waiter: Waiter, waits: bool) -> None:
    tasks = [queue.add(batch="spring") for _ in range(3)]
    channels = [waiter.wait(task=name_of(queue, tasks[0]))] if waits else []
    queue.run("SET track_functions = 'pl'")
    queue.run("BEGIN")

    queue.run("DELETE FROM content_generation_tasks")
    queue.run(HOLD)

    called = queue.value(
        "SELECT coalesce(sum(calls), 0) FROM pg_stat_xact_user_functions WHERE funcname = 'tell_waiters'"
    )
    queue.run("COMMIT")
    assert called == (3 if waits else 0)
    assert waiter.heard() == channels


@pytest.mark.newest
def test_ten_thousand_waiters_are_told_and_cost_other_tasks_little(queue: Queue, waiter: Waiter) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, started_at) "
        "SELECT %s, 'processing', now() FROM generate_series(1, 10000)",
        queue.account,
    )
    queue.run("INSERT INTO contentq.awaited (kind, name) SELECT 'task', task_id FROM content_generation_tasks")
    queue.run("VACUUM ANALYZE content_generation_tasks, contentq.awaited")
    names = queue.values("SELECT task_id FROM content_generation_tasks ORDER BY id LIMIT 100")
    channels = sorted(waiter.wait(task=name) for name in names)
    task = queue.running()

    before = queue.value("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'awaited'")
    read = scans(
        queue,
        f"DO $$ BEGIN UPDATE content_generation_tasks SET status = 'completed', completed_at = now() "
        f"WHERE id = {task.id}; SET CONSTRAINTS ALL IMMEDIATE; END $$",
    )
    queue.run("SELECT pg_stat_force_next_flush()")
    assert queue.value("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'awaited'") <= before + 10
    assert read.rows < 10
    assert waiter.heard() == []

    queue.run("UPDATE content_generation_tasks SET status = 'completed', completed_at = now()")

    assert waiter.heard() == channels
    for _ in range(10):
        queue.run("UPDATE contentq.maintenance SET cleaned_at = '-infinity'")
        queue.run("SELECT contentq.maintain()")
    assert queue.value("SELECT count(*) FROM contentq.awaited") == 0
