"""The reads of a function depend on its work, not on other rows in the table, present or past.

With each backlog, all calls are counted with every plan that a session can have: cached since the table was empty,
made without statistics, made with statistics older than the backlog, and made with good ones; each generic
("generic") or for the values of one call ("custom").
"""

from __future__ import annotations

from typing import Literal

import pytest

from tests.support.plans import Scans, scans
from tests.support.queue import Queue

pytestmark = pytest.mark.slow

BULK = 8_000
"""Tasks of a backlog: far more than a call may read.

At 60 times the size, the plans are the same.
"""

EARLIER = 2_000
"""Finished tasks present before."""

FEW = 20
"""Tasks of each kind for the calls."""

NAMED = 100
"""Tasks that the caller holds and names in its reports."""

OTHERS = 20
"""Live workers in addition to the calling one."""

EACH = 5
"""Maximum rows read per changed row: a call finds, locks, changes and compares it."""

BESIDE = NAMED + 60
"""Additional rows: the tasks that its worker holds, and a few, some of them versions that were rolled back."""

CHANGES_NONE = {"locked_tasks", "record_usage"}
"""Calls that find and lock the given tasks, and read them once more."""

COUNTS_RUNNING = {"claim in fair order": 1, "claim beside a cap": 2, "claim beside a budget": 1}
"""Calls that count the running tasks of the affected accounts, and how often."""

HELD_BY_CALLER = 3 * BESIDE
"""Maximum tasks that the caller holds: a claim with several gates checks which are about to enter one."""

HOLDERS = 5 * OTHERS
"""Maximum rows of other workers that it reads: one of each worker, each time that it checks one of two gates."""

AGED = 1_000
"""Tasks per priority that a claim checks for waiting longer than settings.aging."""

DEAD = 5_000
"""Additional index entries: those of versions that were rolled back."""


def tasks(number: int, **columns: str) -> str:
    """The INSERT of this many tasks; columns are expressions on the counter n."""
    return (
        f"INSERT INTO content_generation_tasks (account_id, {', '.join(columns)}) "
        f"SELECT (SELECT min(id) FROM accounts), {', '.join(columns.values())} "
        f"FROM generate_series(1, {number}) AS n"
    )


NOW = "clock_timestamp()"
PAST = "clock_timestamp() - interval '1 second'"
LATER = "clock_timestamp() + n * interval '1 hour'"
IN_TURN = "clock_timestamp() - interval '1 day' + n * interval '1 millisecond'"
CALLER = "(SELECT min(id) FROM contentq.workers)"
SILENT = "(SELECT max(id) FROM contentq.workers)"
RUNNING = {"status": "'processing'", "started_at": NOW, "attempt": "1"}
ENDED = {
    "status": "CASE mod(n, 4) WHEN 0 THEN 'failed' ELSE 'completed' END",
    "submitted_at": "clock_timestamp() - interval '100 days' + n * interval '1 millisecond'",
    "completed_at": "clock_timestamp() - n * interval '2 minutes'",
    "timeout_at": LATER,
}

BACKLOGS = {
    "ready": {"submitted_at": IN_TURN, "timeout_at": LATER},
    "scheduled": {"priority": "10", "scheduled_at": LATER, "timeout_at": LATER},
    "finished": ENDED,
    "processing": {
        **RUNNING,
        "worker_id": f"{CALLER} + CASE WHEN n > {HELD_BY_CALLER} THEN 1 + mod(n, {OTHERS}) ELSE 0 END",
        "timeout_at": LATER,
    },
}
"""The columns of each backlog.

Some completed tasks are old enough for cleanup(); the caller holds some of those in processing.
"""

