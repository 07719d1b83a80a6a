"""Lifecycle of workers: register_worker(), drain_worker(), deregister_worker()."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.queue import Held, Queue


def claimed(queue: Queue, worker: int, count: int) -> list[Held]:
    for _ in range(count):
        queue.add()
    return [Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker, count)]


def deregister(queue: Queue, worker: int) -> list[int]:
    return sorted(queue.values("SELECT contentq.deregister_worker(%s)", worker))


def test_worker_is_registered_with_what_it_says_of_itself(queue: Queue) -> None:
    id_ = queue.value("SELECT contentq.register_worker('host', 42, 8, 'my:handler', 'openai', '1.2')")

    (row,) = queue.rows("SELECT * FROM contentq.workers")
    assert row == {
        "id": id_,
        "hostname": "host",
        "pid": 42,
        "started_at": row["started_at"],
        "heartbeat_at": row["heartbeat_at"],
        "slots": 8,
        "busy": 0,
        "handler": "my:handler",
        "gate": "openai",
        "version": "1.2",
        "draining": False,
        "login": queue.value("SELECT session_user::text"),
        "categories": None,
        "gates": None,
    }
    assert queue.value("SELECT clock_timestamp() - %s < interval '10 seconds'", row["heartbeat_at"])


def test_id_of_a_worker_is_never_used_twice(queue: Queue) -> None:
    first = queue.register()
    deregister(queue, first)

    assert queue.register() != first


def test_worker_claims_the_categories_that_it_is_registered_with(queue: Queue) -> None:
    blog, news, _other = (queue.add(category=category) for category in ("blog", "news", None))
    register = "SELECT contentq.register_worker('host', 42, 8, 'my:handler', categories => %s)"
    worker = queue.value(register, ["blog", "news"])

    assert queue.values("SELECT categories FROM contentq.workers") == [["blog", "news"]]
    assert [row["id"] for row in queue.claim(worker, 10, ["news"])] == [news]
    assert [row["id"] for row in queue.claim(worker, 10)] == [blog]


def test_worker_of_no_category_at_all_is_refused(queue: Queue) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        queue.run("SELECT contentq.register_worker('host', 42, 8, 'my:handler', categories => '{}')")


def test_what_a_worker_remembers_is_gone_with_it(queue: Queue, worker: int) -> None:
    assert queue.values("SELECT worker_id FROM contentq.claimers") == [worker]

    deregister(queue, worker)

    assert queue.values("SELECT worker_id FROM contentq.claimers") == []


def test_worker_without_slots_is_refused(queue: Queue) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        queue.register(slots=0)


def test_draining_worker_is_marked_and_keeps_its_tasks(queue: Queue) -> None:
    task = queue.running()

    queue.run("SELECT contentq.drain_worker(%s)", task.worker)

    assert queue.values("SELECT draining FROM contentq.workers") == [True]
    assert queue.complete(task.worker, [task]) == [task.id]


def test_draining_an_unknown_worker_is_no_error(queue: Queue) -> None:
    queue.run("SELECT contentq.drain_worker(999)")


def test_worker_that_leaves_gives_its_tasks_back_and_is_removed(queue: Queue, worker: int) -> None:
    staying, tasks = queue.running(), claimed(queue, worker, 3)
    before = queue.row(staying.id)

    assert deregister(queue, worker) == [task.id for task in tasks]

    rows = [queue.row(task.id) for task in tasks]
    assert {(row["status"], row["retry_count"], row["worker_id"]) for row in rows} == {("pending", 0, None)}
    assert queue.values("SELECT id FROM contentq.workers") == [staying.worker]
    assert queue.row(staying.id) == before


def test_worker_that_leaves_takes_its_mark_from_tasks_that_were_taken_away(queue: Queue) -> None:
    task = queue.running()
    queue.set(task.id, timeout_at="2001-01-01")
    queue.sweep()

    assert deregister(queue, task.worker) == []
    assert queue.row(task.id)["worker_id"] is None
    assert queue.status(task.id) == "timeout"


def test_unknown_worker_can_leave(queue: Queue) -> None:
    assert deregister(queue, 999) == []


def test_worker_that_row_security_keeps_from_rows_is_warned(queue: Queue) -> None:
    """The functions run with the rights of their owner: a restricted owner is warned, an unaffected one is not."""
    said: list[str] = []
    queue.connection.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
    queue.run("ALTER TABLE accounts ENABLE ROW LEVEL SECURITY")
    queue.register()
    assert said == []

    name = queue.value("SELECT 'contentq_test_' || current_database()")
    queue.run(f"CREATE ROLE {name}")
    try:
        queue.run(f"GRANT ALL ON contentq.workers, contentq.claimers TO {name}")
        queue.run(f"GRANT USAGE ON SCHEMA contentq, {queue.schema} TO {name}")
        queue.run("ALTER TABLE content_generation_tasks ENABLE ROW LEVEL SECURITY")
        queue.run(f"GRANT SELECT ON contentq.settings TO {name}")
        called = "contentq.warn_of_row_security, contentq.shorten, contentq.refuse_many_workers"
        queue.run(f"GRANT EXECUTE ON FUNCTION {called} TO {name}")
        queue.run(f"ALTER FUNCTION contentq.register_worker OWNER TO {name}")
        queue.register()
    finally:
        queue.run(f"REASSIGN OWNED BY {name} TO CURRENT_USER")
        queue.run(f"DROP OWNED BY {name}")
        queue.run(f"DROP ROLE {name}")

    assert said == [
        f"row level security is on for content_generation_tasks, accounts: role {name} sees only the rows that "
        "a policy allows; give it a policy for all rows, or BYPASSRLS"
    ]
