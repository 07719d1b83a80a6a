"""Budgets and batch tasks: a task requests a call if the budget allows, and its result is always collected."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.sql.batches import answer, ask, asked, open_batch, snooze
from tests.sql.budgets import SLOTS, claimed, cost, know, set_budget, status, submit
from tests.support.queue import Held, Queue
from tests.support.waiting import eventually

pytestmark = pytest.mark.newest

WAITS = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s"
ROOM = "SELECT reserved::float8 FROM contentq.budget_room(%s, NULL, 'month', 100)"


def ask_and_wait(queue: Queue, task: Held) -> None:
    assert ask(queue, task)
    snooze(queue, task)


def collected(queue: Queue, worker: int) -> list[int]:
    return sorted(row["id"] for _ in range(4) for row in queue.claim(worker, 10))


@pytest.mark.parametrize("of", ["account", "all"])
def test_answers_are_collected_although_the_budget_is_used_up_and_other_tasks_come_first(
    queue: Queue, of: str
) -> None:
    worker, account = queue.register(), queue.add_account()
    know(queue, 1, 10, account=account, days_ago=0)
    tasks = asked(queue, worker, 3, account_id=account, priority=3)
    for _ in range(20):
        queue.add(account_id=account, priority=5)
    if of == "account":
        queue.run("UPDATE accounts SET monthly_budget = 5 WHERE id = %s", account)
    else:
        queue.run("SELECT contentq.set_budget(5)")
    assert queue.claim(worker, 10) == []

    answer(queue, worker, open_batch(queue, worker), tasks)

    assert collected(queue, worker) == [task.id for task in tasks]


@pytest.mark.parametrize("end", ["released", "dead"])
def test_answer_that_an_attempt_has_taken_and_not_used_is_collected_again(queue: Queue, end: str) -> None:
    worker, other, account = queue.register(), queue.register(), queue.add_account()
    know(queue, 1, 10, account=account, days_ago=0)
    [task] = asked(queue, worker, account_id=account)
    queue.run("UPDATE accounts SET monthly_budget = 5 WHERE id = %s", account)
    for _ in range(5):
        queue.add(account_id=account, priority=6)
    answer(queue, worker, open_batch(queue, worker), [task])
    [row] = queue.claim(worker)
    queue.run("SELECT contentq.batch_answer(%s, %s, %s)", worker, task.id, row["attempt"])
    assert queue.claim(other) == []

    if end == "released":
        queue.release(worker, [Held(worker, task.id, row["attempt"])])
    else:
        queue.silence(worker)
        queue.rescue()

    assert [row["id"] for row in queue.claim(other)] == [task.id]


@pytest.mark.parametrize("end", ["released", "dead"])
def test_cost_of_an_answer_that_was_taken_and_not_used_is_counted(queue: Queue, end: str) -> None:
    worker, other = queue.register(), queue.register()
    [task] = asked(queue, worker, max_retries=0)
    answer(queue, worker, open_batch(queue, worker), [task], '{"model": "m", "cost": 3}')
    [row] = queue.claim(worker)
    queue.run("SELECT contentq.batch_answer(%s, %s, %s)", worker, task.id, row["attempt"])

    if end == "released":
        queue.release(worker, [Held(worker, task.id, row["attempt"])])
        queue.cancel(task.id)
    else:
        queue.silence(worker)
        queue.rescue()
    assert queue.status(task.id) == "failed"
    queue.run("SELECT contentq.sweep_batches(%s)", other)

    assert queue.value("SELECT sum(cost) FROM contentq.usage") == 3


def test_category_that_nothing_is_known_of_reserves_for_what_it_has_asked(queue: Queue) -> None:
    worker, account = queue.register(), queue.add_account(monthly_budget=100)
    know(queue, 5, 10, account=account, category="known", days_ago=0)
    for _ in range(20):
        queue.add(account_id=account, category="new")
    number = 0
    while rows := queue.claim(worker, 10):
        for row in rows:
            task = Held(worker, row["id"], row["attempt"])
            ask_and_wait(queue, task)
        number += len(rows)

    assert number == 10
    assert queue.value(ROOM, account) == 50


def test_requests_that_no_task_waits_for_reserve_nothing_without_a_worker_for_batches(queue: Queue) -> None:
    worker, account = queue.register(), queue.add_account(monthly_budget=100)
    know(queue, 5, 10, account=account, days_ago=0)
    for task in asked(queue, worker, 2, account_id=account):
        queue.cancel(task.id)
    assert queue.value(ROOM, account) > 0

    queue.run("SELECT contentq.maintain()")

    assert queue.value(ROOM, account) == 0


def test_state_that_names_no_answer_gets_no_task_past_its_budget(queue: Queue) -> None:
    worker, account = queue.register(), queue.add_account()
    task = queue.running(worker, account_id=account)
    queue.run(
        "SELECT contentq.snooze(%s, %s, %s, now(), state => '{\"asked_by_attempt\": 77}')",
        worker,
        task.id,
        task.attempt,
    )
    know(queue, 1, 10, account=account, days_ago=0)
    queue.run("UPDATE accounts SET monthly_budget = 5 WHERE id = %s", account)

    assert queue.claim(worker) == []


@pytest.mark.parametrize("usage", ['{"model": "a\\u0000"}', "x"])
def test_usage_that_cannot_be_read_is_refused_with_its_answer(queue: Queue, usage: str) -> None:
    worker = queue.register()
    [task] = asked(queue, worker)
    batch = open_batch(queue, worker)

    with pytest.raises(psycopg.DataError):
        answer(queue, worker, batch, [task], usage)


def test_task_behind_answers_that_nobody_takes_is_made_ready_by_the_sweep(queue: Queue) -> None:
    worker = queue.register()
    tasks = asked(queue, worker, 4)
    batch = open_batch(queue, worker)
    answer(queue, worker, batch, tasks[:3])
    queue.run("UPDATE contentq.batch_requests SET answered_at = now() WHERE id = %s", tasks[3].id)
    assert queue.row(tasks[3].id)["scheduled_at"] is not None

    queue.run("SELECT contentq.sweep_batches(%s, 2)", worker)

    assert queue.row(tasks[3].id)["scheduled_at"] is None


def test_request_goes_into_one_batch_although_an_older_one_is_committed_later(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    worker, other = queue.register(), queue.register()
    early, late = queue.running(worker), queue.running(worker)
    slow, opening, waiting = connect_queue(), connect_queue(), connect_queue()
    opening.run("BEGIN")
    with ThreadPoolExecutor(1) as pool:
        with slow.connection.transaction():
            assert ask(slow, early)
            assert ask(queue, late)
            snooze(queue, late)
            first = open_batch(opening, worker)
        snooze(queue, early)
        second = pool.submit(open_batch, waiting, other)
        eventually(lambda: queue.values(WAITS, waiting.connection.info.backend_pid) == [True])
        opening.run("COMMIT")

        assert (first["requests"], second.result(10)["requests"]) == (1, 1)
    batches = queue.values("SELECT batch_id FROM contentq.batch_requests ORDER BY id")
    assert batches == [second.result()["id"], first["id"]]


def test_what_goes_with_a_batch_is_reserved_for(queue: Queue, worker: int) -> None:
    know(queue, 1)
    submit(queue, 50)
    set_budget(queue, 10, account_id=1, period="day")
    for _ in range(4):
        for task in claimed(queue, worker):
            ask_and_wait(queue, task)

    assert queue.value("SELECT count(*) FROM contentq.batch_requests") == 10
    assert (status(queue)[0]["reserved"], status(queue)[0]["running"]) == (10, 0)


def test_answers_are_collected_though_the_budget_is_used_up(queue: Queue, worker: int) -> None:
    know(queue, 1)
    submit(queue, 50)
    set_budget(queue, 10, account_id=1, period="day")
    tasks = claimed(queue, worker)
    for task in tasks:
        ask_and_wait(queue, task)
    assert claimed(queue, worker) == []
    know(queue, 1, 20, days_ago=0)
    answer(queue, worker, open_batch(queue, worker), tasks)

    collected = claimed(queue, worker)
    assert [task.id for task in collected] == [task.id for task in tasks]
    queue.complete(worker, collected, [cost(1)] * 10)
    queue.run("DELETE FROM contentq.batch_requests")
    assert claimed(queue, worker) == []


def test_first_batch_is_not_held_up_until_it_is_known_what_it_costs(queue: Queue, worker: int) -> None:
    submit(queue, 5)
    set_budget(queue, 10, account_id=1)
    for _ in range(5):
        (task,) = claimed(queue, worker)
        ask_and_wait(queue, task)


def test_explanation_and_a_worker_that_waits_for_all_know_of_answers(queue: Queue) -> None:
    worker = queue.register(SLOTS)
    know(queue, 1)
    submit(queue, 1)
    set_budget(queue, 10, account_id=1, period="day")
    (task,) = claimed(queue, worker)
    ask_and_wait(queue, task)
    know(queue, 1, 20, days_ago=0)
    answer(queue, worker, open_batch(queue, worker), [task])
    assert queue.explain(task.id) == [f"ready: worker {worker} will claim it next"]
    assert queue.value("SELECT contentq.anything_waits(NULL, '1 minute')")
