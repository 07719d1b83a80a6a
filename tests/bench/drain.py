"""How fast workers complete tasks that do nothing, and how fast PostgreSQL alone makes the same writes."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.bed import BATCH, Bed
from tests.bench.figures import Figure, Measurement, Reading, at_least

TASKS = 40_000

RAW_CLAIM = """
WITH ready AS MATERIALIZED (
    SELECT id FROM content_generation_tasks
    WHERE status = 'pending' AND scheduled_at IS NULL
    ORDER BY priority DESC, submitted_at, id LIMIT {batch} FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE content_generation_tasks AS t
    SET status = 'processing', started_at = clock_timestamp(), attempt = attempt + 1, worker_id = 1,
        updated_at = CURRENT_TIMESTAMP
    FROM ready WHERE t.id = ready.id
    RETURNING t.id
)
SELECT array_agg(id) AS ids FROM claimed"""

RAW = f"""{RAW_CLAIM.format(batch=BATCH)} \\gset
UPDATE content_generation_tasks
SET status = 'completed', completed_at = clock_timestamp(), result = '{{"success": true}}', worker_id = NULL,
    updated_at = CURRENT_TIMESTAMP
WHERE id = ANY (:ids::integer[]) AND status = 'processing';
"""
"""Claims and completes in plain SQL on the product's table, with its indexes, triggers and checks."""


RAW_WITH_CONTENT = RAW.replace(
    "UPDATE content_generation_tasks\nSET status = 'completed'",
    """\
WITH stored AS (
    INSERT INTO contents (account_id, title, body, word_count, review_status)
    SELECT account_id, topic, repeat('A sentence of some length that says nothing at all. ', 16), 150, 'approved'
    FROM content_generation_tasks WHERE id = ANY (:ids::integer[])
    RETURNING id
)
SELECT count(*) FROM stored;
UPDATE content_generation_tasks
SET status = 'completed'""",
)
"""The same with a row of content per task, about as long as a draft of the handler `template`."""


def raw(on: Bed, clients: int, *, content: bool = False) -> float:
    """Tasks per second of pgbench, which claims and completes in batches."""
    tasks = on.sized(TASKS)
    on.fill(tasks)
    on.pgbench(RAW_WITH_CONTENT if content else RAW, clients, "-t", str(tasks // BATCH // clients))
    return on.rate(tasks)


def worked(on: Bed, processes: int, handler: str = "tests.bench.handlers:nothing") -> float:
    """Tasks per second of this many worker processes with default settings."""
    tasks = on.sized(TASKS)
    on.fill(tasks)
    with on.workers(processes, handler, "--until-empty") as workers:
        for worker in workers:
            worker.wait(timeout=120)
    return on.rate(tasks)


def _one(on: Bed) -> Iterator[Reading]:
    limit = raw(on, 1)
    yield Reading(ONE, worked(on, 1), limit)


def _two(on: Bed) -> Iterator[Reading]:
    limit = raw(on, 2)
    yield Reading(TWO, worked(on, 2), limit)


def _with_content(on: Bed) -> Iterator[Reading]:
    limit = raw(on, 1, content=True)
    yield Reading(WITH_CONTENT, worked(on, 1, "template"), limit)
    yield Reading(WITH_READY_CONTENT, worked(on, 1, "tests.bench.handlers:writes"), limit)


ONE = Figure("drain, 1 process", "tasks/s", "pgbench, 1 client", ratio=at_least(0.9))
TWO = Figure("drain, 2 processes", "tasks/s", "pgbench, 2 clients", ratio=at_least(0.9))
WITH_CONTENT = Figure("drain, with content of `template`", "tasks/s", "pgbench, 1 client", ratio=at_least(0.7))
WITH_READY_CONTENT = Figure(
    "drain, with content that is ready", "tasks/s", "pgbench, 1 client", ratio=at_least(0.7)
)

MEASUREMENTS = [
    Measurement((ONE,), _one),
    Measurement((TWO,), _two),
    Measurement((WITH_CONTENT, WITH_READY_CONTENT), _with_content),
]
