"""Write-ahead log per task between two checkpoints, with an empty table and with a large one.

The first change of a page after a checkpoint logs the whole page. The index of `task_id` is random: with few new
tasks among many finished ones, each task changes a different page.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.backlog import finished
from tests.bench.bed import Bed
from tests.bench.enqueue import INSERT
from tests.bench.figures import Figure, Measurement, Reading

SEVERAL = 3_600
"""The tasks of five minutes, the default time between two checkpoints, at a million tasks a day."""

MANY = 20_000

LSN = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"


def _wal(on: Bed) -> Iterator[Reading]:
    large = finished(on)
    on.fill(0)
    for number, inserting, working in ((SEVERAL, INSERT_SEVERAL, WORK_SEVERAL), (MANY, INSERT_MANY, WORK_MANY)):
        (alone, worked_alone), (beside, worked) = _written(on, number), _written(large, number)
        yield Reading(inserting, beside, alone)
        yield Reading(working, worked, worked_alone)
    with _compressed(on):
        compressed = sum(_written(large, SEVERAL))
    yield Reading(COMPRESSED, compressed, sum(_written(large, SEVERAL)))
    yield Reading(CLEANED, _cleaned(large, MANY))


def _written(on: Bed, number: int) -> tuple[float, float]:
    """Kilobytes of log per task: from single INSERTs, and from the worker that completes them with content."""
    tasks = on.sized(number)
    with _unvacuumed(on):
        on.connection.execute("CHECKPOINT")
        before = on.value(LSN)
        on.pgbench(INSERT, 1, "-t", str(tasks))
        between = on.value(LSN)
        with on.worker("tests.bench.handlers:writes", "--until-empty") as worker:
            worker.wait(timeout=120)
        after = on.value(LSN)
    return float(between - before) / 1000 / tasks, float(after - between) / 1000 / tasks


def _cleaned(on: Bed, number: int) -> float:
    """Kilobytes of log per task, for deleting the oldest ended tasks and for the following vacuum."""
    tasks = on.sized(number)
    on.connection.execute("VACUUM content_generation_tasks")
    with _unvacuumed(on):
        on.connection.execute("CHECKPOINT")
        before = on.value(LSN)
        on.connection.execute(
            "DELETE FROM content_generation_tasks WHERE id IN (SELECT id FROM content_generation_tasks "
            "WHERE status = 'completed' ORDER BY completed_at LIMIT %s)",
            [tasks],
        )
        on.connection.execute("VACUUM content_generation_tasks")
        return float(on.value(LSN) - before) / 1000 / tasks


@contextmanager
def _unvacuumed(on: Bed) -> Iterator[None]:
    """Prevents autovacuum of the table, because its log must not be counted."""
    on.connection.execute("ALTER TABLE content_generation_tasks SET (autovacuum_enabled = off)")
    try:
        yield
    finally:
        on.connection.execute("ALTER TABLE content_generation_tasks RESET (autovacuum_enabled)")


@contextmanager
def _compressed(on: Bed) -> Iterator[None]:
    """Compresses whole pages in the log."""
    on.cluster.configure({"wal_compression": "on"})
    on.cluster.reload()
    try:
        yield
    finally:
        on.cluster.configure({"wal_compression": "off"})
        on.cluster.reload()


def _figure(what: str, limit: str = "empty table") -> Figure:
    return Figure(f"WAL beside 5 M finished, {what}", "kB/task", limit)


INSERT_SEVERAL = _figure(f"INSERT of {SEVERAL:,}")
WORK_SEVERAL = _figure(f"work on {SEVERAL:,}")
INSERT_MANY = _figure(f"INSERT of {MANY:,}")
WORK_MANY = _figure(f"work on {MANY:,}")
COMPRESSED = _figure(f"both, {SEVERAL:,}, wal_compression", "without")
CLEANED = _figure("clean-up and vacuum", "")

MEASUREMENTS = [
    Measurement(
        (INSERT_SEVERAL, WORK_SEVERAL, INSERT_MANY, WORK_MANY, COMPRESSED, CLEANED),
        _wal,
        once=True,
    )
]