SUBJECTS = (
    "INSERT INTO accounts (name, paused_until) SELECT 'Paused', 'infinity' FROM generate_series(1, 20)",
    f"UPDATE contentq.workers SET heartbeat_at = {NOW} - interval '1 hour' WHERE id = {SILENT}",
    tasks(FEW, priority="1"),
    tasks(FEW, priority="1", category="'news'", timeout_at=LATER),
    tasks(FEW, priority="1", scheduled_at=PAST),
    tasks(FEW, priority="1", timeout_at=PAST),
    tasks(FEW, status="'completed'", completed_at=f"{NOW} - interval '31 days'"),
    tasks(FEW, status="'timeout'", worker_id=CALLER),
    tasks(FEW, **RUNNING, worker_id=SILENT),
    tasks(FEW, **RUNNING, worker_id="0"),
    tasks(1, priority="1", task_id="'task-waiting'"),
    tasks(1, priority="1", task_id="'task-failed'", status="'failed'"),
)
USAGE = '{"prompt_tokens": 1}'
HELD = f"{tasks(NAMED, **RUNNING, worker_id=CALLER)} RETURNING id"
CONTENTS = (
    "INSERT INTO contents (account_id, title, body, word_count) "
    f"SELECT (SELECT min(id) FROM accounts), '', '', 0 FROM generate_series(1, {NAMED}) RETURNING id"
)

REMEMBER = """
    UPDATE accounts SET paused_until = NULL WHERE paused_until IS NOT NULL;
    UPDATE contentq.claimers SET memory = jsonb_build_object('places', jsonb_build_object(
        'until', clock_timestamp() + interval '0.9 seconds', 'heads', jsonb_build_object()))"""
"""Makes claim() believe that its worker recently scanned many dead entries, and no account is blocked."""

SEVERAL_GATES = """
    UPDATE contentq.workers SET gates = '{{a,b}}' WHERE id = {worker};
    INSERT INTO contentq.gates (key, max_running) VALUES ('a', 1000000), ('b', 1000000)"""

CALLS = {
    "cancel": "SELECT contentq.cancel('task-waiting')",
    "claim": "SELECT contentq.claim({worker}, 10)",
    "claim beside an old snapshot": f"{REMEMBER}; SELECT contentq.claim({{worker}}, 10)",
    "claim of a category": "SELECT contentq.claim({worker}, 10, '{{news}}')",
    "claim in fair order": (
        "UPDATE contentq.settings SET claim_order = 'fair'; SELECT contentq.claim({worker}, 10)"
    ),
    "claim by deadlines": "UPDATE contentq.settings SET deadlines = true; SELECT contentq.claim({worker}, 10)",
    "claim with aging": (
        "UPDATE contentq.settings SET aging = interval '1 hour'; SELECT contentq.claim({worker}, 10)"
    ),
    "claim beside a cap": "UPDATE accounts SET max_running = 1000000; SELECT contentq.claim({worker}, 10)",
    "claim beside a budget": (
        "INSERT INTO contentq.usage (account_id, day, model, attempts, prompt_tokens, completion_tokens, cost) "
        "SELECT id, clock_timestamp() AT TIME ZONE 'UTC', 'm', 100000, 1, 1, 1 FROM accounts; "
        "UPDATE accounts SET monthly_budget = 7; SELECT contentq.claim({worker}, 10)"
    ),
    "claim of named tasks": (
        "SELECT contentq.claim({worker}, 10, NULL, "
        "ARRAY(SELECT id FROM content_generation_tasks WHERE task_id = 'task-waiting')::bigint[])"
    ),
    "claim with several gates": f"{SEVERAL_GATES}; SELECT contentq.claim({{worker}}, 10)",
    "cleanup": "SELECT contentq.cleanup('30 days', 10)",
    "cleanup_failed": "SELECT contentq.cleanup_failed('-1 minute', 10)",
    "complete": "SELECT contentq.complete({worker}, {ids}, {attempts})",
    "complete with usage": "SELECT contentq.complete({worker}, {ids}, {attempts}, {usages})",
    "complete with content": "SELECT contentq.complete({worker}, {ids}, {attempts}, NULL, {contents})",
    "deregister_worker": "SELECT contentq.deregister_worker({worker})",
    "enter_gate": f"{SEVERAL_GATES}; SELECT contentq.enter_gate({{worker}}, ({{ids}})[1], 1, '{{{{a,b}}}}')",
    "leave_gate": (
        f"{SEVERAL_GATES}; UPDATE content_generation_tasks SET gate = 'a', gate_entered_at = now() "
        "WHERE id = ({ids})[1]; SELECT contentq.leave_gate({worker}, ({ids})[1], 1, 'a')"
    ),
    "fail": "SELECT contentq.fail({worker}, ({ids})[1], 1, 'It broke')",
    "heartbeat": "SELECT contentq.heartbeat({worker})",
    "heartbeat with a list": "SELECT contentq.heartbeat({worker}, 95, ({ids})[6:], ({attempts})[6:], 'infinity')",
    "locked_tasks": "SELECT contentq.locked_tasks({worker}, {ids})",
    "maintain": "SELECT contentq.maintain()",
    "next_claim_in": "SELECT contentq.next_claim_in({worker})",
    "promote_scheduled": "SELECT contentq.promote_scheduled(10)",
    "record_usage": "SELECT contentq.record_usage({worker}, {ids}, {attempts}, {usages})",
    "report_progress": "SELECT contentq.report_progress({worker}, {ids}, {attempts}, {attempts}::real[], {texts})",
    "release": "SELECT contentq.release({worker}, {ids}, {attempts})",
    "requeue": "SELECT contentq.requeue('task-failed')",
    "rescue_dead_workers": "SELECT contentq.rescue_dead_workers()",
    "snooze": "SELECT contentq.snooze({worker}, ({ids})[1], 1, clock_timestamp() + interval '1 hour')",
    "store": "SELECT contentq.store({worker}, {ids}, {attempts}, {texts}, {texts}, {attempts})",
    "sweep_timeouts": "SELECT contentq.sweep_timeouts(10)",
    "waits_for": "SELECT contentq.waits_for({worker})",
}

