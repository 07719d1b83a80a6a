"""claim(): which tasks a worker gets, and in what order."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from tests.support.queue import Queue


def test_more_urgent_then_older_then_lower_id_comes_first(queue: Queue, worker: int) -> None:
    old, new = "2001-01-01", "2002-01-01"
    expected = {
        (10, new): queue.add(priority=10, submitted_at=new),
        (5, old): queue.add(priority=5, submitted_at=old),
        (5, new, 1): queue.add(priority=5, submitted_at=new),
        (5, new, 2): queue.add(priority=5, submitted_at=new),
        (1, old): queue.add(priority=1, submitted_at=old),
    }
    later = queue.add(priority=7, submitted_at=new)

    claimed = [row["id"] for row in queue.claim(worker, 10)]

    order = list(expected.values())
    assert claimed == [order[0], later, *order[1:]]


def test_order_holds_from_one_claim_to_the_next(queue: Queue, worker: int) -> None:
    old, new = "2001-01-01", "2002-01-01"
    later = [queue.add(submitted_at=new), queue.add(submitted_at=new)]
    urgent, older = queue.add(priority=9, submitted_at=new), queue.add(submitted_at=old)
    last = queue.add(priority=1, submitted_at=old)

    claimed = [queue.claim(worker, 1)[0]["id"] for _ in range(5)]

    assert claimed == [urgent, older, *later, last]


def test_claimed_task_is_processing_in_its_next_attempt(queue: Queue, worker: int) -> None:
    task = queue.add(completed_at="2001-01-01", cancel_requested_at="2001-01-01", attempt=7)
    before = queue.row(task)

    (claimed,) = queue.claim(worker)

    assert claimed["started_at"] is not None
    changed = {
        "status": "processing",
        "started_at": claimed["started_at"],
        "attempt": 8,
        "worker_id": worker,
        "completed_at": None,
        "cancel_requested_at": None,
    }
    volatile = {"xmin", "ctid", "updated_at"}
    after = queue.row(task)
    assert {**before, **changed, **{name: after[name] for name in volatile}} == after
    assert claimed == {name: value for name, value in after.items() if name not in {"xmin", "ctid"}}


def test_start_is_the_time_of_the_claim_and_not_of_the_transaction(queue: Queue, worker: int) -> None:
    queue.add()
    with queue.connection.transaction():
        queue.value("SELECT CURRENT_TIMESTAMP")
        (claimed,) = queue.claim(worker)
        assert queue.value("SELECT %s > CURRENT_TIMESTAMP", claimed["started_at"])


def test_task_is_handed_out_once(queue: Queue, worker: int) -> None:
    queue.add()

    assert len(queue.claim(worker, 10)) == 1
    assert queue.claim(worker, 10) == []
    assert queue.claim(queue.register(), 10) == []


@pytest.mark.parametrize("status", ["processing", "completed", "failed", "timeout"])
def test_only_pending_tasks_are_claimed(queue: Queue, worker: int, status: str) -> None:
    queue.add(status=status, started_at="2001-01-01", completed_at="2001-01-01")

    assert queue.claim(worker, 10) == []


@pytest.mark.parametrize("max_tasks", [0, -1, None])
def test_no_room_means_no_task(queue: Queue, worker: int, max_tasks: int | None) -> None:
    task = queue.add()
    before = queue.row(task)

    assert queue.claim(worker, max_tasks) == []
    assert queue.row(task) == before


PLANS = [
    "SET plan_cache_mode = force_generic_plan",
    "SET plan_cache_mode = force_custom_plan",
    "SET enable_nestloop = off",
    "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off",
    "SET enable_indexscan = off",
    "SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_tidscan = off",
    "SET enable_hashagg = off",
    "SET random_page_cost = 1000000",
    "SET seq_page_cost = 0; SET cpu_tuple_cost = 0",
    "SET max_parallel_workers_per_gather = 4; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; "
    "SET min_parallel_table_scan_size = 0",
]


@pytest.mark.parametrize("settings", PLANS)
def test_never_more_tasks_than_asked_for_whatever_the_plan(queue: Queue, worker: int, settings: str) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, priority) SELECT %s, 1 + n %% 10 "
        "FROM generate_series(1, 500) AS n",
        queue.account,
    )
    queue.run("ANALYZE content_generation_tasks")
    queue.connection.execute(settings.encode())

    sizes = [len(queue.claim(worker, size)) for size in (1, 2, 3, 5, 8, 13, 21, 34)]

    assert sizes == [1, 2, 3, 5, 8, 13, 21, 34]
    assert queue.value("SELECT count(*) FROM content_generation_tasks WHERE status = 'processing'") == sum(sizes)


def test_fewer_tasks_than_asked_for_are_all_claimed(queue: Queue, worker: int) -> None:
    tasks = [queue.add() for _ in range(3)]

    assert [row["id"] for row in queue.claim(worker, 100)] == tasks


def test_unknown_worker_is_told_so(queue: Queue) -> None:
    task = queue.add()
    before = queue.row(task)

    with pytest.raises(psycopg.Error, match="worker 999 is not registered") as refused:
        queue.claim(999)

    assert refused.value.sqlstate == "CQ001"
    assert "register_worker" in (refused.value.diag.message_hint or "")
    assert queue.row(task) == before


def test_worker_without_room_is_still_told_that_it_is_unknown(queue: Queue) -> None:
    with pytest.raises(psycopg.Error) as refused:
        queue.claim(999, 0)

    assert refused.value.sqlstate == "CQ001"


def test_categories_choose_tasks(queue: Queue, worker: int) -> None:
    news, blog, none = queue.add(category="news"), queue.add(category="blog"), queue.add()

    assert [row["id"] for row in queue.claim(worker, 10, ["news", "sport"])] == [news]
    assert queue.claim(worker, 10, []) == []
    assert [row["id"] for row in queue.claim(worker, 10)] == [blog, none]


def test_task_past_its_deadline_is_not_claimed(queue: Queue, worker: int) -> None:
    queue.add(timeout_at="2001-01-01", priority=10)
    in_time = queue.add(timeout_at="2999-01-01")

    assert [row["id"] for row in queue.claim(worker, 10)] == [in_time]


def test_task_that_someone_else_has_locked_is_passed_over(
    queue: Queue, connect_queue: Callable[[], Queue], worker: int
) -> None:
    first, second = queue.add(priority=10), queue.add()
    other = connect_queue()
    with other.connection.transaction():
        other.run("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", first)

        assert [row["id"] for row in queue.claim(worker, 10)] == [second]
    assert [row["id"] for row in queue.claim(worker, 10)] == [first]


def test_claim_that_is_rolled_back_leaves_the_task_for_others(queue: Queue, worker: int) -> None:
    task = queue.add()
    before = queue.row(task)
    with queue.connection.transaction(force_rollback=True):
        assert len(queue.claim(worker)) == 1

    after = queue.row(task)
    assert after == before


def test_named_tasks_are_claimed_and_no_others(queue: Queue, worker: int) -> None:
    urgent, named, also_named = queue.add(priority=10), queue.add(priority=1), queue.add(priority=2)

    assert queue.claim_named(worker, [named, also_named]) == [also_named, named]

    assert [queue.status(id_) for id_ in (urgent, named)] == ["pending", "processing"]
    assert (queue.row(named)["attempt"], queue.row(named)["worker_id"]) == (1, worker)


def test_named_task_is_claimed_whatever_it_waits_for(queue: Queue, worker: int) -> None:
    id_ = queue.add(scheduled_at="infinity")
    queue.run("UPDATE accounts SET paused_until = 'infinity'")
    queue.close_gate("*")

    assert queue.claim_named(worker, [id_]) == [id_]

    assert queue.row(id_)["scheduled_at"] is None


def test_named_tasks_that_are_not_pending_or_are_overdue_are_not_claimed(queue: Queue, worker: int) -> None:
    running, overdue = queue.running(), queue.add(timeout_at="2001-01-01")
    ended = queue.add(status="completed", completed_at="2001-01-01")

    assert queue.claim_named(worker, [running.id, overdue, ended, 2_000_000_000]) == []
    assert queue.claim_named(worker, []) == []


def test_no_more_named_tasks_are_claimed_than_asked_for(queue: Queue, worker: int) -> None:
    ids = [queue.add() for _ in range(3)]

    assert queue.claim_named(worker, ids, max_tasks=2) == ids[:2]


def test_named_task_that_someone_has_locked_is_not_waited_for(
    queue: Queue, worker: int, connect_queue: Callable[[], Queue]
) -> None:
    id_ = queue.add()
    other = connect_queue()
    with other.connection.transaction():
        other.run("SELECT FROM content_generation_tasks FOR UPDATE")
        queue.run("SET lock_timeout = '1ms'")
        assert queue.claim_named(worker, [id_]) == []


def test_unregistered_worker_claims_no_named_task(queue: Queue) -> None:
    with pytest.raises(psycopg.Error) as refused:
        queue.claim_named(999, [queue.add()])

    assert refused.value.sqlstate == "CQ001"
