"""The reads of reviews depend on what they show or decide, not on the amount of other content.

With a backlog, each statement is counted with the plans that a session can have: made without statistics, with
those of an empty table, and with good ones.
"""

from __future__ import annotations

import pytest

from tests.support.plans import scans
from tests.support.queue import Queue

pytestmark = pytest.mark.slow

BULK = 8_000
"""Contents that await review, and as many reviewed ones, with one task each."""

TASKS = """
    INSERT INTO content_generation_tasks (
        id, account_id, content_id, task_id, status, completed_at, category, batch, auto_approve
    )
    OVERRIDING SYSTEM VALUE
    SELECT n, %(account)s, n, 'task-' || n, 'completed', clock_timestamp(), 'c' || mod(n, 10),
           CASE WHEN mod(n, 4000) = 0 THEN 'rare' ELSE 'b' || mod(n, 10) END, false
    FROM generate_series(1, 2 * %(bulk)s) AS n"""

CONTENTS = """
    INSERT INTO contents (id, account_id, title, body, review_status, generation_task_id)
    OVERRIDING SYSTEM VALUE
    SELECT n, %(account)s, 'T', 'B', CASE mod(n, 2) WHEN 0 THEN 'pending' ELSE 'approved' END, n
    FROM generate_series(1, 2 * %(bulk)s) AS n"""

LAST = 2 * BULK

VIEWED = {
    "first page": ("SELECT * FROM contentq.review_queue LIMIT 20", 100),
    "one that waits": (f"SELECT * FROM contentq.review_queue WHERE content_id = {LAST}", 20),
    "the next page": (f"SELECT * FROM contentq.review_queue WHERE content_id + 0 > {BULK} LIMIT 20", 100),
    "of a rare batch": ("SELECT contentq.matching_contents(batch => 'rare')", 200),
}
"""Statements, and the maximum rows that each reads with good statistics."""

READING = {
    "a page of some": (
        f"SELECT r.* FROM contentq.matching_contents(after_id => {BULK}, max_contents => 20) AS m (id) CROSS JOIN "
        "LATERAL (SELECT * FROM contentq.review_queue AS q WHERE q.content_id = m.id LIMIT 1) AS r",
        200,
    ),
    "versions of a task": (f"SELECT * FROM contentq.content_versions WHERE task_id = 'task-{LAST}'", 20),
    "task of a version": (f"SELECT * FROM contentq.content_versions WHERE content_id = {LAST}", 20),
    "of an account": (f"SELECT contentq.matching_contents(1, after_id => {BULK}, max_contents => 100)", 300),
    "of a category": ("SELECT contentq.matching_contents(category => 'c2', max_contents => 20)", 1000),
}
DECIDING = {
    "approve one": (f"SELECT contentq.approve({LAST})", 20),
    "reject one": (f"SELECT contentq.reject({LAST})", 20),
    "send one back": (f"SELECT contentq.reject({LAST}, revise => true)", 40),
    "approve a chunk": (
        f"SELECT contentq.approve_matching(since => '-infinity', after_id => {BULK}, max_contents => 100)",
        1500,
    ),
    "send a chunk back": (
        f"SELECT contentq.reject_matching(1, revise => true, after_id => {BULK}, max_contents => 100)",
        2500,
    ),
    "none is left": (f"SELECT contentq.reject_matching(1, revise => true, after_id => {LAST})", 20),
}


@pytest.fixture(params=["no statistics", "statistics of before", "good statistics"])
def statistics(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def backlog(queue: Queue, statistics: str) -> Queue:
    for table in ("contents", "content_generation_tasks"):
        queue.run(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    if statistics == "statistics of before":
        queue.run("VACUUM ANALYZE contents, content_generation_tasks")
    for insert in (CONTENTS, TASKS):
        queue.connection.execute(insert.encode(), {"account": queue.account, "bulk": BULK})
    if statistics == "good statistics":
        queue.run("VACUUM ANALYZE contents, content_generation_tasks")
    return queue


@pytest.mark.newest
def test_reading_and_deciding_read_only_what_they_are_about(backlog: Queue, statistics: str) -> None:
    assert backlog.account == 1
    found = {}
    for name, (statement, most) in {
        **(VIEWED if statistics == "good statistics" else {}),
        **READING,
        **DECIDING,
    }.items():
        counted = scans(backlog, statement, undo=name in DECIDING)
        if counted.sequential or counted.rows > most or sum(counted.entries.values()) > 3 * most:
            found[name] = counted

    assert not found, "\n".join(f"{name}: {counted}" for name, counted in found.items())
