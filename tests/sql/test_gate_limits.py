"""Limits set by operators at a gate: tasks and tokens per minute, concurrent tasks; and the locks involved."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest

from tests.support.queue import Held, Queue

GATE = "api.example"


def held(queue: Queue, worker: int, number: int = 1) -> list[Held]:
    """Inserts tasks and claims as many as the worker gets."""
    for _ in range(number):
        queue.add()
    return [Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker, number)]


def answer(queue: Queue, tasks: list[Held], tokens: int) -> None:
    """Completes tasks that have used this many tokens each."""
    result = json.dumps({"prompt_tokens": tokens - 1, "completion_tokens": 1})
    assert queue.complete(tasks[0].worker, tasks, [result] * len(tasks)) == sorted(task.id for task in tasks)


def test_tasks_of_all_workers_of_a_gate_start_at_its_rate(queue: Queue) -> None:
    queue.set_gate(GATE, requests_per_minute=6)
    first, second = queue.register(gate=GATE), queue.register(gate=GATE)

    assert len(held(queue, first, 10)) == 1
    assert queue.claim(second, 10) == []
    assert queue.waits_for(second) == f"gate {GATE}: limited to 0.10 tasks a second"
    assert timedelta(seconds=7) < (queue.next_claim_in(second) or timedelta()) <= timedelta(seconds=10)
    queue.let_gate_time_pass(10)
    assert len(queue.claim(second, 10)) == 1
    assert queue.claim(first, 10) == []


def test_what_was_not_used_is_not_saved_up(queue: Queue) -> None:
    queue.set_gate(GATE, requests_per_minute=120)
    worker = queue.register(gate=GATE)
    held(queue, worker, 10)

    queue.let_gate_time_pass(600)

    assert len(queue.claim(worker, 10)) == 1


def test_high_rate_lets_those_of_a_moment_start_together(queue: Queue) -> None:
    queue.set_gate(GATE, requests_per_minute=6000)
    worker = queue.register(gate=GATE)
    held(queue, worker, 1)

    queue.let_gate_time_pass(10)

    assert len(held(queue, worker, 20)) == 5


def test_workers_of_other_gates_and_of_none_are_not_limited(queue: Queue) -> None:
    queue.set_gate(GATE, requests_per_minute=1, max_running=1)

    assert len(held(queue, queue.register(gate="other.example"), 10)) == 10
    assert len(held(queue, queue.register(), 10)) == 10


@pytest.mark.parametrize("gate", [None, GATE])
def test_gate_of_all_limits_every_worker(queue: Queue, gate: str | None) -> None:
    queue.set_gate("*", requests_per_minute=60, max_running=3)
    first, second = queue.register(gate=gate), queue.register()

    for running in (1, 2, 3):
        assert len(held(queue, first if running == 2 else second, 10)) == 1
        assert queue.claim(first, 10) == []
        queue.let_gate_time_pass(1)
    assert queue.claim(first, 10) == queue.claim(second, 10) == []
    assert queue.waits_for(second) == "gate *: 3 of 3 running"


def test_no_more_tasks_run_than_may_and_each_that_ends_makes_room(queue: Queue) -> None:
    queue.set_gate(GATE, max_running=3)
    first, second = queue.register(gate=GATE), queue.register(gate=GATE)

    tasks = held(queue, first, 2)
    assert len(held(queue, second, 5)) == 1
    assert queue.claim(first, 10) == []
    assert queue.waits_for(first) == f"gate {GATE}: 3 of 3 running"
    assert (queue.next_claim_in(first) or timedelta()) > timedelta(0)
    queue.complete(first, tasks[:1])
    assert len(queue.claim(second, 10)) == 1
    assert queue.claim(second, 10) == []


def test_claims_that_are_not_committed_yet_count(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    """The other claim would not see them and does not wait for them."""
    queue.set_gate(GATE, max_running=3)
    workers = [queue.register(gate=GATE) for _ in range(2)]
    for _ in range(10):
        queue.add()
    other = connect_queue()

    with other.connection.transaction():
        assert len(other.claim(workers[1], 2)) == 2
        with queue.connection.transaction():
            assert queue.claim(workers[0], 10) == []
            assert queue.next_claim_in(workers[0]) == timedelta(milliseconds=5)
    assert len(queue.claim(workers[0], 10)) == 1


def test_tokens_a_minute_are_what_tasks_take_on_average(queue: Queue) -> None:
    queue.set_gate(GATE, tokens_per_minute=60_000)
    worker = queue.register(gate=GATE)
    for _ in range(3):
        answer(queue, held(queue, worker, 1), 500)
        queue.let_gate_time_pass(2)

    assert len(held(queue, worker, 10)) == 2
    assert queue.waits_for(worker) == f"gate {GATE}: limited to 60000 tokens a minute, and a task uses 500"
    assert timedelta(seconds=0.4) < (queue.next_claim_in(worker) or timedelta()) <= timedelta(seconds=0.5)
    queue.let_gate_time_pass(0.5)
    assert len(queue.claim(worker, 10)) == 1


def test_answer_that_took_more_tokens_than_expected_is_waited_for(queue: Queue) -> None:
    queue.set_gate(GATE, tokens_per_minute=60_000)
    worker = queue.register(gate=GATE)
    for _ in range(3):
        answer(queue, held(queue, worker, 1), 500)
        queue.let_gate_time_pass(2)
    tasks = held(queue, worker, 10)

    answer(queue, tasks[:1], 5500)

    queue.let_gate_time_pass(4)
    assert queue.claim(worker, 10) == []
    queue.let_gate_time_pass(4)
    assert len(queue.claim(worker, 10)) >= 1


def test_results_that_name_no_tokens_are_not_limited(queue: Queue) -> None:
    queue.set_gate(GATE, tokens_per_minute=60)
    worker = queue.register(gate=GATE)
    for _ in range(3):
        queue.complete(worker, held(queue, worker, 1))
        queue.let_gate_time_pass(1)

    assert len(held(queue, worker, 10)) == 10


def test_setting_replaces_all_three_and_keeps_what_is_known(queue: Queue) -> None:
    queue.close_gate(GATE, "1 hour", "Paused by Ada")
    queue.set_gate(GATE, requests_per_minute=500, tokens_per_minute=200_000, max_running=40)
    queue.set_gate(GATE, max_running=20)

    (gate,) = queue.rows(
        "SELECT requests_per_minute, tokens_per_minute, max_running, opens_at > clock_timestamp() AS closed, "
        "reason FROM contentq.gates"
    )
    assert list(gate.values()) == [None, None, 20, True, "Paused by Ada"]


@pytest.mark.parametrize(
    "limits",
    [
        {"requests_per_minute": 0},
        {"requests_per_minute": float("nan")},
        {"requests_per_minute": float("inf")},
        {"tokens_per_minute": -1},
        {"tokens_per_minute": float("inf")},
        {"max_running": 0},
    ],
)
def test_limits_that_are_none_are_refused(queue: Queue, limits: dict[str, float]) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        queue.set_gate(GATE, **limits)  # type: ignore[arg-type]


def test_setting_a_gate_wakes_those_that_wait(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    listener = connect_queue()
    listener.run("LISTEN contentq_ready")

    queue.set_gate(GATE, requests_per_minute=60)

    assert [one.payload for one in listener.connection.notifies(timeout=5, stop_after=1)] == [""]


def test_operator_who_goes_on_with_a_gates_row_holds_up_no_report_and_no_other_gate(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    queue.set_gate(GATE, max_running=100)
    worker, other = queue.register(gate=GATE), queue.register(gate="other.example")
    tasks = held(queue, worker, 5)
    operator = connect_queue()
    for connection in (queue, operator):
        connection.run("SET lock_timeout = '1s'")

    with operator.connection.transaction():
        operator.set_gate(GATE, requests_per_minute=1)
        assert queue.complete(worker, tasks[:1]) == [tasks[0].id]
        assert queue.store(worker, tasks[1:2]) == [tasks[1].id]
        assert queue.refuse(tasks[2], GATE)
        assert queue.fail(tasks[3]) == "pending"
        assert queue.fail(tasks[4], unanswered=True) == "pending"
        for _ in range(3):
            queue.add()
        assert queue.claim(worker, 1) == []
        assert len(queue.claim(other, 1)) == 1
        assert len(queue.claim_named(worker, [queue.add()])) == 1


def test_gate_that_someone_is_adding_holds_up_no_claim(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    worker = queue.register(gate=GATE)
    (task,) = held(queue, worker)
    queue.refuse(task, GATE)
    operator = connect_queue()
    queue.run("SET lock_timeout = '1s'")

    with operator.connection.transaction():
        operator.set_gate(GATE, requests_per_minute=60_000)
        assert len(held(queue, worker)) == 1


def test_task_that_a_rescue_had_to_leave_still_counts(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    """A dead worker is removed even while one of its tasks is locked."""
    queue.set_gate(GATE, max_running=2)
    dead = queue.register(gate=GATE)
    for _ in range(4):
        queue.add()
    locked, _ = [row["id"] for row in queue.claim(dead, 5)]
    queue.silence(dead)
    other = connect_queue()
    with other.connection.transaction():
        other.run("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", locked)
        assert queue.rescue() == 1
    assert queue.value("SELECT count(*) FROM contentq.workers") == 0

    assert len(queue.claim(queue.register(gate=GATE), 5)) == 1

    assert queue.rescue() == 1
    assert len(queue.claim(queue.register(gate=GATE), 5)) == 1


@pytest.mark.parametrize("key", [GATE, "*"])
def test_claim_that_commits_after_its_worker_has_left_still_counts(
    queue: Queue, connect_queue: Callable[[], Queue], key: str
) -> None:
    queue.set_gate(key, max_running=2)
    leaving = queue.register(gate=GATE)
    for _ in range(5):
        queue.add()
    other = connect_queue()
    with other.connection.transaction():
        assert len(other.claim(leaving, 1)) == 1
        queue.run("SELECT contentq.deregister_worker(%s)", leaving)

    assert len(queue.claim(queue.register(gate=GATE), 5)) == 1
    assert queue.claim(queue.register(gate=GATE), 5) == []


def test_trial_whose_worker_has_left_keeps_others_from_trying(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    leaving, staying = queue.register(gate=GATE), queue.register(gate=GATE)
    queue.run("SELECT contentq.close_gate(%s, clock_timestamp() + interval '1 minute', 'down', true)", GATE)
    queue.let_gate_time_pass(61)
    for _ in range(5):
        queue.add()
    other = connect_queue()
    with other.connection.transaction():
        assert len(other.claim(leaving, 5)) == 1
        queue.run("SELECT contentq.deregister_worker(%s)", leaving)

    assert queue.claim(staying, 5) == []
