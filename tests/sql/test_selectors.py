"""matching_tasks(), and the operations on all selected tasks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.support.plans import scans
from tests.support.queue import Held, Queue

PAST = "2001-01-01"
MANY = 20_000
"""Tasks that a call must not scan."""

OPERATIONS = ("requeue", "cancel", "delete")

SELECTORS: dict[str, Any] = {
    "status": "failed",
    "account_id": 2,
    "category": "news",
    "batch": "spring",
    "since": "2020-01-01",
    "until": "2020-01-01",
    "error": "Timed OUT",
    "worker_id": 7,
}
"""Each selector with a value that the task named match has and the task named other lacks."""

MATCH: dict[str, dict[str, Any]] = {
    "status": {"status": "failed"},
    "account_id": {"account_id": 2},
    "category": {"category": "news"},
    "batch": {"batch": "spring"},
    "since": {"submitted_at": "2020-01-01"},
    "until": {"submitted_at": "2019-12-31"},
    "error": {"status": "failed", "error_message": "it timed out after 7 s"},
    "worker_id": {"status": "processing", "started_at": PAST, "worker_id": 7},
}

OTHER: dict[str, dict[str, Any]] = {
    "status": {"status": "timeout"},
    "account_id": {"account_id": 1},
    "category": {},
    "batch": {"batch": "Spring"},
    "since": {"submitted_at": "2019-12-31"},
    "until": {"submitted_at": "2020-01-01"},
    "error": {"status": "failed", "error_message": "it broke"},
    "worker_id": {"status": "processing", "started_at": PAST, "worker_id": 8},
}


def matching(queue: Queue, **selectors: Any) -> list[int]:
    return queue.values(f"SELECT contentq.matching_tasks({_named(selectors)})", *selectors.values())


def step(queue: Queue, operation: str, **selectors: Any) -> tuple[int, int | None, int]:
    """One call: the number changed, the position of the next call, and the number skipped because of locks."""
    query = f"SELECT tasks, last_id, locked FROM contentq.{operation}_matching({_named(selectors)})"
    (row,) = queue.rows(query, *selectors.values())
    return row["tasks"], row["last_id"], row["locked"]


def steps(queue: Queue, operation: str, **selectors: Any) -> Iterator[int]:
    """Calls until all tasks are done; the number that each has changed."""
    changed, after, _ = step(queue, operation, **selectors)
    yield changed
    while after is not None:
        changed, after, _ = step(queue, operation, **{**selectors, "after_id": after})
        yield changed


def counts(queue: Queue, **selectors: Any) -> dict[str, int]:
    query = f"SELECT * FROM contentq.count_matching({_named(selectors)})"
    return {row["task_status"]: row["tasks"] for row in queue.rows(query, *selectors.values())}


def fill(queue: Queue, number: int, **columns: str) -> None:
    """Inserts this many tasks; columns are expressions on the counter n."""
    queue.run(
        f"INSERT INTO content_generation_tasks (account_id, {', '.join(columns)}) "
        f"SELECT %s, {', '.join(columns.values())} FROM generate_series(1, %s) AS n",
        queue.account,
        number,
    )


def _named(selectors: dict[str, Any]) -> str:
    return ", ".join(f"{name} => %s{'::bigint' if name.endswith('_id') else ''}" for name in selectors)


@pytest.fixture
def accounts(queue: Queue) -> None:
    """Accounts 1 and 2."""
    queue.run("INSERT INTO accounts (id, name) VALUES (1, 'Ada'), (2, 'Grace')")


@pytest.fixture
def each_status(queue: Queue) -> dict[str, int]:
    """A task of each status; the ids."""
    return {
        "pending": queue.add(),
        "processing": queue.add(status="processing", started_at=PAST),
        "completed": queue.add(status="completed", completed_at=PAST),
        "failed": queue.add(status="failed"),
        "timeout": queue.add(status="timeout"),
    }


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize("selector", SELECTORS)
def test_selector_finds_what_fits_and_nothing_else(queue: Queue, selector: str) -> None:
    match = queue.add(**{"account_id": 1, **MATCH[selector]})
    queue.add(**{"account_id": 1, **OTHER[selector]})

    assert matching(queue, **{selector: SELECTORS[selector]}) == [match]


@pytest.mark.usefixtures("accounts")
def test_task_must_fit_all_selectors(queue: Queue) -> None:
    tasks = [
        queue.add(account_id=account, category=category, status=status)
        for account in (1, 2)
        for category in ("news", "blog")
        for status in ("failed", "pending")
    ]

    assert matching(queue, account_id=2, category="news", status="failed") == [tasks[4]]
    assert matching(queue) == tasks


def test_failed_task_is_of_the_worker_that_ran_it_last(queue: Queue) -> None:
    first = queue.running(max_retries=1)
    queue.fail(first)
    queue.set(first.id, scheduled_at=None)
    second = queue.register()
    claimed = queue.claim(second)[0]
    queue.fail(Held(second, claimed["id"], claimed["attempt"]))

    assert queue.status(first.id) == "failed"
    assert matching(queue, worker_id=second) == [first.id]
    assert matching(queue, worker_id=first.worker) == []


@pytest.mark.parametrize(
    "error", ["answered #: <text> is gone, see <text>", "IS GONE", "answered 503", "%", "_", '"c"', "\\", "it's"]
)
def test_error_is_a_part_of_the_message_or_its_kind(queue: Queue, error: str) -> None:
    task = queue.add(status="failed", error_message="""answered 503: 'a' is gone, see "c\"""")
    queue.add(status="failed", error_message="something else")
    special = queue.add(status="failed", error_message=r"100 % _ \ it's")

    expected = {"%": special, "_": special, "\\": special, "it's": special}.get(error, task)
    assert matching(queue, error=error) == [expected]


