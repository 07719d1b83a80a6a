"""Accounts that are paused or over budget: their tasks wait, those of other accounts do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.sql.test_claim_beside_old_snapshot import remember
from tests.support.plans import scans
from tests.support.queue import Held, Queue

PAST, FUTURE = "2001-01-01", "2999-01-01"
COST = '{"cost": 0.75}'


def claimed(queue: Queue, worker: int) -> list[int]:
    return [row["id"] for row in queue.claim(worker, 10)]


def change(queue: Queue, account: int, **columns: object) -> None:
    """Changes an account, as a user of psql would."""
    for name, value in columns.items():
        assert queue.run(f"UPDATE accounts SET {name} = %s WHERE id = %s", value, account)


def test_tasks_of_a_paused_account_wait_and_those_of_others_do_not(queue: Queue, worker: int) -> None:
    paused = queue.add_account(paused_until="infinity")
    waiting = queue.add(account_id=paused, priority=10)
    other = queue.add()

    assert claimed(queue, worker) == [other]
    change(queue, paused, paused_until=None)
    assert claimed(queue, worker) == [waiting]


@pytest.mark.parametrize("until", ["clock_timestamp() + interval '1 hour'", "'infinity'"])
def test_end_of_a_pause_that_nobody_notifies_of_is_noticed_within_a_second(
    queue: Queue, worker: int, until: str
) -> None:
    account = queue.add_account(paused_until=queue.value(f"SELECT {until}"))
    task = queue.add(account_id=account)

    found, wait = queue.claim_and_wait(worker)
    assert found == []
    assert wait is not None
    assert timedelta(0) < wait <= timedelta(seconds=1)

    change(queue, account, paused_until=queue.now())
    assert claimed(queue, worker) == [task]


def test_idle_worker_sleeps_for_ever_beside_a_paused_account_without_tasks(queue: Queue, worker: int) -> None:
    queue.add_account(paused_until="infinity")

    assert queue.claim_and_wait(worker) == ([], None)


@pytest.mark.parametrize("paused_until", [PAST, "-infinity", None])
def test_pause_that_is_over_holds_nothing(queue: Queue, worker: int, paused_until: str | None) -> None:
    account = queue.add_account(paused_until=paused_until)
    task = queue.add(account_id=account)

    assert queue.blocked_accounts() == []
    assert claimed(queue, worker) == [task]


def test_tasks_of_a_paused_account_that_run_are_reported(queue: Queue) -> None:
    account = queue.add_account()
    task = queue.running(account_id=account)
    change(queue, account, paused_until="infinity")

    assert queue.complete(task.worker, [task]) == [task.id]


def test_pause_is_seen_when_it_is_committed_and_not_before(
    queue: Queue, worker: int, connect_queue: Callable[[], Queue]
) -> None:
    first, second = queue.add(), queue.add()
    operator = connect_queue()
    with operator.connection.transaction():
        operator.run("UPDATE accounts SET paused_until = 'infinity'")
        assert [row["id"] for row in queue.claim(worker)] == [first]

    assert claimed(queue, worker) == []
    change(queue, queue.account, paused_until=None)
    assert claimed(queue, worker) == [second]


@pytest.fixture(params=["origin", "replica"])
def administrator(request: pytest.FixtureRequest, queue: Queue) -> Queue:
    """A session that changes tables without triggers, as some programs and logical replication do."""
    if not queue.value("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        pytest.skip("the user of CONTENTQ_TEST_DSN may not turn triggers off")
    assert queue.account
    queue.run(f"SET session_replication_role = {request.param}")
    return queue


def test_pause_holds_and_ends_however_accounts_was_changed(administrator: Queue, worker: int) -> None:
    task = administrator.add()
    change(administrator, administrator.account, paused_until="infinity")
    assert claimed(administrator, worker) == []

    change(administrator, administrator.account, paused_until=None)

    assert claimed(administrator, worker) == [task]


def test_budget_holds_and_ends_however_usage_and_accounts_were_changed(administrator: Queue, worker: int) -> None:
    task, account = administrator.add(), administrator.account
    administrator.run(
        "INSERT INTO contentq.usage (account_id, day, model, attempts, prompt_tokens, completion_tokens, cost) "
        "VALUES (%s, clock_timestamp() AT TIME ZONE 'UTC', 'small', 1, 1, 1, 0.75)",
        account,
    )
    change(administrator, account, monthly_budget=0.5)
    assert claimed(administrator, worker) == []

    change(administrator, account, monthly_budget=1)

    assert claimed(administrator, worker) == [task]


def test_due_tasks_of_a_paused_account_become_ready_and_wait(queue: Queue, worker: int) -> None:
    account = queue.add_account(paused_until="infinity")
    due = queue.add(account_id=account, scheduled_at=PAST)

    assert claimed(queue, worker) == []
    assert queue.row(due)["scheduled_at"] is None
    change(queue, account, paused_until=None)
    assert claimed(queue, worker) == [due]


def test_account_with_its_budget_used_up_waits_for_the_next_month(queue: Queue) -> None:
    queue.run("SET TIME ZONE 'Pacific/Kiritimati'")
    account = queue.add_account(monthly_budget=1)
    task = queue.running(account_id=account)
    next_ = queue.add(account_id=account)

    queue.charge({task.id: COST})
    assert queue.blocked_accounts() == []
    queue.charge({task.id: '{"cost": 0.25}'})

    assert queue.blocked_accounts() == [account]
    assert claimed(queue, task.worker) == []
    end_of_month = """
        SELECT over_budget_until AT TIME ZONE 'UTC'
               = date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') + interval '1 month'
        FROM contentq.blocked_accounts"""
    assert queue.value(end_of_month)
    queue.run("UPDATE contentq.usage SET day = day - 31")
    assert queue.blocked_accounts() == []
    queue.complete(task.worker, [task])
    assert claimed(queue, task.worker) == [next_]


@pytest.mark.parametrize("zone", ["-167:59", "167:59"])
def test_what_was_spent_before_this_month_of_utc_does_not_count(queue: Queue, worker: int, zone: str) -> None:
    """In the most distant time zones: on half of the days this changes the month."""
    account = queue.add_account()
    task = queue.add(account_id=account)
    queue.charge({task: '{"cost": 10}'})
    change(queue, account, monthly_budget=5)
    first = "date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date"
    queue.run(f"SET TIME ZONE INTERVAL '{zone}' HOUR TO MINUTE")

    queue.run(f"UPDATE contentq.usage SET day = {first}")
    assert queue.blocked_accounts() == [account]
    assert claimed(queue, worker) == []

    queue.run(f"UPDATE contentq.usage SET day = {first} - 1")
    assert queue.blocked_accounts() == []
    assert claimed(queue, worker) == [task]


@pytest.mark.parametrize("budget", [None, 1])
def test_raised_or_removed_budget_goes_on_at_once(queue: Queue, worker: int, budget: int | None) -> None:
    account = queue.add_account(monthly_budget=0.5)
    task = queue.add(account_id=account)
    queue.charge({task: COST})
    found, wait = queue.claim_and_wait(worker)
    assert found == []
    assert wait is not None
    assert wait <= timedelta(seconds=1)

    change(queue, account, monthly_budget=budget)

    assert claimed(queue, worker) == [task]


def test_lowered_budget_holds_at_once(queue: Queue, worker: int) -> None:
    account = queue.add_account(monthly_budget=5)
    task = queue.add(account_id=account)
    queue.charge({task: COST})

    change(queue, account, monthly_budget=0.7)

    assert claimed(queue, worker) == []


def test_budget_of_nothing_holds_from_the_beginning(queue: Queue, worker: int) -> None:
    queue.add(account_id=queue.add_account(monthly_budget=0))

    assert claimed(queue, worker) == []


def test_end_of_a_pause_does_not_end_a_budget_that_is_used_up(queue: Queue, worker: int) -> None:
    account = queue.add_account(monthly_budget=0.5, paused_until="infinity")
    task = queue.add(account_id=account)
    queue.charge({task: COST})

    change(queue, account, paused_until=None)
    assert queue.blocked_accounts() == [account]
    change(queue, account, paused_until="infinity", monthly_budget=None)
    assert queue.blocked_accounts() == [account]
    change(queue, account, paused_until=None)
    assert queue.blocked_accounts() == []


@pytest.mark.parametrize("count", ["complete", "store"])
def test_completions_charge_the_budget(queue: Queue, count: str) -> None:
    account = queue.add_account(monthly_budget=0.5)
    task = queue.running(account_id=account)
    queue.add(account_id=account)

    if count == "complete":
        queue.complete(task.worker, [task], [COST])
    else:
        queue.store(task.worker, [task], extras=[COST])

    assert queue.blocked_accounts() == [account]


def test_two_charges_at_once_that_only_together_use_up_the_budget_hold_the_account(
    queue: Queue, connect_queue: Callable[[], Queue], worker: int
) -> None:
    """Each sees only its own part and waits for none; the next claim sees the sum."""
    account = queue.add_account()
    first, second = queue.running(account_id=account), queue.running(account_id=account)
    queue.add(account_id=account)
    change(queue, account, monthly_budget=1)
    one, other = connect_queue(), connect_queue()
    with one.connection.transaction():
        one.charge({first.id: COST})
        other.charge({second.id: COST})

    assert queue.blocked_accounts() == [account]
    assert claimed(queue, worker) == []
    assert [row["attempts"] for row in queue.usage()] == [1, 1]


def test_budget_that_is_raised_while_a_report_uses_it_up_goes_on(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    account = queue.add_account(monthly_budget=0.5)
    task = queue.running(account_id=account)
    next_ = queue.add(account_id=account)
    one = connect_queue()
    with one.connection.transaction():
        one.charge({task.id: COST})
        change(queue, account, monthly_budget=5)

    assert queue.blocked_accounts() == []
    assert claimed(queue, task.worker) == [next_]


def test_budget_is_used_up_for_every_worker_at_once(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    account, workers = queue.add_account(), [queue.register() for _ in range(3)]
    tasks = [queue.add(account_id=account) for _ in range(4)]
    assert [row["id"] for row in queue.claim(workers[0])] == tasks[:1]
    assert [row["id"] for row in queue.claim(workers[1])] == tasks[1:2]
    change(queue, account, monthly_budget=0.5)

    queue.charge({tasks[0]: COST})

    assert [connect_queue().claim(worker, 10) for worker in workers] == [[], [], []]


def test_open_transaction_of_an_operator_keeps_no_worker_from_reporting(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    account = queue.add_account(monthly_budget=0.5)
    task = queue.running(account_id=account)
    operator = connect_queue()
    with operator.connection.transaction():
        operator.run("UPDATE accounts SET monthly_budget = 10")

        assert queue.complete(task.worker, [task], [COST]) == [task.id]

    assert queue.blocked_accounts() == []


@pytest.mark.parametrize("columns", [{"paused_until": "infinity"}, {"monthly_budget": 0}], ids=["paused", "spent"])
def test_account_that_is_deleted_is_held_no_more(queue: Queue, columns: dict[str, Any]) -> None:
    account = queue.add_account(**columns)
    assert queue.blocked_accounts() == [account]

    queue.run("DELETE FROM accounts WHERE id = %s", account)

    assert queue.values("SELECT account_id FROM contentq.blocked_accounts") == []


def test_account_that_gets_another_id_is_held_under_that(queue: Queue) -> None:
    account = queue.add_account(paused_until="infinity")

    queue.run("ALTER TABLE accounts ALTER COLUMN id SET GENERATED BY DEFAULT")
    queue.run("UPDATE accounts SET id = 4711 WHERE id = %s", account)
    queue.add(account_id=4711)

    assert claimed(queue, queue.register()) == []
    assert queue.values("SELECT account_id FROM contentq.blocked_accounts") == [4711]


def test_emptied_accounts_leave_nothing_that_would_hold_a_new_one_of_the_same_id(
    queue: Queue, worker: int
) -> None:
    queue.add_account(paused_until="infinity")
    queue.run("TRUNCATE accounts, contents, content_generation_tasks RESTART IDENTITY")

    task = queue.add(account_id=queue.add_account())

    assert claimed(queue, worker) == [task]


@pytest.fixture
def host_application(queue: Queue) -> Iterator[str]:
    """A role with all rights on accounts and none on schema contentq."""
    if not queue.value("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        pytest.skip("the user of CONTENTQ_TEST_DSN may not make roles and act as them")
    name = str(queue.value("SELECT 'contentq_host_' || current_database()"))
    queue.run(f'CREATE ROLE "{name}"')
    queue.run(f'GRANT SELECT, INSERT, UPDATE, DELETE ON accounts TO "{name}"')
    yield name
    queue.run("RESET ROLE")
    queue.run(f'DROP OWNED BY "{name}"')
    queue.run(f'DROP ROLE "{name}"')


@pytest.mark.in_public  # where every role may read
def test_host_application_without_a_right_on_the_machinery_keeps_its_accounts(
    queue: Queue, host_application: str
) -> None:
    held = queue.add_account(monthly_budget=5, paused_until=FUTURE)
    queue.run(f'SET ROLE "{host_application}"')

    account = queue.add_account("Hopper")
    change(queue, account, name="Grace Hopper")
    change(queue, held, name="Ada")
    change(queue, held, paused_until=FUTURE, monthly_budget=5)
    queue.run("DELETE FROM accounts WHERE id = %s", account)

    change(queue, held, paused_until=None, monthly_budget=None)
    queue.run("RESET ROLE")
    assert queue.blocked_accounts() == []


def test_claims_never_take_more_than_asked_for_beside_blocked_accounts(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    paused = queue.add_account(paused_until="infinity")
    for number in range(60):
        queue.add(account_id=paused if number % 2 else queue.account)
    one, other = connect_queue(), connect_queue()
    first, second = queue.register(), queue.register()
    with one.connection.transaction():
        taken = one.claim(first, 7)
        also = other.claim(second, 7)

    assert (len(taken), len(also)) == (7, 7)
    assert not {row["id"] for row in taken} & {row["id"] for row in also}
    assert {row["account_id"] for row in taken + also} == {queue.account}
    assert len(queue.claim(first, 50)) == 16


HELD = [
    {"paused_until": "infinity"},
    {"monthly_budget": 0},
    {"max_running": 0},
]


@pytest.mark.slow
@pytest.mark.parametrize("columns", HELD, ids=lambda columns: next(iter(columns)))
def test_big_backlog_of_a_held_account_is_walked_over_by_no_claim(
    queue: Queue, worker: int, columns: dict[str, Any]
) -> None:
    backlog, others = 20_000, 400
    held = queue.add_account(**columns)
    for account, number, submitted in ((held, backlog, PAST), (queue.account, others, "2002-01-01")):
        queue.run(
            "INSERT INTO content_generation_tasks (account_id, submitted_at) SELECT %s, %s "
            "FROM generate_series(1, %s)",
            account,
            submitted,
            number,
        )
    queue.run("ANALYZE content_generation_tasks")
    claim = f"SELECT count(*) FROM contentq.claim({worker}, 10)"

    read = [scans(queue, claim) for _ in range(others // 10)]
    # With only blocked tasks, as an idle worker that claims repeatedly.
    read += [scans(queue, claim) for _ in range(3)]

    running = "SELECT account_id, count(*) FROM content_generation_tasks WHERE status = 'processing' GROUP BY 1"
    assert queue.rows(running) == [{"account_id": queue.account, "count": others}]
    assert max(sum(each.entries.values()) for each in read) < 2_000
    assert not any(each.sequential for each in read)


@pytest.mark.parametrize("columns", HELD, ids=lambda columns: next(iter(columns)))
def test_account_that_is_held_no_more_is_found_at_once(queue: Queue, worker: int, columns: dict[str, Any]) -> None:
    held = queue.add_account(**columns)
    waiting = queue.add(account_id=held, submitted_at=PAST)
    other = queue.add(submitted_at="2002-01-01")
    # Also if the worker remembers positions: those of a scan that chose tasks that could not start.
    remember(queue, {})
    assert claimed(queue, worker) == [other]

    change(queue, held, **dict.fromkeys(columns))

    assert claimed(queue, worker) == [waiting]


def test_tasks_beyond_a_cap_are_found_at_once_when_one_ends(queue: Queue, worker: int) -> None:
    account = queue.add_account(max_running=1)
    tasks = [queue.add(account_id=account, submitted_at=PAST) for _ in range(3)]
    remember(queue, {})
    (first,) = queue.claim(worker, 10)

    assert queue.complete(worker, [Held(worker, first["id"], first["attempt"])]) == tasks[:1]

    assert claimed(queue, worker) == tasks[1:2]


@pytest.mark.parametrize("max_tasks", [1, 10])
def test_task_behind_those_of_many_accounts_over_budget_is_found(
    queue: Queue, worker: int, max_tasks: int
) -> None:
    queue.run("INSERT INTO accounts (name, monthly_budget) SELECT 'Many', 0 FROM generate_series(1, 250)")
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, submitted_at) "
        "SELECT id, %s FROM accounts WHERE name = 'Many'",
        PAST,
    )
    behind = queue.add()

    found: list[int] = []
    claims = 0
    while not found and claims < 100:
        found, wait = queue.claim_and_wait(worker, max_tasks)
        claims += 1
        assert found or wait == timedelta(milliseconds=5)

    assert found == [behind]
    last = queue.value("SELECT max(id) FROM accounts WHERE name = 'Many'")
    change(queue, last, monthly_budget=None)
    assert len([task for _ in range(5) for task in claimed(queue, worker)]) == 1


@pytest.mark.slow
def test_many_accounts_can_be_given_a_budget_at_once(queue: Queue) -> None:
    queue.run("INSERT INTO accounts (name) SELECT 'Many' FROM generate_series(1, 20000)")

    assert (
        queue.run("UPDATE accounts SET monthly_budget = 0, paused_until = 'infinity' WHERE name = 'Many'") == 20000
    )

    assert queue.value("SELECT count(*) FROM contentq.blocked_accounts") == 20000


@pytest.mark.parametrize("budget", ["-0.01", "NaN"])
def test_budget_that_is_no_amount_is_refused(queue: Queue, budget: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="accounts_monthly_budget_check"):
        queue.run("UPDATE accounts SET monthly_budget = %s WHERE id = %s", Decimal(budget), queue.account)


def test_report_does_not_wait_for_an_operator_who_changes_budgets(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    first, second = (queue.add_account(monthly_budget=100) for _ in range(2))
    task = queue.running(account_id=first)
    operator = connect_queue()
    with operator.connection.transaction():
        operator.run("SET CONSTRAINTS ALL IMMEDIATE")
        for account in (second, first):
            operator.run("UPDATE accounts SET monthly_budget = 200 WHERE id = %s", account)
        queue.run("SET lock_timeout = '100ms'")
        queue.charge({task.id: COST})

    assert queue.value("SELECT sum(cost) FROM contentq.usage") > 0
