"""Sessions that wait for a task or a batch are notified when it has ended, and block nobody."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from tests.sql.waiters import HOLD, Connect, Waiter, asks_while, end, name_of, running_batch
from tests.support.plans import scans
from tests.support.queue import Held, Queue


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
    """Without a waiting session, nothing is sent."""
    task = queue.running(batch="spring")
    channels = [waiter.ask(task=name_of(queue, task.id)), waiter.ask(batch="spring")]
    for channel in channels:
        waiter.session.run(f"LISTEN {channel}")
    queue.run("DELETE FROM contentq.awaited")

    end(queue, task)

    assert waiter.heard() == []


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


def test_end_that_was_under_way_when_waiting_began_is_heard(
    queue: Queue, connect_queue: Connect, waiter: Waiter
) -> None:
    """It checks for waiting sessions before there are any."""
    (task,) = running_batch(queue, 1)
    other = connect_queue()
    other.run("BEGIN")
    end(other, task)
    channel = waiter.ask(batch="spring")
    waiter.session.run(f"LISTEN {channel}")

    asks_while(waiter, queue, "spring", lambda: other.connection.commit())

    assert waiter.heard() == [channel]


@pytest.mark.slow
def test_transaction_that_does_not_end_keeps_no_one_waiting_for_it(
    queue: Queue, connect_queue: Connect, waiter: Waiter
) -> None:
    (task,) = running_batch(queue, 1)
    channel = waiter.wait(batch="spring")
    hanging = connect_queue()
    with hanging.connection.transaction(force_rollback=True):
        end(hanging, task)

        waiter.ask(batch="spring")

        assert waiter.heard() == [channel]  # to check again


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
    """As for logins of readers, which are often read-only: it polls."""
    task = queue.running(batch="spring")
    waiter.session.run("SET default_transaction_read_only = on")

    for channel in (waiter.wait(task=name_of(queue, task.id)), waiter.wait(batch="spring")):
        assert channel.startswith("contentq_")
    assert queue.value("SELECT count(*) FROM contentq.awaited") == 0


@pytest.mark.slow
@pytest.mark.newest
def test_no_more_is_awaited_than_the_housekeeping_can_look_at(queue: Queue, waiter: Waiter) -> None:
    """A session that waits for more polls."""
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
    """Recent entries at each call, all entries once a minute."""
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


@pytest.mark.slow
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