def test_pages_go_on_after_the_last_id(queue: Queue) -> None:
    tasks = [queue.add() for _ in range(5)]

    assert matching(queue, max_tasks=2) == tasks[:2]
    assert matching(queue, max_tasks=2, after_id=tasks[1]) == tasks[2:4]
    assert matching(queue, max_tasks=None) == tasks


@pytest.mark.parametrize(
    ("operation", "changes"),
    [
        (None, ["pending", "processing", "completed", "failed", "timeout"]),
        ("requeue", ["failed", "timeout"]),
        ("cancel", ["pending", "processing"]),
        ("delete", ["pending", "completed", "failed", "timeout"]),
    ],
)
def test_operation_is_done_to_tasks_that_it_applies_to(
    queue: Queue, each_status: dict[str, int], operation: str | None, changes: list[str]
) -> None:
    account = queue.account
    assert counts(queue, account_id=account, operation=operation) == dict.fromkeys(changes, 1)
    if operation is None:
        return
    before = {status: queue.row(id_) for status, id_ in each_status.items()}

    assert step(queue, operation, account_id=account) == (len(changes), None, 0)

    left = {row["id"]: row for row in queue.rows("SELECT xmin::text, ctid::text, * FROM content_generation_tasks")}
    unchanged = {status for status, row in before.items() if left.get(row["id"]) == row}
    assert unchanged == each_status.keys() - set(changes)


@pytest.mark.parametrize("operation", ["requeue", "cancel"])
def test_each_task_becomes_what_it_would_become_alone(queue: Queue, operation: str) -> None:
    """requeue() and cancel() leave a task in the same state as the operation on all."""
    held = [queue.running() for _ in range(2)]
    columns = {"retry_count": 3, "error_message": "It broke", "timeout_at": PAST, "revision_count": 2}
    failed = [queue.add(status="failed", **columns) for _ in range(2)]
    scheduled = [queue.add(scheduled_at="2999-01-01") for _ in range(2)]
    pairs = [scheduled, [task.id for task in held]] if operation == "cancel" else [failed]
    for alone, together in pairs:
        assert queue.requeue(alone, "note") if operation == "requeue" else queue.cancel(alone)
        queue.set(together, batch="all")

    note = {"note": "note"} if operation == "requeue" else {}
    assert step(queue, operation, batch="all", **note) == (len(pairs), None, 0)

    own = {"id", "task_id", "ctid", "xmin", "batch", "worker_id", "cancel_requested_at"}
    times = {"submitted_at", "created_at", "ready_at", "started_at", "updated_at"}
    for alone, together in pairs:
        first, second = queue.row(alone), queue.row(together)
        shared = first.keys() - own - times
        assert {name: first[name] for name in shared} == {name: second[name] for name in shared}
        assert (first["cancel_requested_at"] is None) == (second["cancel_requested_at"] is None)


