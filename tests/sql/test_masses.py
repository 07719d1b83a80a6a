"""Masses of rows, honest or forged, never make a call read or change more than a bounded batch.

Every call is made by a session that has made it ten times on an empty table and cached its plans. It then runs
with far more rows than it may read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from tests.support.plans import scans
from tests.support.queue import Queue

pytestmark = pytest.mark.slow

BATCH = 1_000
"""Maximum rows that a call changes."""

WINDOW = 10_000
"""Maximum rows that a heartbeat reads, in addition to those that it lists."""

EACH = 8
"""Maximum rows read per changed row: a call finds, locks, changes and compares it, each by an index."""


@dataclass(frozen=True)
class Mass:
    """rows: the INSERT of this many; call: the call. {worker} is a live worker, {dead} a dead one."""

    name: str
    rows: str
    call: str


def insert(**columns: str) -> str:
    return (
        f"INSERT INTO content_generation_tasks (account_id, {', '.join(columns)}) "
        f"SELECT {{account}}, {', '.join(columns.values())} FROM generate_series(1, {{number}}) AS n"
    )


PAST = "'2001-01-01'"
RUNNING = {"status": "'processing'", "started_at": PAST, "attempt": "1"}

MASSES = [
    Mass(
        "processing rows of a live worker",
        insert(**RUNNING, worker_id="{worker}"),
        "SELECT contentq.heartbeat({worker}, 0, ARRAY[1, 2]::bigint[], ARRAY[1, 1], clock_timestamp())",
    ),
    Mass(
        "processing rows of a live worker, from the future",
        insert(**{**RUNNING, "started_at": "'9999-01-01'"}, worker_id="{worker}"),
        "SELECT contentq.heartbeat({worker}, 0, ARRAY[1, 2]::bigint[], ARRAY[1, 1], clock_timestamp())",
    ),
    Mass(
        "rows that were claimed a moment ago",
        insert(**{**RUNNING, "started_at": "clock_timestamp()"}, worker_id="{worker}"),
        "SELECT contentq.heartbeat({worker}, 0, ARRAY[1, 2]::bigint[], ARRAY[1, 1], '2001-01-01')",
    ),
    Mass(
        "cancel requests",
        insert(**RUNNING, worker_id="{worker}", cancel_requested_at=PAST),
        "SELECT contentq.heartbeat({worker}, 0, ARRAY[1, 2]::bigint[], ARRAY[1, 1], clock_timestamp())",
    ),
    Mass(
        "cancel requests to a worker without a list",
        insert(**RUNNING, worker_id="{worker}", cancel_requested_at=PAST),
        "SELECT contentq.heartbeat({worker})",
    ),
    Mass(
        "marks of a live worker",
        insert(status="'timeout'", worker_id="{worker}"),
        "SELECT contentq.heartbeat({worker})",
    ),
    Mass("tasks of a dead worker", insert(**RUNNING, worker_id="{dead}"), "SELECT contentq.rescue_dead_workers()"),
    Mass(
        "cancelled tasks of a dead worker",
        insert(**RUNNING, worker_id="{dead}", cancel_requested_at=PAST),
        "SELECT contentq.rescue_dead_workers()",
    ),
    Mass(
        "marks of a dead worker",
        insert(status="'failed'", worker_id="{dead}"),
        "SELECT contentq.rescue_dead_workers()",
    ),
    Mass(
        "tasks of as many lost workers", insert(**RUNNING, worker_id="-n"), "SELECT contentq.rescue_dead_workers()"
    ),
    Mass("overdue tasks", insert(timeout_at=PAST), "SELECT contentq.sweep_timeouts()"),
    Mass(
        "overdue running tasks",
        insert(**RUNNING, worker_id="{worker}", timeout_at=PAST),
        "SELECT contentq.sweep_timeouts()",
    ),
    Mass("claim: ready tasks", insert(topic="'x'"), "SELECT contentq.claim({worker}, 100)"),
    Mass(
        "claim of a category: ready tasks of others",
        insert(category="'blog'"),
        "SELECT contentq.claim({worker}, 100, '{{news}}')",
    ),
    Mass("claim: scheduled tasks that are due", insert(scheduled_at=PAST), "SELECT contentq.claim({worker}, 100)"),
    Mass("scheduled tasks that are due", insert(scheduled_at=PAST), "SELECT contentq.promote_scheduled()"),
    Mass("old completed tasks", insert(status="'completed'", completed_at=PAST), "SELECT contentq.cleanup()"),
    Mass("one task of many", insert(task_id="'task-' || n"), "SELECT contentq.cancel('task-7')"),
    Mass(
        "one cancelled task of many",
        insert(**RUNNING, worker_id="{worker}", task_id="'task-' || n", cancel_requested_at=PAST),
        "SELECT contentq.cancel('task-7')",
    ),
    Mass(
        "one failed task of many",
        insert(status="'failed'", task_id="'task-' || n"),
        "SELECT contentq.requeue('task-7')",
    ),
    Mass(
        "maintenance: dead worker",
        insert(**RUNNING, worker_id="{dead}"),
        "SELECT contentq.maintain()",
    ),
    Mass("maintenance: overdue", insert(timeout_at=PAST), "SELECT contentq.maintain()"),
]


@pytest.fixture
def call(queue: Queue) -> Callable[[Mass, int], tuple[int, int, int]]:
    """Makes the call with this many rows, in a session that has planned it before.

    Returns the rows and index entries that it read, and the rows that it changed.
    """
    worker, dead = queue.register(), queue.register()
    account = queue.account

    def make(mass: Mass, number: int) -> tuple[int, int, int]:
        statement = mass.call.format(worker=worker, dead=dead)
        queue.run("TRUNCATE content_generation_tasks")
        for _ in range(10):
            queue.run(statement)
        # Registers the dead worker again, because a rescue removes it.
        queue.run("DELETE FROM contentq.workers WHERE id = %s", dead)
        queue.run(
            "INSERT INTO contentq.workers (id, hostname, pid, slots, handler, heartbeat_at) "
            "VALUES (%s, 'host', 1, 1, 'template', '2001-01-01')",
            dead,
        )
        queue.run("UPDATE contentq.maintenance SET watched_since = '2001-01-01', cleaned_at = '2001-01-01'")
        queue.run("UPDATE contentq.maintenance SET ran_at = clock_timestamp()")
        queue.run(mass.rows.format(worker=worker, dead=dead, account=account, number=number))
        read = scans(queue, statement)
        assert read.sequential == 0
        return read.rows, sum(read.entries.values()), read.changed

    return make


@pytest.mark.parametrize("mass", MASSES, ids=lambda mass: mass.name)
def test_call_beside_a_mass_of_rows_reads_and_changes_a_bounded_batch(
    queue: Queue, call: Callable[[Mass, int], tuple[int, int, int]], mass: Mass
) -> None:
    queue.run("ALTER TABLE content_generation_tasks SET (autovacuum_enabled = off)")
    beside = 2 * WINDOW if "heartbeat" in mass.call or "rescue" in mass.call else BATCH

    rows, entries, changed = call(mass, 3 * WINDOW if beside > BATCH else 12 * BATCH)

    assert changed <= 4 * BATCH, (rows, entries, changed)
    assert rows <= EACH * changed + beside, (rows, entries, changed)
    assert entries <= EACH * changed + beside, (rows, entries, changed)


def test_next_calls_go_on_until_all_of_a_mass_is_dealt_with(queue: Queue, worker: int) -> None:
    insert_many = (
        "INSERT INTO content_generation_tasks "
        "(account_id, status, started_at, attempt, worker_id, cancel_requested_at) "
        "SELECT %s, 'processing', '2001-01-01', 1, %s, CASE WHEN n > 1500 THEN now() END "
        "FROM generate_series(1, 3000) AS n"
    )
    queue.run(insert_many, queue.account, worker)
    kept = queue.running(worker)
    queue.cancel(kept.id)

    for _ in range(3):
        assert (kept.id, kept.attempt) in queue.heartbeat_with(worker, [kept], queue.now())

    rows = queue.rows("SELECT status, count(*) FROM content_generation_tasks GROUP BY 1")
    assert {row["status"]: row["count"] for row in rows} == {"pending": 1500, "failed": 1500, "processing": 1}


def test_tasks_of_a_dead_worker_are_taken_back_call_by_call(queue: Queue) -> None:
    dead = queue.register()
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, started_at, attempt, worker_id) "
        "SELECT %s, 'processing', '2001-01-01', 1, %s FROM generate_series(1, 2500)",
        queue.account,
        dead,
    )
    queue.silence(dead)

    assert [queue.rescue() for _ in range(4)] == [1000, 1000, 500, 0]
    charged = "SELECT count(*) FROM content_generation_tasks WHERE status = 'pending' AND retry_count = 1"
    assert queue.value(charged) == 2500


def test_maintenance_removes_a_bounded_number_of_leftovers(queue: Queue) -> None:
    queue.run("INSERT INTO contentq.claimers (worker_id) SELECT -n FROM generate_series(1, 2500) AS n")
    queue.run(
        "INSERT INTO contentq.dead_workers (found_at, worker_id, draining, ids, attempts) "
        "SELECT '2001-01-01', n, false, '{}', '{}' FROM generate_series(1, 2500) AS n"
    )
    left = "SELECT (SELECT count(*) FROM contentq.claimers) || ' ' || (SELECT count(*) FROM contentq.dead_workers)"

    waits, found = [], []
    for _ in range(3):
        waits.append(queue.value("SELECT contentq.maintain()"))
        found.append(queue.value(left))

    assert found == ["1500 1500", "500 500", "0 0"]
    assert [wait == timedelta(0) for wait in waits] == [True, True, False]


USAGE = '{"prompt_tokens": 1}'

REPORTS = {
    "complete": "contentq.complete({worker}, {ids}, {attempts})",
    "complete with usage": "contentq.complete({worker}, {ids}, {attempts}, {usages})",
    "complete with content": "contentq.complete({worker}, {ids}, {attempts}, NULL, {contents})",
    "store": "contentq.store({worker}, {ids}, {attempts}, {texts}, {texts}, {attempts})",
    "release": "contentq.release({worker}, {ids}, {attempts})",
    "end_cancelled_or_overdue": "contentq.end_cancelled_or_overdue({worker}, {ids}, {attempts})",
    "report_progress": "contentq.report_progress({worker}, {ids}, {attempts}, {attempts}::real[], {texts})",
    "record_usage": "contentq.record_usage({worker}, {ids}, {attempts}, {usages})",
    "locked_tasks": "contentq.locked_tasks({worker}, {ids})",
    "heartbeat": "contentq.heartbeat({worker}, 0, {ids}, {attempts}, clock_timestamp())",
    "heartbeat that knows of nothing": "contentq.heartbeat({worker}, 0, '{{}}', '{{}}', clock_timestamp())",
}


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize("report", REPORTS)
def test_report_reads_its_own_tasks_only_when_statistics_say_that_the_table_is_empty(
    queue: Queue, worker: int, connect_queue: Callable[[], Queue], report: str, cancelled: bool
) -> None:
    """Statistics say so if a mass of rows was analyzed before its commit; index scans then look cheap."""
    other = connect_queue()
    contents = "INSERT INTO contents (account_id, title, body) SELECT %s, '', '' FROM generate_series(1, %s) AS n"
    tasks = (
        "INSERT INTO content_generation_tasks "
        "(account_id, status, started_at, attempt, worker_id, cancel_requested_at) "
        "SELECT %s, 'processing', '2001-01-01', 1, %s, CASE WHEN %s THEN now() END "
        "FROM generate_series(1, %s) AS n"
    )
    account = queue.account
    most = EACH * BATCH + (2 * WINDOW if report.startswith("heartbeat") else 0)
    many = most + BATCH
    with queue.connection.transaction():
        queue.run(contents, account, many)
        queue.run(tasks, account, worker, cancelled, many)
        other.run("ANALYZE contents, content_generation_tasks")
    ids = queue.values("SELECT id FROM content_generation_tasks ORDER BY id LIMIT %s", BATCH)
    call = REPORTS[report].format(
        worker=worker,
        ids=f"ARRAY{ids}::bigint[]",
        attempts=f"array_fill(1, ARRAY[{BATCH}])",
        texts=f"array_fill('x'::text, ARRAY[{BATCH}])",
        usages=f"array_fill('{USAGE}'::text, ARRAY[{BATCH}])",
        contents=f"ARRAY(SELECT id FROM contents ORDER BY id LIMIT {BATCH})::bigint[]",
    )

    read = scans(queue, f"SELECT {call}")

    assert (read.sequential, read.rows <= most, sum(read.entries.values()) <= most) == (0, True, True), read