INDEXES = {
    "cancel": {"task_id_key", "pkey"},
    # The planner reads the first and last time of an index if it can compare them with a constant.
    "claim": {"scheduled_idx", "ready_idx", "pkey", "submitted_at_idx"},
    "claim beside an old snapshot": {"scheduled_idx", "ready_idx", "pkey", "submitted_at_idx"},
    "claim of a category": {"scheduled_idx", "submitted_at_idx", "ready_idx", "ready_category_idx", "pkey"},
    "claim in fair order": {
        "scheduled_idx",
        "submitted_at_idx",
        "ready_idx",
        "ready_account_idx",
        "running_idx",
        "pkey",
    },
    "claim by deadlines": {"scheduled_idx", "submitted_at_idx", "ready_idx", "ready_deadline_idx", "pkey"},
    "claim with aging": {"scheduled_idx", "submitted_at_idx", "ready_idx", "pkey"},
    "claim beside a cap": {"scheduled_idx", "submitted_at_idx", "ready_idx", "running_idx", "pkey"},
    "claim beside a budget": {"scheduled_idx", "submitted_at_idx", "ready_idx", "running_idx", "pkey"},
    "claim of named tasks": {"pkey", "task_id_key"},
    "claim with several gates": {
        "scheduled_idx",
        "submitted_at_idx",
        "ready_idx",
        "gate_idx",
        "held_idx",
        "pkey",
    },
    "cleanup": {"completed_at_idx", "pkey"},
    "cleanup_failed": {"failed_idx", "pkey"},
    "complete": {"pkey"},
    "complete with usage": {"pkey"},
    "complete with content": {"pkey", "contents_pkey", "content_id_idx"},
    "deregister_worker": {"held_idx", "revoked_idx", "pkey"},
    "enter_gate": {"pkey", "gate_idx", "held_idx"},
    "leave_gate": {"pkey"},
    "fail": {"pkey"},
    "heartbeat": {"revoked_idx", "pkey"},
    "heartbeat with a list": {"revoked_idx", "held_idx", "pkey"},
    "locked_tasks": {"pkey"},
    "maintain": {"deadline_idx", "scheduled_idx", "held_idx", "revoked_idx", "completed_at_idx", "pkey"},
    "next_claim_in": {"scheduled_idx", "ready_idx"},
    "promote_scheduled": {"scheduled_idx", "pkey"},
    "record_usage": {"pkey"},
    "report_progress": {"pkey"},
    "release": {"pkey"},
    "requeue": {"task_id_key", "pkey"},
    "rescue_dead_workers": {"held_idx", "revoked_idx", "pkey"},
    "snooze": {"pkey"},
    "store": {"pkey", "contents_pkey"},
    "sweep_timeouts": {"deadline_idx", "pkey"},
    "waits_for": set(),
}
"""The tasks that a call should use."""


