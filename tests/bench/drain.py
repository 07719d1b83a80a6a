"""How fast tasks that do nothing are worked off, and how fast PostgreSQL alone does the same writes."""

from __future__ import annotations

from contextlib import ExitStack

from tests.bench.bed import BATCH, Bed

TASKS = 40_000

RAW = f"""
WITH ready AS MATERIALIZED (
    SELECT id FROM content_generation_tasks
    WHERE status = 'pending' AND scheduled_at IS NULL
    ORDER BY priority DESC, submitted_at, id LIMIT {BATCH} FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE content_generation_tasks AS t
    SET status = 'processing', started_at = clock_timestamp(), attempt = attempt + 1, worker_id = 1,
        updated_at = CURRENT_TIMESTAMP
    FROM ready WHERE t.id = ready.id
    RETURNING t.id
)
SELECT array_agg(id) AS ids FROM claimed \\gset
UPDATE content_generation_tasks
SET status = 'completed', completed_at = clock_timestamp(), result = '{{"success": true}}', worker_id = NULL,
    updated_at = CURRENT_TIMESTAMP
WHERE id = ANY (:ids::integer[]) AND status = 'processing';
"""
"""Claim and complete in plain SQL on the product's own table, with its indexes, triggers and checks."""


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
"""The same with a row of content for each task, about as long as a draft of the handler `template`."""


def raw(bed: Bed, clients: int, *, content: bool = False) -> float:
    """Tasks a second of pgbench, claiming and completing in batches."""
    bed.fill(TASKS)
    bed.pgbench(RAW_WITH_CONTENT if content else RAW, clients, TASKS // BATCH // clients)
    return bed.rate(TASKS)


def worked(bed: Bed, processes: int, handler: str = "tests.bench.handlers:nothing") -> float:
    """Tasks a second of so many worker processes with default settings."""
    bed.fill(TASKS)
    with ExitStack() as running:
        workers = [running.enter_context(bed.worker(handler, "--until-empty")) for _ in range(processes)]
        for worker in workers:
            worker.wait(timeout=120)
    return bed.rate(TASKS)
