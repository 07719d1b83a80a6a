"""Reads of explain() are bounded, however many tasks of any account come before a task."""

from __future__ import annotations

import pytest

from tests.support.plans import scans
from tests.support.queue import Queue

pytestmark = [pytest.mark.newest, pytest.mark.slow]

BULK = 50_000

MOST = 35_000
"""Maximum index entries of one call: the 10,000 tasks that it counts, in each order that it needs."""

EXPLAIN = "SELECT contentq.explain('mine')"

BACKLOGS = {
    "tasks of its own account": "SELECT 1, NULL, 5",
    "tasks of a paused account": "SELECT 2, NULL, 5",
    "tasks of an account at its cap": "SELECT 3, NULL, 5",
    "tasks of another category": "SELECT 1, 'other', 5",
    "tasks of a thousand accounts": "SELECT 10 + mod(n, 1000), NULL, 5",
    "more urgent tasks": "SELECT 1, NULL, 6 + mod(n, 5)",
    "finished tasks": "SELECT 1, NULL, NULL::integer",
}
"""By name: account, category and priority of the n-th task; without a priority it is completed."""

SETTINGS = {
    "strict": "claim_order = 'strict'",
    "fair": "claim_order = 'fair'",
    "all": "claim_order = 'fair', deadlines = true, aging = '1 hour'",
}


def arrange(queue: Queue, backlog: str, number: int) -> None:
    """Two workers, one with a category, accounts, this many tasks, and a last task."""
    queue.run("INSERT INTO accounts (name) SELECT 'Account ' || n FROM generate_series(1, 1010) AS n")
    queue.run("UPDATE accounts SET paused_until = 'infinity' WHERE id = 2")
    queue.run("UPDATE accounts SET max_running = 1 WHERE id = 3")
    queue.run("INSERT INTO contentq.durations (category, median) VALUES ('', '1 minute'), ('other', '2 minutes')")
    queue.register(gate="g")
    queue.run(
        "SELECT contentq.register_worker('host', 1, 10, 'template', categories => '{mine}') "
        "FROM generate_series(1, 5)"
    )
    queue.running(account_id=3)
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, category, priority, status, submitted_at, "
        "completed_at) "
        "SELECT t.account_id, t.category, coalesce(t.priority, 5), "
        "CASE WHEN t.priority IS NULL THEN 'completed' ELSE 'pending' END, "
        "clock_timestamp() - interval '2 hours', CASE WHEN t.priority IS NULL THEN clock_timestamp() END "
        f"FROM generate_series(1, %s) AS n CROSS JOIN LATERAL ({BACKLOGS[backlog]}) AS t (account_id, "
        "category, priority)",
        number,
    )
    queue.add(task_id="mine", account_id=1, category="mine")
    queue.run("ANALYZE")


@pytest.mark.parametrize("backlog", BACKLOGS)
def test_reads_do_not_grow_with_what_waits(queue: Queue, backlog: str) -> None:
    arrange(queue, backlog, BULK)

    for change in SETTINGS.values():
        queue.run(f"UPDATE contentq.settings SET {change}")

        found = scans(queue, EXPLAIN)

        assert found.sequential == 0
        assert found.changed == 0
        assert sum(found.entries.values()) <= MOST, found.entries
