"""Idle workers are woken by notifications on channel contentq_ready."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import psycopg
import pytest

from tests.support.queue import Held, Queue

END = "end of the test"


@pytest.fixture
def listener(connect_queue: Callable[[], Queue]) -> Queue:
    """A session that listens."""
    listener = connect_queue()
    listener.run("LISTEN contentq_ready")
    return listener


def heard(listener: Queue) -> list[str]:
    """The payloads of all notifications sent before this call."""
    listener.run("SELECT pg_notify('contentq_ready', %s)", END)
    payloads: list[str] = []
    for notification in listener.connection.notifies(timeout=10):
        if notification.payload == END:
            return payloads
        payloads.append(notification.payload)
    raise AssertionError("the last notification did not come")


def test_insert_of_many_rows_wakes_once_without_a_payload(queue: Queue, listener: Queue) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id) SELECT %s FROM generate_series(1, 100)", queue.account
    )

    assert heard(listener) == [""]


def test_each_inserting_statement_wakes(queue: Queue, listener: Queue) -> None:
    queue.add()
    queue.add()

    assert heard(listener) == ["", ""]


def test_copy_wakes_once(queue: Queue, listener: Queue) -> None:
    account = queue.account
    with queue.connection.cursor().copy("COPY content_generation_tasks (account_id) FROM STDIN") as copy:
        for _ in range(100):
            copy.write_row([account])

    assert heard(listener) == [""]


def test_insert_that_is_rolled_back_wakes_no_one(queue: Queue, listener: Queue) -> None:
    with queue.connection.transaction(force_rollback=True):
        queue.add()

    assert heard(listener) == []


def test_claiming_and_completing_wake_no_one(queue: Queue, listener: Queue) -> None:
    task = queue.running()
    heard(listener)

    queue.complete(task.worker, [task])

    assert heard(listener) == []


def test_release_wakes(queue: Queue, listener: Queue) -> None:
    task = queue.running()
    heard(listener)

    queue.release(task.worker, [task])

    assert heard(listener) == [""]


def test_release_of_nothing_wakes_no_one(queue: Queue, worker: int, listener: Queue) -> None:
    queue.release(worker, [])

    assert heard(listener) == []


def test_requeue_wakes(queue: Queue, listener: Queue) -> None:
    task = queue.add(status="failed")
    heard(listener)

    queue.requeue(task)

    assert heard(listener) == [""]


def test_rescue_wakes(queue: Queue, listener: Queue) -> None:
    task = queue.running()
    queue.silence(task.worker)
    heard(listener)

    queue.rescue()

    assert heard(listener) == [""]


def test_claim_that_makes_more_tasks_ready_than_it_takes_wakes_the_others(queue: Queue, listener: Queue) -> None:
    worker = queue.register()
    for _ in range(3):
        queue.add(scheduled_at="2001-01-01")
    heard(listener)

    assert len(queue.claim(worker, 2)) == 2
    assert heard(listener) == [""]


def test_claim_that_takes_all_that_became_ready_wakes_no_one(queue: Queue, listener: Queue) -> None:
    worker = queue.register()
    for _ in range(3):
        queue.add(scheduled_at="2001-01-01")
    heard(listener)

    assert len(queue.claim(worker, 3)) == 3
    assert heard(listener) == []


SOON = timedelta(milliseconds=5)
"""The time of the next claim while tasks are being committed."""

HOLD = "SET CONSTRAINTS ALL IMMEDIATE"
"""Makes a transaction run now what it would run right before its commit, and leaves it open."""


def test_one_transaction_notifies_for_those_that_commit_with_it(
    queue: Queue, connect_queue: Callable[[], Queue], listener: Queue
) -> None:
    account, other = queue.account, connect_queue()

    def notifications_of_two() -> int:
        with queue.connection.transaction():
            queue.add()
            queue.run(HOLD)
            other.add(account_id=account)
        return len(heard(listener))

    # Unless the twentieth of a second ends in between.
    assert 1 in [notifications_of_two() for _ in range(5)]


@pytest.fixture
def another_notifies(connect_queue: Callable[[], Queue]) -> Iterator[None]:
    """A transaction that notifies for all that commit while it runs."""
    notifying = connect_queue()
    with notifying.connection.transaction():
        notifying.run("SELECT FROM contentq.wakeups FOR NO KEY UPDATE")
        yield


@pytest.mark.usefixtures("another_notifies")
def test_claim_that_finds_too_little_while_tasks_are_being_committed_is_to_look_again(
    queue: Queue, connect_queue: Callable[[], Queue], worker: int
) -> None:
    producer = connect_queue()
    with producer.connection.transaction():
        producer.add(account_id=queue.account)
        producer.run(HOLD)
        assert queue.claim_and_wait(worker, 10) == ([], SOON)

    found, wait = queue.claim_and_wait(worker, 10)
    assert (len(found), wait) == (1, None)


@pytest.mark.usefixtures("another_notifies")
def test_tasks_are_coming_also_when_a_subtransaction_commits_them(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    producer = connect_queue()
    with producer.connection.transaction():
        with producer.connection.transaction():
            producer.add(account_id=queue.account)
            producer.run(HOLD)
        assert queue.value("SELECT contentq.are_tasks_coming()")

    assert not queue.value("SELECT contentq.are_tasks_coming()")


@pytest.mark.usefixtures("another_notifies")
def test_tasks_are_coming_also_beside_an_old_transaction(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    account, old, producer = queue.account, connect_queue(), connect_queue()
    with old.connection.transaction():
        old.value("SELECT pg_current_xact_id()::text")
        queue.add()
        assert not queue.value("SELECT contentq.are_tasks_coming()")
        with producer.connection.transaction():
            producer.add(account_id=account)
            producer.run(HOLD)
            assert queue.value("SELECT contentq.are_tasks_coming()")


@pytest.mark.usefixtures("another_notifies")
def test_claim_in_vain_is_told_to_look_again_as_long_as_tasks_are_being_committed(
    queue: Queue, connect_queue: Callable[[], Queue], worker: int
) -> None:
    """Also a claim in another session than the last, and one that has found some."""
    producer = connect_queue()
    with producer.connection.transaction():
        producer.add(account_id=queue.account)
        producer.run(HOLD)
        for session in (queue, queue, connect_queue()):
            assert session.claim_and_wait(worker, 10) == ([], SOON)

        ready = queue.add()
        assert queue.claim_and_wait(worker, 10) == ([ready], SOON)


@pytest.mark.usefixtures("another_notifies")
def test_transaction_notifies_when_it_cannot_say_that_its_tasks_are_coming(
    queue: Queue, connect_queue: Callable[[], Queue], listener: Queue
) -> None:
    forgotten = connect_queue()
    with forgotten.connection.transaction():
        forgotten.run("SELECT FROM contentq.silent_commits FOR UPDATE")
        queue.add()

    assert heard(listener) == [""]


def test_commit_that_hangs_keeps_no_later_one_from_notifying(
    queue: Queue, connect_queue: Callable[[], Queue], listener: Queue
) -> None:
    hanging = connect_queue()
    with hanging.connection.transaction():
        hanging.add(account_id=queue.account)
        hanging.run(HOLD)
        queue.run("SELECT pg_sleep(0.051)")
        queue.add()
        assert heard(listener) == [""]


def test_transaction_notifies_once_for_all_its_inserts(queue: Queue, listener: Queue) -> None:
    with queue.connection.transaction():
        queue.add()
        with queue.connection.transaction(force_rollback=True):
            queue.add()
        queue.add()

    assert heard(listener) == [""]


def test_insert_after_a_savepoint_that_was_rolled_back_wakes(queue: Queue, listener: Queue) -> None:
    assert queue.account  # it is made outside the transaction
    with queue.connection.transaction():
        with queue.connection.transaction(force_rollback=True):
            queue.add()
        queue.add()

    assert heard(listener) == [""]


def test_insert_of_finished_tasks_wakes_no_one(queue: Queue, listener: Queue) -> None:
    queue.add(status="completed", started_at="2001-01-01", completed_at="2001-01-01")

    assert heard(listener) == []


def test_producer_that_opts_out_can_commit_in_two_phases(queue: Queue, listener: Queue) -> None:
    """Its tasks are found by polling; when the session opts in again, it behaves as before."""
    if queue.value("SHOW max_prepared_transactions") == "0":
        pytest.skip("the server of CONTENTQ_TEST_DSN prepares no transactions")
    account = queue.account
    insert = "INSERT INTO content_generation_tasks (account_id) VALUES (%s)"
    queue.run("SET contentq.notify = off")
    queue.run("BEGIN")
    queue.run(insert, account)
    queue.run("PREPARE TRANSACTION 'contentq test'")
    queue.run("COMMIT PREPARED 'contentq test'")

    assert heard(listener) == []
    assert queue.value("SELECT count(*) FROM content_generation_tasks") == 1

    queue.run("RESET contentq.notify")
    queue.run("BEGIN")
    queue.run(insert, account)
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        queue.run("PREPARE TRANSACTION 'contentq test'")
    queue.run("ROLLBACK")
    queue.add()

    assert heard(listener) == [""]


@pytest.mark.parametrize(
    ("columns", "change"),
    [
        ({"status": "failed"}, {"status": "pending"}),
        ({"scheduled_at": "2999-01-01"}, {"scheduled_at": None}),
        ({"scheduled_at": "2999-01-01"}, {"scheduled_at": "2001-01-01"}),
        ({"status": "timeout", "scheduled_at": "2001-01-01"}, {"status": "pending"}),
    ],
)
def test_update_that_makes_a_task_ready_wakes(
    queue: Queue, listener: Queue, columns: dict[str, str], change: dict[str, str | None]
) -> None:
    task = queue.add(**columns)
    heard(listener)

    queue.set(task, **change)

    assert heard(listener) == [""]


def test_program_that_keeps_updated_at_itself_wakes_too(queue: Queue, listener: Queue) -> None:
    task = queue.add(status="failed")
    heard(listener)

    queue.run("UPDATE content_generation_tasks SET status = 'pending', updated_at = now() WHERE id = %s", task)

    assert heard(listener) == [""]


def test_update_of_many_tasks_wakes_once(queue: Queue, listener: Queue) -> None:
    for _ in range(100):
        queue.add(status="failed")
    heard(listener)

    queue.run("UPDATE content_generation_tasks SET status = 'pending'")

    assert heard(listener) == [""]


@pytest.mark.parametrize(
    ("columns", "change"),
    [
        ({}, {"priority": 10}),
        ({"scheduled_at": "2999-01-01"}, {"scheduled_at": "2998-01-01"}),
        ({"status": "failed", "scheduled_at": "2999-01-01"}, {"status": "pending"}),
        ({"scheduled_at": "2001-01-01"}, {"scheduled_at": None}),
        ({}, {"status": "failed"}),
    ],
)
def test_update_that_makes_no_task_ready_wakes_no_one(
    queue: Queue, listener: Queue, columns: dict[str, str], change: dict[str, str | None]
) -> None:
    task = queue.add(**columns)
    heard(listener)

    queue.set(task, **change)

    assert heard(listener) == []


def test_failure_that_is_retried_at_once_wakes_and_one_that_waits_does_not(queue: Queue, listener: Queue) -> None:
    task = queue.running()
    heard(listener)

    assert queue.fail(task, retry_after="0 seconds") == "pending"
    assert heard(listener) == [""]

    (row,) = queue.claim(task.worker)
    assert queue.fail(Held(task.worker, task.id, row["attempt"]), retry_after="1 hour") == "pending"
    assert heard(listener) == []
