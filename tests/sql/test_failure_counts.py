"""failure_counts: failed attempts by error class, whatever happened to their tasks."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.queue import Queue

COUNTS = "SELECT error_class, sum(attempts)::integer AS attempts FROM contentq.failure_counts GROUP BY 1"


READ = "SELECT pg_stat_get_xact_blocks_fetched('contentq.failure_counts'::regclass)"
"""Pages of the table read in this transaction."""


def counts(queue: Queue) -> dict[str, int]:
    return {row["error_class"]: row["attempts"] for row in queue.rows(COUNTS)}


def test_failed_attempts_are_counted_by_the_class_of_their_error(queue: Queue) -> None:
    for error_class in ("TemporaryError", "ValueError", "TemporaryError", None):
        task = queue.running()
        queue.fail(task, error_class=error_class)
        queue.run("DELETE FROM content_generation_tasks")
    queue.revise(queue.running())

    assert counts(queue) == {"CheckFailed": 1, "TemporaryError": 2, "ValueError": 1, "unknown": 1}


def test_attempts_that_end_well_or_are_put_off_are_not_counted(queue: Queue) -> None:
    worker = queue.register()
    queue.complete(worker, [queue.running(worker)])
    queue.snooze(queue.running(worker))

    assert counts(queue) == {}


def test_failure_that_another_session_is_counting_is_not_waited_for(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    queue.fail(queue.running(max_retries=0), error_class="ValueError")
    other = connect_queue()
    with other.connection.transaction():
        other.run("SELECT FROM contentq.failure_counts FOR UPDATE")
        queue.fail(queue.running(max_retries=0), error_class="ValueError")
        assert counts(queue) == {"ValueError": 2}
    queue.fail(queue.running(max_retries=0), error_class="ValueError")

    assert counts(queue) == {"ValueError": 3}
    assert queue.value("SELECT count(*) FROM contentq.failure_counts") == 2


def test_classes_beyond_a_hundred_are_counted_as_other(queue: Queue) -> None:
    for number in range(103):
        queue.run("SELECT contentq.count_failure(%s)", f"Error{number:03}")
    queue.run("SELECT contentq.count_failure('Error000')")
    queue.run("SELECT contentq.count_failure(%s)", "x" * 10_000)

    found = counts(queue)
    assert len(found) == 101
    assert (found["other"], found["Error000"]) == (4, 2)


def test_counting_beside_an_old_snapshot_does_not_read_all_that_was_counted_since(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    queue.run("SELECT contentq.count_failure('ValueError')")
    with connect_queue().connection.transaction() as old:
        old.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.connection.execute("SELECT FROM contentq.failure_counts")
        for _ in range(6):
            queue.run(
                "DO $$ BEGIN FOR n IN 1..500 LOOP "
                "PERFORM contentq.count_failure('ValueError'); COMMIT; END LOOP; END $$"
            )
        queue.run("SELECT pg_stat_force_next_flush()")

        with queue.connection.transaction():
            before = queue.value(READ)
            queue.run("SELECT contentq.count_failure('ValueError')")
            assert queue.value(READ) - before < 10

    assert counts(queue) == {"ValueError": 3002}
