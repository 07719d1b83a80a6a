"""Provider batches in plain SQL: requests, batches, answers and results, and the rights needed."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.sql.batches import answer, ask, asked, next_batch, open_batch, snooze
from tests.support.queue import Held, Queue


def test_task_asks_waits_and_takes_its_answer(queue: Queue) -> None:
    worker = queue.register()
    [task] = asked(queue, worker)
    batch = open_batch(queue, worker)
    note = (
        "SELECT contentq.note_batch(%s, %s, %s, provider_id => 'batch_1', status => 'in_progress', due_in => '0')"
    )
    queue.run(note, worker, batch["id"], batch["tending"])
    assert queue.row(task.id)["handler_state"] == {"asked_by_attempt": 1, "batch": "batch_1"}
    due = next_batch(queue, worker)
    assert (due["provider_id"], due["wanted"], due["tending"]) == ("batch_1", 1, 2)

    assert answer(queue, worker, due, [task]) == 1

    [row] = queue.claim(worker)
    assert (row["id"], row["attempt"]) == (task.id, 2)
    take = "SELECT model, body, status_code, answer FROM contentq.batch_answer(%s, %s, %s)"
    taken = {"model": "small", "body": '{"model": "small"}', "status_code": 200, "answer": "{}"}
    assert queue.rows(take, worker, task.id, 2) == [taken]
    assert queue.rows(take, worker, task.id, 1) == []
    # Again, for an attempt after one whose worker died.
    assert queue.release(worker, [Held(worker, task.id, 2)]) == [task.id]
    queue.claim(worker)
    assert queue.rows(take, worker, task.id, 3) == [taken]
    queue.complete(worker, [Held(worker, task.id, 3)])
    assert queue.value("SELECT contentq.sweep_batches(%s)", worker) == 1


def test_answer_that_came_is_not_replaced_by_another(queue: Queue) -> None:
    worker = queue.register()
    [task] = asked(queue, worker)
    batch = open_batch(queue, worker)
    assert answer(queue, worker, batch, [task], '{"cost": 1}') == 1

    assert answer(queue, worker, batch, [task], '{"cost": 2}') == 0

    assert queue.values("SELECT usage FROM contentq.batch_requests") == ['{"cost": 1}']


def test_stale_attempt_cannot_ask(queue: Queue) -> None:
    task = queue.running()

    assert not ask(queue, Held(task.worker, task.id, task.attempt + 1))
    queue.run("SELECT contentq.cancel(task_id) FROM content_generation_tasks")
    assert not ask(queue, task)

    assert queue.value("SELECT count(*) FROM contentq.batch_requests") == 0


def test_answer_is_lost_to_an_attempt_that_was_judged(queue: Queue) -> None:
    worker = queue.register()
    [task] = asked(queue, worker)
    answer(queue, worker, open_batch(queue, worker), [task])
    queue.claim(worker)

    queue.run("SELECT contentq.fail(%s, %s, 2, 'empty', retry_after => '0', state => '{}')", worker, task.id)

    queue.claim(worker)
    assert queue.rows("SELECT * FROM contentq.batch_answer(%s, %s, 3)", worker, task.id) == []


@pytest.mark.parametrize(
    "call",
    [
        "contentq.hold_batch({0})",
        "contentq.note_batch({0}, status => 'x')",
        "contentq.close_batch({0}, 'completed')",
        "contentq.answer_batch({0}, '{{}}', '{{}}', '{{}}', '{{}}')",
        "count(*) FROM contentq.batch_lines({0})",
        "count(*) FROM contentq.batch_sizes({0}, '{{}}', '{{}}')",
    ],
)
def test_lease_that_another_has_taken_over_is_of_no_use(queue: Queue, call: str) -> None:
    worker, other = queue.register(), queue.register()
    asked(queue, worker)
    batch = open_batch(queue, worker)
    assert next_batch(queue, other) is None
    queue.run("UPDATE contentq.provider_batches SET tended_until = now() - interval '1 second'")
    taken = next_batch(queue, other)
    assert taken["id"] == batch["id"]

    for stale in ((worker, batch["tending"]), (other, batch["tending"]), (worker, taken["tending"])):
        with pytest.raises(psycopg.Error) as error:
            queue.run("SELECT " + call.format(f"{stale[0]}, {batch['id']}, {stale[1]}"))
        assert error.value.sqlstate == "CQ004"
    queue.run("SELECT " + call.format(f"{other}, {batch['id']}, {taken['tending']}"))


def test_batch_of_a_worker_that_has_gone_is_taken_over_at_once(queue: Queue) -> None:
    worker, other = queue.register(), queue.register()
    asked(queue, worker)
    batch = open_batch(queue, worker)

    queue.run("SELECT contentq.deregister_worker(%s)", worker)

    assert next_batch(queue, other)["id"] == batch["id"]


def test_batch_is_opened_when_it_is_full_or_its_time_has_come_and_is_of_one_model(queue: Queue) -> None:
    worker = queue.register()
    asked(queue, worker, 3)
    other = queue.running(worker)
    assert ask(queue, other, "large", '{"a": "%s"}' % (5000 * "x"))
    snooze(queue, other)

    assert open_batch(queue, worker, gather="1 hour") is None
    assert open_batch(queue, worker, most=3, gather="1 hour")["requests"] == 3
    assert open_batch(queue, worker, most=3, gather="1 hour") is None
    assert open_batch(queue, worker, gather="1 hour", largest=100)["model"] == "large"
    assert open_batch(queue, worker) is None


def test_what_a_batch_has_not_answered_waits_for_another_and_what_no_task_wants_is_forgotten(queue: Queue) -> None:
    worker = queue.register()
    first, second, third = asked(queue, worker, 3)
    batch = open_batch(queue, worker)
    answer(queue, worker, batch, [first])
    queue.run("SELECT contentq.cancel(task_id) FROM content_generation_tasks WHERE id = %s", second.id)

    close = "SELECT contentq.close_batch(%s, %s, %s, 'expired')"
    assert queue.value(close, worker, batch["id"], batch["tending"]) == 1

    assert queue.rows("SELECT id, batch_id FROM contentq.batch_requests ORDER BY id") == [
        {"id": first.id, "batch_id": batch["id"]},
        {"id": third.id, "batch_id": None},
    ]
    assert (queue.row(third.id)["retry_count"], queue.row(third.id)["status"]) == (0, "pending")
    assert open_batch(queue, worker)["requests"] == 1


@pytest.mark.parametrize(
    "ended",
    ["SELECT contentq.cancel(task_id) FROM content_generation_tasks", "DELETE FROM content_generation_tasks"],
)
def test_answer_that_no_attempt_reports_is_counted_with_its_account(queue: Queue, ended: str) -> None:
    worker = queue.register()
    [task] = asked(queue, worker)
    batch = open_batch(queue, worker)
    queue.run(ended)

    assert answer(queue, worker, batch, [task], '{"model": "small", "cost": 0.5}') == 1

    queue.run("SELECT contentq.sweep_batches(%s)", worker)
    assert queue.rows("SELECT account_id, cost::float8 FROM contentq.usage") == [
        {"account_id": queue.account, "cost": 0.5}
    ]
    assert queue.value("SELECT count(*) FROM contentq.batch_requests") == 0


def test_answer_whose_task_someone_has_locked_is_found_by_the_next_sweep(queue: Queue, connect_queue: Any) -> None:
    worker, other = queue.register(), connect_queue()
    [task] = asked(queue, worker)
    batch = open_batch(queue, worker)
    with other.connection.transaction():
        other.run("SELECT FROM content_generation_tasks FOR UPDATE")
        assert answer(queue, worker, batch, [task]) == 1
        assert queue.row(task.id)["scheduled_at"] is not None

    queue.run("SELECT contentq.sweep_batches(%s)", worker)

    assert queue.row(task.id)["scheduled_at"] is None