def test_rejected_content_is_put_back_when_completed_tasks_are_asked_for(queue: Queue) -> None:
    rejected, approved = queue.running(batch="all"), queue.running(batch="all")
    for task in (rejected, approved):
        queue.store(task.worker, [task])
    queue.run("UPDATE contents SET review_status = 'rejected' WHERE title = %s", f"Title {rejected.id}")

    assert step(queue, "requeue", batch="all") == (0, None, 0)
    assert counts(queue, batch="all", status="completed", operation="requeue") == {"completed": 1}
    assert step(queue, "requeue", batch="all", status="completed") == (1, None, 0)
    assert (queue.status(rejected.id), queue.status(approved.id)) == ("pending", "completed")


def test_deleted_tasks_leave_their_content(queue: Queue) -> None:
    task = queue.running()
    queue.store(task.worker, [task])

    assert step(queue, "delete", status="completed") == (1, None, 0)
    assert queue.value("SELECT count(*) FROM contents") == 1


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_needs_a_selector(queue: Queue, each_status: dict[str, int], operation: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="no selector") as caught:
        step(queue, operation)
    assert (
        caught.value.diag.message_hint
        == "Pass at least one selector, such as status or batch. To select all tasks: since => '-infinity'."
    )

    assert step(queue, operation, since="-infinity")[0] > 0


@pytest.mark.parametrize(
    ("operation", "status"), [("requeue", "pending"), ("cancel", "completed"), ("delete", "processing")]
)
def test_status_that_an_operation_does_not_apply_to_is_refused(queue: Queue, operation: str, status: str) -> None:
    with pytest.raises(
        psycopg.errors.InvalidParameterValue, match=f"cannot {operation} tasks with status '{status}'"
    ):
        step(queue, operation, status=status)
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="cannot select tasks with status 'no'"):
        matching(queue, status="no")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_steps_change_each_task_once_though_new_ones_match_again(
    queue: Queue, worker: int, operation: str
) -> None:
    """Requeued tasks fail at once, and cancelled ones are submitted again: a run must still end."""
    status = "pending" if operation == "cancel" else "failed"
    fill(queue, 25, status=f"'{status}'", batch="'all'", max_retries="0")
    changed, after, rounds = 0, None, 0
    while rounds == 0 or after is not None:
        tasks, after, _ = step(queue, operation, batch="all", max_tasks=10, after_id=after)
        changed += tasks
        rounds += 1
        if operation == "requeue":
            for row in queue.claim(worker, 100):
                assert queue.fail(Held(worker, row["id"], row["attempt"])) == "failed"
        elif after is not None:
            queue.run(
                "UPDATE content_generation_tasks SET status = 'pending' WHERE batch = 'all' AND id <= %s", after
            )

    assert (changed, rounds) == (25, 3)


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
def test_task_that_someone_has_locked_is_left_and_counted(
    queue: Queue, connect_queue: Callable[[], Queue], operation: str
) -> None:
    status = "pending" if operation == "cancel" else "failed"
    tasks = [queue.add(status=status, batch="all") for _ in range(3)]
    other = connect_queue()
    with other.connection.transaction():
        other.run("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", tasks[1])

        assert step(queue, operation, batch="all") == (2, None, 1)

    assert matching(queue, batch="all", status=status) == [tasks[1]]
    assert step(queue, operation, batch="all", status=status) == (1, None, 0)