class Readings:
    """Reads of the calls of one session, in each situation."""

    def __init__(self, session: Queue, worker: int) -> None:
        self.of: dict[str, dict[str, Scans]] = {call: {} for call in CALLS}
        """By call and situation."""
        self._session = session
        self._worker = worker

    def take(self, plans: str, *kinds: Literal["custom", "generic"]) -> None:
        """Counts all calls, without and with work to do. Everything is rolled back."""
        for kind in kinds:
            self._session.run(f"SET plan_cache_mode = force_{kind}_plan")
            nobodys = list(range(-NAMED, 0))
            self._count(f"{plans}, {kind}, nothing to do", nobodys, nobodys)
            with self._session.connection.transaction(force_rollback=True):
                for statement in SUBJECTS:
                    self._session.run(statement)
                ids, contents = self._session.values(HELD), self._session.values(CONTENTS)
                self._count(f"{plans}, {kind}, something to do", ids, contents)

    def _count(self, situation: str, ids: list[int], contents: list[int]) -> None:
        for call, statement in CALLS.items():
            values = {
                "worker": self._worker,
                "ids": f"ARRAY{ids}",
                "attempts": f"ARRAY{[1] * NAMED}",
                "texts": f"ARRAY{['x'] * NAMED}",
                "usages": f"array_fill('{USAGE}'::text, ARRAY[{NAMED}])",
                "contents": f"ARRAY{contents}",
            }
            self.of[call][situation] = scans(self._session, statement.format(**values), undo=True)


def beside(backlog: str, session: Queue) -> Readings:
    """Inserts a backlog into an empty queue, twice, and takes all readings."""
    assert session.account
    # Restarts the ids, so that the backlogs can name the workers.
    session.run("CREATE SEQUENCE turns")
    session.run("ALTER TABLE contentq.workers ALTER COLUMN id SET DEFAULT nextval('turns')")
    worker, *_ = [session.register() for _ in range(1 + OTHERS + 1)]
    session.run("UPDATE contentq.workers SET heartbeat_at = '9999-01-01'")
    # Otherwise maintain() would give the silent worker time to return.
    session.run("UPDATE contentq.maintenance SET ran_at = 'infinity'")
    # Automatic statistics would invalidate cached plans.
    session.run("ALTER TABLE content_generation_tasks SET (autovacuum_enabled = off)")
    readings = Readings(session, worker)

    readings.take("the table is empty", "generic")
    session.run(tasks(EARLIER, **ENDED))
    session.run(backlog)
    readings.take("planned while it was empty", "generic")
    session.run("DISCARD PLANS")
    readings.take("no statistics", "generic", "custom")

    session.run("TRUNCATE content_generation_tasks")
    session.run(tasks(EARLIER, **ENDED))
    session.run("ANALYZE content_generation_tasks")
    session.run(backlog)
    readings.take("older statistics", "generic", "custom")
    session.run("ANALYZE content_generation_tasks")
    readings.take("good statistics", "generic", "custom")
    return readings


