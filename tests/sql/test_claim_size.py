"""claim() returns at most 16 MB of text, and at least one task."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.sql.test_claim_beside_old_snapshot import heads, remember
from tests.support.queue import Held, Queue

pytestmark = pytest.mark.slow

MB = 1_000_000


@pytest.fixture(autouse=True)
def _no_limit(queue: Queue) -> None:
    queue.run("UPDATE contentq.settings SET max_text_bytes = 500000000")


def large(queue: Queue, megabytes: int, priority: int = 5) -> int:
    """Inserts a task with this text, which compresses well."""
    insert = (
        "INSERT INTO content_generation_tasks (account_id, priority, requirements) "
        "VALUES (%s, %s, repeat('x', %s)) RETURNING id"
    )
    return int(queue.value(insert, queue.account, priority, megabytes * MB))


def claimed(queue: Queue, worker: int, max_tasks: int = 100) -> list[int]:
    """Claims without reading the texts; the ids in order."""
    return queue.values("SELECT id FROM contentq.claim(%s, %s)", worker, max_tasks)


def test_what_is_over_the_bound_is_handed_out_by_the_next_claims(queue: Queue, worker: int) -> None:
    ids = [large(queue, 5) for _ in range(7)]

    assert [claimed(queue, worker) for _ in range(4)] == [ids[:3], ids[3:6], ids[6:], []]


def test_next_claim_is_due_at_once_while_something_is_left(queue: Queue, worker: int) -> None:
    for _ in range(4):
        large(queue, 5)

    first, wait = queue.claim_and_wait(worker, 100)
    assert (len(first), wait) == (3, timedelta(milliseconds=5))

    rest, wait = queue.claim_and_wait(worker, 100)
    assert (len(rest), wait) == (1, None)


def test_task_over_the_bound_is_handed_out_alone(queue: Queue, worker: int) -> None:
    first, second = large(queue, 20), large(queue, 20)
    last = queue.add()

    assert [claimed(queue, worker) for _ in range(3)] == [[first], [second], [last]]


def test_large_task_is_not_passed_over_for_smaller_ones_behind_it(queue: Queue, worker: int) -> None:
    small = [queue.add(priority=9), queue.add(priority=9)]
    big = large(queue, 17, priority=8)
    behind = queue.add(priority=7)

    assert [claimed(queue, worker) for _ in range(3)] == [small, [big], [behind]]


@pytest.mark.parametrize("column", ["error_message", "result", "attempt_errors"])
def test_every_text_of_a_row_counts(queue: Queue, worker: int, column: str) -> None:
    text = "x" * (9 * MB)
    value = {"result": f'"{text}"', "attempt_errors": f'[{{"message": "{text}"}}]'}.get(column, text)
    ids = [queue.add(**{column: value}) for _ in range(2)]

    assert [claimed(queue, worker) for _ in range(2)] == [ids[:1], ids[1:]]


def test_content_of_an_earlier_attempt_counts(queue: Queue, worker: int) -> None:
    ids = []
    for _ in range(2):
        task = queue.running(worker)
        assert queue.store(worker, [task], bodies=["x" * (9 * MB)])
        queue.run("UPDATE contents SET review_status = 'rejected'")
        queue.requeue(task.id)
        queue.set(task.id, scheduled_at="infinity")
        ids.append(task.id)
    queue.run("UPDATE content_generation_tasks SET scheduled_at = NULL")

    assert [claimed(queue, worker) for _ in range(2)] == [ids[:1], ids[1:]]


def test_named_tasks_are_bounded_too(queue: Queue, worker: int) -> None:
    ids = [large(queue, 9) for _ in range(3)]

    assert [queue.claim_named(worker, ids) for _ in range(4)] == [[ids[0]], [ids[1]], [ids[2]], []]


def test_nothing_is_lost_when_a_worker_remembers_how_far_it_has_come(queue: Queue, worker: int) -> None:
    ids = [large(queue, 6) for _ in range(8)]
    more = [queue.add() for _ in range(3)]

    found: list[int] = []
    remember(queue, {})
    while batch := claimed(queue, worker):
        found += batch
        remember(queue, heads(queue))

    assert found == ids + more


def test_what_is_left_stays_ready_for_another_worker(queue: Queue, worker: int) -> None:
    ids = [large(queue, 9) for _ in range(2)]
    claimed(queue, worker)

    assert queue.status(ids[1]) == "pending"
    assert claimed(queue, queue.register()) == ids[1:]


def test_ordinary_claim_is_as_large_as_it_was_asked_for(queue: Queue, worker: int) -> None:
    account = queue.account
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, topic, requirements) "
        "SELECT %s, repeat('t', 500), repeat('r', 2000) FROM generate_series(1, 2000)",
        account,
    )

    assert len(claimed(queue, worker, 1000)) == 1000


def test_large_text_that_is_stored_apart_is_not_read_to_measure_it(queue: Queue, worker: int) -> None:
    """Reads the size without the text: of 5 tasks, not even the claimed one is read."""
    for _ in range(5):
        large(queue, 20)
    reads = "SELECT pg_stat_get_xact_tuples_fetched(reltoastrelid) FROM pg_class WHERE relname = %s"
    with queue.connection.transaction():
        before = queue.value(reads, "content_generation_tasks")
        assert len(claimed(queue, worker)) == 1
        assert queue.value(reads, "content_generation_tasks") == before


def test_outcomes_of_a_bounded_claim_count_as_ever(queue: Queue, worker: int) -> None:
    large(queue, 12)
    large(queue, 12)
    rows = [row for _ in range(2) for row in queue.claim(worker, 10)]

    done = queue.complete(worker, [Held(worker, row["id"], row["attempt"]) for row in rows])

    assert len(done) == 2
