"""Whether the rate of a drain depends on other tasks in the table: pending behind it, scheduled, finished."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.bench.bed import Bed, wait_for
from tests.bench.drain import TASKS
from tests.bench.figures import Figure, Measurement, Reading, at_least

URGENT = "2 + n % 9"
"""The priorities of the drained tasks; the tasks behind them have the lowest."""


def _load_behind(on: Bed) -> None:
    _load(on, 1_000_000, "account_id, topic, priority", "1, 'Behind', 1")


def _load_scheduled(on: Bed) -> None:
    columns = "account_id, topic, priority, scheduled_at"
    _load(on, 1_000_000, columns, "1, 'Tomorrow', 10, now() + interval '1 day' + n * interval '1 millisecond'")


def _load_finished(on: Bed) -> None:
    # Younger than 30 days, so that they are not cleaned up.
    columns = "account_id, topic, status, priority, attempt, submitted_at, started_at, completed_at, result"
    ended = "now() - interval '20 days' + n * interval '0.3 seconds'"
    values = f"1, 'Done', 'completed', 1 + n % 10, 1, {ended}, {ended}, {ended}, '{{\"success\": true}}'"
    _load(on, 5_000_000, columns, values)


def _load(on: Bed, tasks: int, columns: str, values: str) -> None:
    # Task ids in index order insert quickly, and are as random as any. Without triggers, no foreign key is
    # checked and no worker is woken.
    insert = f"""
        INSERT INTO content_generation_tasks (task_id, {columns})
        SELECT task_id, {values}
        FROM (SELECT row_number() OVER (ORDER BY task_id) AS n, task_id
              FROM (SELECT 'task-' || encode(uuid_send(gen_random_uuid()), 'hex') AS task_id
                    FROM generate_series(1, {on.sized(tasks)})) AS made) AS sorted"""
    on.connection.execute("SET session_replication_role = replica")
    on.connection.execute(insert.encode())
    on.connection.execute("RESET session_replication_role")
    on.connection.execute("VACUUM (ANALYZE)")


def _rate(on: Bed) -> float:
    """Tasks per second of a worker process, which is stopped after the last one."""
    tasks = on.sized(TASKS)
    # The first change of a page after a checkpoint logs the whole page. Most tasks are inserted and completed
    # between the same two checkpoints, so the INSERT pays for it.
    on.connection.execute("CHECKPOINT")
    first = on.add(tasks, URGENT)
    last = on.value("SELECT max(id) FROM content_generation_tasks WHERE id >= %s AND priority = 2", first)
    status = "SELECT status FROM content_generation_tasks WHERE id = %s"
    waiting = "SELECT count(*) FROM content_generation_tasks WHERE id BETWEEN %s AND %s AND status <> 'completed'"
    with on.worker("tests.bench.handlers:nothing"):
        wait_for(lambda: on.value(status, last) == "completed", within=120)
        wait_for(lambda: not on.value(waiting, first, first + tasks - 1), within=10)
    return on.rate(tasks, first)


def _beside(on: Bed, name: str, load: Callable[[Bed], None], figure: Figure) -> Iterator[Reading]:
    shape = on.beside(name, load)
    on.fill(0)
    alone = _rate(on)
    yield Reading(figure, _rate(shape), alone)


def _behind(on: Bed) -> Iterator[Reading]:
    return _beside(on, "behind", _load_behind, BEHIND)


def _scheduled(on: Bed) -> Iterator[Reading]:
    return _beside(on, "scheduled", _load_scheduled, SCHEDULED)


def finished(on: Bed) -> Bed:
    """The database with 5 million finished tasks."""
    return on.beside("finished", _load_finished)


def _finished(on: Bed) -> Iterator[Reading]:
    return _beside(on, "finished", _load_finished, FINISHED)


BEHIND = Figure("backlog, 1 M more behind", "tasks/s", "without them", ratio=at_least(0.9))
SCHEDULED = Figure("backlog, 1 M for tomorrow", "tasks/s", "without them", ratio=at_least(0.9))
FINISHED = Figure("backlog, 5 M finished", "tasks/s", "without them", ratio=at_least(0.9))

MEASUREMENTS = [
    Measurement((BEHIND,), _behind),
    Measurement((SCHEDULED,), _scheduled),
    Measurement((FINISHED,), _finished),
]