@pytest.mark.parametrize("backlog", BACKLOGS)
def test_each_call_reads_by_its_indexes_and_only_what_it_works_on(queue: Queue, backlog: str) -> None:
    readings = beside(tasks(BULK, **BACKLOGS[backlog]), queue)

    running = 2 * BESIDE + (BULK if backlog == "processing" else 0)

    wrong = [
        f"{call}, {situation}: {read}"
        for call, read_in in readings.of.items()
        for situation, read in read_in.items()
        if read.sequential
        or read.rows
        > EACH * read.changed
        + BESIDE
        + (NAMED if call in CHANGES_NONE else 0)
        + COUNTS_RUNNING.get(call, 0) * running
        + (AGED if call == "claim with aging" else 0)
        + (HELD_BY_CALLER + HOLDERS if call == "claim with several gates" else 0)
        or sum(read.entries.values()) > EACH * read.changed + DEAD + COUNTS_RUNNING.get(call, 0) * running
        or not read.used <= INDEXES[call]
    ]
    assert not wrong, "\n".join(wrong)


AHEAD = 2_500
"""Maximum entries read of a blocked backlog: some windows before the claim goes by accounts."""

HINDERED = {
    "paused": "UPDATE accounts SET paused_until = 'infinity' WHERE id = {account}",
    "at its cap": "UPDATE accounts SET max_running = 0 WHERE id = {account}",
    "over budget": "UPDATE accounts SET monthly_budget = 0 WHERE id = {account}",
    "among many that are paused": "INSERT INTO accounts (name, paused_until) "
    "SELECT 'Paused', 'infinity' FROM generate_series(1, 5000); "
    "UPDATE accounts SET paused_until = 'infinity' WHERE id = {account}",
    "of another category": "UPDATE contentq.workers SET categories = '{{news}}'",
    "of one of many other categories": "UPDATE contentq.workers SET categories = '{{a,b,c,d,news,x,y,z}}'",
}


@pytest.mark.parametrize("order", ["strict", "fair"])
@pytest.mark.parametrize("kind", ["custom", "generic"])
@pytest.mark.parametrize("hindered", HINDERED)
def test_claim_reads_little_of_a_backlog_that_may_not_start(
    queue: Queue, worker: int, kind: str, hindered: str, order: str
) -> None:
    """It precedes the claimed tasks. Before the last claim only the backlog is left."""
    held = queue.add_account()
    assert queue.account
    backlog = tasks(BULK, submitted_at=IN_TURN, category="'blog'", priority="5 + mod(n, 2)")
    queue.run(backlog.replace("SELECT min(id) FROM accounts", f"SELECT {held}"))
    queue.run(
        tasks(3 * FEW, category="'news'", priority="5")
        .replace("min(id)", "max(id)")
        .replace("FROM accounts", "FROM accounts WHERE name = 'Ada'")
    )
    queue.run("ANALYZE content_generation_tasks")
    queue.run(f"SET plan_cache_mode = force_{kind}_plan")
    queue.run(HINDERED[hindered].format(account=held))
    queue.run("UPDATE contentq.settings SET claim_order = %s", order)

    read = [scans(queue, f"SELECT contentq.claim({worker}, {FEW})") for _ in range(4)]

    running = "SELECT DISTINCT category FROM content_generation_tasks WHERE status = 'processing'"
    assert queue.values(running) == ["news"]
    assert queue.value("SELECT count(*) FROM content_generation_tasks WHERE status = 'processing'") == 3 * FEW
    assert {each.sequential for each in read} == {0}
    assert max(sum(each.entries.values()) for each in read) <= AHEAD, read


@pytest.mark.parametrize("kind", ["custom", "generic"])
def test_explain_counts_the_tasks_ahead_by_the_ready_index_and_no_more_than_ten_thousand(
    queue: Queue, worker: int, kind: str
) -> None:
    assert queue.account
    queue.run(tasks(20_000, submitted_at=IN_TURN))
    queue.run(tasks(1, task_id="'task-waiting'"))
    queue.run("ANALYZE content_generation_tasks")
    queue.run(f"SET plan_cache_mode = force_{kind}_plan")

    read = scans(queue, "SELECT contentq.explain('task-waiting')")

    assert read.used <= {"task_id_key", "held_idx", "ready_idx", "pkey"}
    assert read.sequential == 0
    assert read.entries["ready_idx"] <= 10_000
