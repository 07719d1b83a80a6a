"""A role that may only connect cannot block reports, claims, wake-ups or housekeeping with its locks.

Neither does a forgotten lock of an honest user in psql stop a report.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.queue import Queue

COST = '{"model": "small", "cost": 0.75}'

ADVISORY_LOCKS = [
    "SELECT pg_advisory_lock(hashtextextended('contentq.maintain', 0))",
    "SELECT pg_advisory_lock(1668183153, 0)",
    "SELECT pg_advisory_lock(hashtextextended('contentq.budget', n)) FROM generate_series(0, 255) AS n",
    "SELECT pg_advisory_lock(1668183153, 1 + mod(floor(extract(epoch FROM now()) * 20)::bigint + n, 1000000)"
    "::integer) FROM generate_series(0, 200) AS n",
]
"""Keys used by earlier versions. They are visible in the source."""


@pytest.fixture(params=["pg_advisory_lock", "pg_advisory_lock_shared"])
def stranger(request: pytest.FixtureRequest, connect_queue: Callable[[], Queue]) -> Queue:
    """A session that holds every advisory lock that it can guess, for longer than the test runs."""
    stranger = connect_queue()
    for statement in ADVISORY_LOCKS:
        stranger.run(statement.replace("pg_advisory_lock", request.param))
    return stranger


def heard(listener: Queue) -> int:
    """Number of notifications sent before this call."""
    listener.run("SELECT pg_notify('contentq_ready', 'end')")
    for count, notification in enumerate(listener.connection.notifies(timeout=10)):
        if notification.payload == "end":
            return count
    raise AssertionError("the last notification did not come")


@pytest.mark.usefixtures("stranger")
def test_tasks_are_inserted_claimed_and_reported(queue: Queue) -> None:
    queue.run("SET lock_timeout = '500ms'")
    account = queue.add_account(monthly_budget=0.5)
    task = queue.running(account_id=account)

    assert queue.complete(task.worker, [task], [COST]) == [task.id]

    assert queue.blocked_accounts() == [account]


@pytest.mark.usefixtures("stranger")
def test_each_insert_wakes(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    listener = connect_queue()
    listener.run("LISTEN contentq_ready")

    for _ in range(20):
        queue.add()
        assert heard(listener) == 1


@pytest.mark.usefixtures("stranger")
def test_claim_that_finds_nothing_need_not_look_again(queue: Queue) -> None:
    assert queue.claim_and_wait(queue.register(), 10) == ([], None)


@pytest.mark.usefixtures("stranger")
def test_housekeeping_is_done(queue: Queue) -> None:
    overdue = queue.add(timeout_at="2001-01-01")

    queue.value("SELECT contentq.maintain()")

    assert queue.status(overdue) == "timeout"


def test_trigger_of_another_table_cannot_hold_the_row_that_says_who_notifies(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    listener, stranger, account = connect_queue(), connect_queue(), queue.account
    listener.run("LISTEN contentq_ready")
    stranger.run("CREATE TEMPORARY TABLE mine (n integer)")
    stranger.run("CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION contentq.wake_workers()")

    for _ in range(5):
        with stranger.connection.transaction():
            stranger.run("INSERT INTO mine VALUES (1)")
            queue.add(account_id=account)
            assert heard(listener) == 1
        heard(listener)


def test_without_the_rows_that_say_who_notifies_everyone_does(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    listener = connect_queue()
    listener.run("LISTEN contentq_ready")
    queue.run("DELETE FROM contentq.wakeups")

    queue.add()

    assert heard(listener) == 1


@pytest.mark.parametrize(
    "lock",
    [
        "SELECT FROM contentq.usage FOR UPDATE",
        "SELECT FROM contentq.claimers FOR UPDATE",
        "SELECT FROM contentq.cap_locks FOR UPDATE",
        "SELECT FROM contentq.durations FOR UPDATE",
        "SELECT FROM contentq.gates FOR UPDATE",
        "SELECT FROM contentq.gate_events FOR UPDATE",
        "SELECT FROM contentq.maintenance FOR UPDATE",
        "SELECT FROM accounts FOR UPDATE",
        "UPDATE accounts SET monthly_budget = 7, paused_until = NULL",
        "UPDATE contentq.usage SET cost = cost",
        "INSERT INTO contentq.usage (account_id, day, model, attempts, prompt_tokens, completion_tokens, cost) "
        "SELECT id, now() AT TIME ZONE 'UTC', 'small', 1, 1, 1, 1 FROM accounts",
    ],
)
def test_row_that_someone_has_locked_stops_no_report(
    queue: Queue, connect_queue: Callable[[], Queue], lock: str
) -> None:
    account = queue.add_account(monthly_budget=1, paused_until="infinity")
    queue.run("UPDATE accounts SET paused_until = NULL")
    first = queue.running(account_id=account)
    queue.complete(first.worker, [first], [COST])
    second = queue.running(account_id=account)
    forgotten = connect_queue()
    with forgotten.connection.transaction():
        forgotten.run(lock)
        queue.run("SET lock_timeout = '500ms'")

        assert queue.complete(second.worker, [second], [COST]) == [second.id]

    assert queue.value("SELECT sum(cost) FROM contentq.usage WHERE prompt_tokens = 0") == 1.5
