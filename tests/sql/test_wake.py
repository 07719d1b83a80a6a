"""Idle workers are woken by a notification on channel contentq_ready."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.queue import Queue

END = "end of the test"


@pytest.fixture
def listener(connect_queue: Callable[[], Queue]) -> Queue:
    """A session that listens."""
    listener = connect_queue()
    listener.run("LISTEN contentq_ready")
    return listener


def heard(listener: Queue) -> list[str]:
    """The payloads of all notifications that were sent before this call."""
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
