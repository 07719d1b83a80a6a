"""Sessions that wait for a batch are notified once, when its last task has ended, at little cost."""

from __future__ import annotations

import time
from hashlib import md5

import pytest

from tests.sql.waiters import HOLD, Connect, Waiter, asks_while, end, running_batch
from tests.support.plans import scans
from tests.support.queue import Held, Queue


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


@pytest.mark.parametrize("first_has_looked", [True, False])
def test_last_two_tasks_of_a_batch_that_end_at_once_are_heard(
    queue: Queue, connect_queue: Connect, waiter: Waiter, first_has_looked: bool
) -> None:
    """Neither transaction sees the work of the other."""
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
    # Like a notified session: this may be too early.
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
        queue.add()  # a transaction with a later id, so that the snapshot contains this one
    first.run("BEGIN ISOLATION LEVEL REPEATABLE READ")
    first.run("SELECT FROM content_generation_tasks")
    if second_began == "after":
        end(second, tasks[1])
    second.run("COMMIT")
    assert waiter.heard() == []

    end(first, tasks[0])
    first.run("COMMIT")

    assert waiter.heard() == [channel]


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
    """Also if one transaction ends the tasks of both, one after the other."""
    tasks = running_batch(queue, 2)
    other = queue.add_account()
    tasks += running_batch(queue, 2, account_id=other)
    channel = waiter.wait(batch="spring")

    with queue.connection.transaction():
        for task in (tasks[0], tasks[2], tasks[1]):
            queue.set(task.id, status="completed", completed_at=queue.now())

    assert waiter.heard() == [channel]


@pytest.mark.parametrize("left_behind", ["what", "{key}=", "{key}=what;", "{key}=9999999999999999999;"])
def test_setting_of_a_session_that_makes_no_sense_hinders_nothing(
    queue: Queue, waiter: Waiter, left_behind: str
) -> None:
    """Such as a value left behind by a pooler."""
    first, second = running_batch(queue, 2)
    channel = waiter.wait(batch="spring")
    key = md5(f"{queue.account} spring".encode()).hexdigest()
    setting = f"contentq.batches_told_{key[:2]}"
    queue.run("SELECT set_config(%s, %s, false)", setting, left_behind.format(key=key))

    with queue.connection.transaction():
        end(queue, first)
        queue.run(HOLD)
        assert queue.value("SELECT current_setting(%s)", setting).startswith(f"{key}={second.id};")
        end(queue, second)

    assert waiter.heard() == [channel]


@pytest.mark.slow
def test_end_of_many_awaited_batches_in_one_transaction_costs_each_the_same(queue: Queue, waiter: Waiter) -> None:
    def seconds(number: int) -> float:
        queue.run("TRUNCATE contentq.awaited, content_generation_tasks")
        queue.run(
            "INSERT INTO content_generation_tasks (account_id, batch) "
            "SELECT %s, 'batch ' || n FROM generate_series(1, %s) AS n",
            queue.account,
            number,
        )
        queue.run(
            "INSERT INTO contentq.awaited (kind, name) SELECT 'batch', t.batch FROM content_generation_tasks AS t"
        )
        channel = waiter.wait(batch="batch 7")
        with queue.connection.transaction():
            queue.run("UPDATE content_generation_tasks SET status = 'failed'")
            began = time.perf_counter()
            queue.run(HOLD)
            took = time.perf_counter() - began
        assert waiter.heard() == [channel]
        return took

    few = min(seconds(1000) for _ in range(3))
    queue.run("SELECT set_config('statement_timeout', %s, false)", f"{12 * 3 * few * 1000:.0f}ms")

    seconds(12_000)  # quadratic: some 100 times as long


@pytest.mark.slow
def test_each_of_many_awaited_batches_is_heard_once_in_a_transaction_that_ends_all_their_tasks(
    queue: Queue, waiter: Waiter
) -> None:
    names = [f"batch {number}" for number in range(600)]
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, batch) "
        "SELECT %s, 'batch ' || n / 5 FROM generate_series(0, 2999) AS n",
        queue.account,
    )
    channels = [waiter.wait(batch=name) for name in names]

    with queue.connection.transaction():
        for rest in range(5):
            queue.run("UPDATE content_generation_tasks SET status = 'failed' WHERE mod(id, 5) = %s", rest)
            queue.run(HOLD)
            kept = queue.value(
                "SELECT count(*) FROM generate_series(0, 255) AS s (number), "
                "regexp_matches(current_setting('contentq.batches_told_' || lpad(to_hex(number), 2, '0'), true), "
                "'[0-9a-f]{32}=', 'g')"
            )
            assert kept == len(names)

    assert waiter.heard() == sorted(channels)