@pytest.mark.slow
def test_task_that_is_claimed_meanwhile_is_not_deleted(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    """The step waits for the claim and reads the task again.

    If the machine stalls for longer than the second that it waits, it skips the task and reports that.
    """
    claimed, waits = queue.add(priority=10, batch="all"), queue.add(batch="all")
    worker = queue.register()
    other = connect_queue()
    done: list[tuple[int, int | None, int]] = []
    with other.connection.transaction():
        assert [row["id"] for row in other.claim(worker, 1)] == [claimed]
        deleting = threading.Thread(target=lambda: done.append(step(queue, "delete", batch="all")))
        deleting.start()
        wait_for_lock = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
        while not other.value(wait_for_lock, "%delete_matching%") and deleting.is_alive():
            deleting.join(0.01)
    deleting.join(10)

    assert done in ([(1, None, 0)], [(1, None, 1)])
    assert matching(queue, batch="all") == [claimed]
    assert queue.status(claimed) == "processing"
    assert waits not in matching(queue)


@pytest.mark.newest
def test_steps_beside_a_worker_lose_nothing(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    """While one session cancels and another claims and completes, each task ends once, and neither waits."""
    fill(queue, 600, batch="'all'")
    other, worker = connect_queue(), queue.register()
    completed: list[int] = []
    refused: list[int] = []
    is_over = threading.Event()

    def work() -> None:
        while not is_over.is_set():
            claimed = [Held(worker, row["id"], row["attempt"]) for row in other.claim(worker, 20)]
            counted = other.complete(worker, claimed)
            completed.extend(counted)
            refused.extend({task.id for task in claimed} - {*counted})

    working = threading.Thread(target=work)
    working.start()
    try:
        cancelled = sum(steps(queue, "cancel", batch="all", max_tasks=50))
    finally:
        is_over.set()
        working.join(30)

    ended = counts(queue, batch="all")
    assert ended == {name: tasks for name, tasks in ended.items() if name in {"completed", "failed"}}
    assert ended.get("completed", 0) == len(completed)
    assert ended["failed"] == cancelled
    assert not {*refused} & {*completed}


@pytest.mark.slow
@pytest.mark.newest
def test_step_reads_what_it_changes_whatever_else_is_there(queue: Queue) -> None:
    """An index finds failed tasks among many others, with and without statistics."""
    fill(queue, MANY, status="'completed'", completed_at="now()")
    fill(queue, 300, status="'failed'", batch="'all'", error_message="'answered ' || n")
    fill(queue, MANY, status="'completed'", completed_at="now()")
    for _ in range(2):
        for selectors in ("status => 'failed'", "batch => 'all'", "error => 'answered #', status => 'failed'"):
            for operation in ("requeue", "delete"):
                read = scans(
                    queue, f"SELECT * FROM contentq.{operation}_matching({selectors}, max_tasks => 100)", undo=True
                )
                assert read.sequential == 0, (operation, selectors, read)
                assert read.rows <= 6 * 300, (operation, selectors, read)
                assert read.changed == 100
        queue.run("ANALYZE content_generation_tasks")


@pytest.mark.slow
@pytest.mark.newest
def test_rows_read_of_all_steps_grow_with_the_tasks(queue: Queue) -> None:
    """A step does not start from the beginning."""
    fill(queue, MANY, status="'failed'")
    queue.run("ANALYZE content_generation_tasks")
    last = queue.value("SELECT max(id) FROM content_generation_tasks")

    read = scans(
        queue,
        "SELECT * FROM contentq.requeue_matching(status => 'failed', after_id => %s, max_tasks => 100)",
        last - 200,
        undo=True,
    )
    assert (read.changed, read.sequential) == (100, 0)
    assert read.rows <= 600


@pytest.mark.slow
@pytest.mark.newest
@pytest.mark.parametrize("operation", ["requeue", "cancel"])
def test_hundred_thousand_are_changed_in_short_steps(queue: Queue, operation: str) -> None:
    """No step holds its locks for long, including the last."""
    number = 100_000
    status = "pending" if operation == "cancel" else "failed"
    fill(queue, number, status=f"'{status}'")
    queue.run("CREATE TEMP TABLE took AS SELECT NULL::interval AS took, NULL::bigint AS tasks WHERE false")
    queue.run(f"""
        DO $$
        DECLARE
            after bigint;
            tasks bigint;
            began timestamptz;
        BEGIN
            LOOP
                began := clock_timestamp();
                SELECT m.tasks, m.last_id INTO tasks, after
                FROM contentq.{operation}_matching(status => '{status}', after_id => after) AS m;
                COMMIT;
                INSERT INTO took VALUES (clock_timestamp() - began, tasks);
                EXIT WHEN after IS NULL;
            END LOOP;
        END;
        $$""")

    assert queue.value("SELECT sum(tasks) FROM took") == number
    assert queue.value("SELECT max(tasks) FROM took") == 1000
    assert queue.value("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY took) < '1 second' FROM took")
