"""The cost of a function does not depend on how many rows it has nothing to do with.

Sessions keep the plans of functions: those that were made while the table was empty are the dangerous ones.
"""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from tests.support.plans import scans
from tests.support.queue import Queue

ROWS = 200_000

PENDING = "SELECT %s, 1 + n %% 10, 'pending', NULL::timestamptz, NULL::timestamptz"
"""All tasks are ready."""

ELSEWHERE = """
    SELECT %s, 5, CASE n %% 2 WHEN 0 THEN 'completed' ELSE 'pending' END,
           CASE n %% 2 WHEN 0 THEN clock_timestamp() END,
           CASE n %% 2 WHEN 1 THEN clock_timestamp() + n * interval '1 minute' END"""
"""All tasks are completed or scheduled for later."""


def fill(queue: Queue, rows: str, count: int = ROWS) -> None:
    columns = "account_id, priority, status, completed_at, scheduled_at, timeout_at"
    queue.run(
        f"INSERT INTO content_generation_tasks ({columns}) "
        f"{rows}, clock_timestamp() + interval '1 year' FROM generate_series(1, {count}) AS n",
        queue.account,
    )


def use_while_empty(session: Queue, *statements: str) -> None:
    """Makes a session plan its functions for an empty table; after five times a plan is kept for good."""
    for statement in statements:
        for _ in range(8):
            session.run(statement)


@pytest.mark.parametrize(
    ("rows", "planned_while_empty"),
    [(PENDING, True), (PENDING, False), (ELSEWHERE, True)],
    ids=["all ready", "all ready and analyzed", "none ready"],
)
def test_claim_reads_the_ready_index_and_only_what_it_takes(
    queue: Queue, connect_queue: Callable[[], Queue], worker: int, rows: str, planned_while_empty: bool
) -> None:
    session = connect_queue()
    claim = f"SELECT * FROM contentq.claim({worker}, 10)"
    # Statistics that come by themselves would throw the plans of the empty table away.
    queue.run("ALTER TABLE content_generation_tasks SET (autovacuum_enabled = off)")
    if planned_while_empty:
        use_while_empty(session, claim)
    fill(queue, rows)
    if not planned_while_empty:
        queue.run("ANALYZE content_generation_tasks")

    read = scans(session, claim)

    assert read.sequential == 0
    assert set(read.entries) <= {"ready_idx", "scheduled_idx", "pkey"}
    assert read.entries["ready_idx"] == (10 if rows is PENDING else 0)
    assert read.entries["scheduled_idx"] <= 1


def test_claim_has_the_plan_that_it_was_written_for(
    queue: Queue, connect_queue: Callable[[], Queue], worker: int
) -> None:
    session, plans = connect_queue(), list[str]()
    try:
        session.run("LOAD 'auto_explain'")
    except (psycopg.errors.UndefinedFile, psycopg.errors.InsufficientPrivilege):
        pytest.skip("this server has no auto_explain for this user")
    claim = f"SELECT * FROM contentq.claim({worker}, 10)"
    use_while_empty(session, claim)
    fill(queue, PENDING, 20_000)
    session.connection.add_notice_handler(lambda notice: plans.append(notice.message_primary or ""))
    for setting in ("log_min_duration = 0", "log_nested_statements = on", "log_level = notice"):
        session.run(f"SET auto_explain.{setting}")

    session.run(claim)

    (choosing,) = [
        plan for plan in plans if "LockRows" in plan and "submitted_at" in plan.partition("LockRows")[0]
    ]
    nodes = choosing.partition("LockRows")[2]
    assert "Index Scan using content_generation_tasks_ready_idx" in nodes
    assert "Sort" not in nodes


CALLS = {
    "cancel": "SELECT contentq.cancel('task-unknown')",
    "claim": "SELECT contentq.claim({worker}, 0)",
    "cleanup": "SELECT contentq.cleanup()",
    "complete": "SELECT contentq.complete({worker}, ARRAY[1, 2, 3], ARRAY[1, 1, 1])",
    "fail": "SELECT contentq.fail({worker}, 1, 1, 'It broke')",
    "heartbeat": "SELECT contentq.heartbeat({worker})",
    "maintain": "SELECT contentq.maintain()",
    "next_scheduled": "SELECT contentq.next_scheduled()",
    "promote_scheduled": "SELECT contentq.promote_scheduled()",
    "reconcile": "SELECT contentq.reconcile({worker}, '{{}}', '{{}}')",
    "release": "SELECT contentq.release({worker}, ARRAY[1, 2, 3], ARRAY[1, 1, 1])",
    "requeue": "SELECT contentq.requeue('task-unknown')",
    "rescue_dead_workers": "SELECT contentq.rescue_dead_workers()",
    "snooze": "SELECT contentq.snooze({worker}, 1, 1, clock_timestamp())",
    "store": "SELECT contentq.store({worker}, ARRAY[1], ARRAY[1], ARRAY['a'], ARRAY['a'], ARRAY[1])",
    "sweep_timeouts": "SELECT contentq.sweep_timeouts()",
}
"""By name: a call that finds nothing to do."""

FEW = 10
"""Entries of an index that such a call may read."""

REPORTS = ("complete", "fail", "release", "snooze", "store")
"""The calls that name tasks which the worker holds."""


@pytest.mark.parametrize("rows", [PENDING, ELSEWHERE], ids=["all ready", "none ready"])
def test_function_that_finds_nothing_to_do_reads_next_to_nothing(
    queue: Queue, connect_queue: Callable[[], Queue], worker: int, rows: str
) -> None:
    session = connect_queue()
    queue.run("ALTER TABLE content_generation_tasks SET (autovacuum_enabled = off)")
    calls = {name: call.format(worker=worker) for name, call in CALLS.items()}
    use_while_empty(session, *calls.values())
    fill(queue, rows, 50_000)

    read = {name: scans(session, call) for name, call in calls.items()}

    assert {name: found for name, found in read.items() if found.sequential} == {}
    assert {name: found for name, found in read.items() if sum(found.entries.values()) > FEW} == {}


@pytest.mark.parametrize("planned_while_empty", [True, False], ids=["planned while empty", "analyzed"])
def test_report_reads_only_the_tasks_that_it_names_of_the_many_that_its_worker_holds(
    queue: Queue, connect_queue: Callable[[], Queue], worker: int, planned_while_empty: bool
) -> None:
    session = connect_queue()
    queue.run("ALTER TABLE content_generation_tasks SET (autovacuum_enabled = off)")
    calls = [CALLS[name].format(worker=worker) for name in REPORTS]
    if planned_while_empty:
        use_while_empty(session, *calls)
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, started_at, worker_id, attempt) "
        "SELECT %s, 'processing', clock_timestamp(), %s, 1 FROM generate_series(1, 20000)",
        queue.account,
        worker,
    )
    if not planned_while_empty:
        queue.run("ANALYZE content_generation_tasks")

    read = {call: scans(session, call) for call in calls}

    assert {call: found for call, found in read.items() if found.sequential} == {}
    # Each of its three tasks is read to be locked, to be ended and to be compared.
    assert {call: found for call, found in read.items() if sum(found.entries.values()) > 3 * FEW} == {}
