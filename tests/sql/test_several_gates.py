"""Workers with several gates: each task enters one gate and is counted there like any other."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest

from tests.sql.several_gates import A, B, at, held, named, running, totals, worker
from tests.support.queue import Entered, Held, Queue

__all__ = ["worker"]


def test_task_enters_the_first_gate_that_has_room(queue: Queue, worker: int) -> None:
    first, second = held(queue, worker, 2)

    assert queue.enter(first, A, B) == Entered(A, None, [])
    queue.close_gate(A, reason="the bill")
    found = queue.enter(second, A, B)

    assert found.gate == B
    assert [
        why.startswith(f"gate {A}: closed until") and why.endswith("; reason: the bill") for why in found.why
    ] == [True]
    assert (at(queue, first), at(queue, second)) == (A, B)
    assert (running(queue, A), running(queue, B), running(queue, "*")) == (1, 1, 2)


def test_no_gate_with_room_says_when_one_may_have(queue: Queue, worker: int) -> None:
    task, *_ = held(queue, worker)
    queue.close_gate(A, "1 hour")
    queue.close_gate(B, "10 minutes")

    found = queue.enter(task, A, B)

    assert found.gate is None
    assert timedelta(minutes=9) < (found.next_in or timedelta()) <= timedelta(minutes=10)
    assert [why.partition(":")[0] for why in found.why] == [f"gate {A}", f"gate {B}"]
    queue.close_gate(A, "infinity")
    queue.close_gate(B, "infinity")
    assert queue.enter(task, A, B).next_in is None
    assert (at(queue, task), totals(queue, A)) == (None, (0, 0, 0))


def test_gate_that_was_entered_is_counted_once_however_often_it_is_asked_for(queue: Queue, worker: int) -> None:
    queue.set_gate(A, requests_per_minute=60)
    (task,) = held(queue, worker)

    for _ in range(3):
        assert queue.enter(task, A, B) == Entered(A, None, [])

    assert totals(queue, A) == (1, 0, 0)
    assert running(queue, A) == 1


def test_task_that_goes_on_to_a_second_gate_counts_there(queue: Queue, worker: int) -> None:
    (task,) = held(queue, worker)
    queue.enter(task, A)

    assert queue.enter(task, B).gate == B

    assert (running(queue, A), running(queue, B)) == (0, 1)
    assert (totals(queue, A)[0], totals(queue, B)[0]) == (1, 1)


def test_only_the_attempt_that_holds_the_task_enters(queue: Queue, worker: int) -> None:
    (task,) = held(queue, worker)
    other = queue.register(gates=[A, B])

    for stranger in (Held(other, task.id, task.attempt), Held(worker, task.id, task.attempt + 1)):
        assert queue.enter(stranger, A) == Entered(None, None, ["the worker no longer holds this attempt"])
    queue.complete(worker, [task])
    assert queue.enter(task, A).gate is None
    assert totals(queue, A) == (0, 0, 0)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"cancel_requested_at": "2001-01-01"}, "it was cancelled"),
        ({"timeout_at": "2001-01-01"}, "its deadline has passed"),
    ],
)
def test_task_that_is_to_end_enters_no_gate(queue: Queue, worker: int, change: dict[str, str], why: str) -> None:
    (task,) = held(queue, worker)
    queue.set(task.id, **change)

    assert queue.enter(task, A) == Entered(None, timedelta(0), [why])


def test_only_gates_that_a_worker_was_registered_with_are_entered(queue: Queue, worker: int) -> None:
    (task,) = held(queue, worker)
    queue.complete(worker, [task])

    for keys, sqlstate in (([A, "c.example"], "CQ003"), (["*"], "CQ003"), ([], "22004")):
        with pytest.raises(psycopg.Error) as error:
            queue.enter(task, *keys)
        assert error.value.sqlstate == sqlstate
    single = queue.running(queue.register(gate=A))
    with pytest.raises(psycopg.Error) as error:
        queue.enter(single, A)
    assert error.value.sqlstate == "CQ003"


@pytest.mark.parametrize("gates", [[], ["*"], [""], [A, None], ["x" * 11_000], [str(n) for n in range(101)]])
def test_gates_that_are_none_are_refused(queue: Queue, gates: list[str]) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        queue.register(gates=gates)
    with pytest.raises(psycopg.errors.CheckViolation):
        queue.register(gate=A, gates=[B])


def test_claim_forgets_the_gate_of_the_attempt_before(queue: Queue, worker: int) -> None:
    (task,) = held(queue, worker)
    queue.enter(task, A)
    queue.release(worker, [task])

    assert running(queue, A) == 0
    (again,) = queue.claim(worker)
    assert (again["gate"], again["gate_entered_at"]) == (None, None)


def test_cap_of_a_gate_is_kept_by_workers_of_both_kinds(queue: Queue, worker: int) -> None:
    queue.set_gate(A, max_running=3)
    single = queue.register(gate=A)
    tasks = held(queue, worker, 5)
    assert [queue.enter(task, A, B).gate for task in tasks] == [A, A, A, B, B]

    assert held(queue, single, 3) == []
    assert queue.waits_for(single) == f"gate {A}: 3 of 3 running"
    queue.complete(worker, tasks[:1])
    assert len(queue.claim(single, 3)) == 1
    (more,) = held(queue, worker)
    assert queue.enter(more, A) == Entered(None, timedelta(seconds=0.5), [f"gate {A}: 3 of 3 running"])


def test_pace_of_a_gate_is_shared_by_workers_of_both_kinds(queue: Queue, worker: int) -> None:
    queue.set_gate(A, requests_per_minute=120)
    single = queue.register(gate=A)
    first, second = held(queue, worker, 2)

    assert queue.enter(first, A).gate == A
    assert queue.claim(single) == []
    assert queue.enter(second, A).why == [f"gate {A}: limited to 2.00 tasks a second"]
    queue.let_gate_time_pass(0.5)
    assert len(held(queue, single, 2)) == 1
    assert queue.enter(second, A).gate is None
    queue.let_gate_time_pass(0.5)
    assert queue.enter(second, A).gate == A


def test_reports_tell_the_gate_that_was_entered(queue: Queue, worker: int) -> None:
    usage = json.dumps({"prompt_tokens": 70, "completion_tokens": 30})
    completed, stored, failed, refused, other, unanswered = held(queue, worker, 6)
    for task in (completed, stored, failed, refused, unanswered):
        queue.enter(task, A)
    queue.enter(other, B)

    queue.complete(worker, [completed, other], [usage, usage])
    queue.store(worker, [stored], extras=[usage])
    queue.fail(failed, "the answer was cut off")
    queue.refuse(refused, A, "1 second", "slow down")
    queue.fail(unanswered, "no answer", unanswered=True)

    assert totals(queue, A) == (5, 3, 200)
    assert totals(queue, B) == (1, 1, 100)
    assert queue.rows("SELECT key, kind, calls, answered FROM contentq.gate_events ORDER BY id") == [
        {"key": A, "kind": "refused", "calls": 5, "answered": 3},
        {"key": A, "kind": "unanswered", "calls": 5, "answered": 3},
    ]
    entered = queue.row(refused.id)["gate_entered_at"]
    assert queue.value("SELECT min(began_at) FROM contentq.gate_events") == entered


def test_draft_whose_checks_failed_is_an_answer_of_its_gate(queue: Queue, worker: int) -> None:
    (task,) = held(queue, worker)
    queue.enter(task, A)

    queue.value("SELECT contentq.revise(%s, %s, %s, 'too short')", worker, task.id, task.attempt)

    assert totals(queue, A) == (1, 1, 0)


def test_tokens_of_an_attempt_that_fails_count_at_its_gate(queue: Queue, worker: int) -> None:
    (task,) = held(queue, worker)
    queue.enter(task, A)

    queue.record_usage(worker, {task: json.dumps({"prompt_tokens": 5, "completion_tokens": 2})})

    assert totals(queue, A) == (1, 0, 7)


def test_report_without_a_gate_tells_none(queue: Queue, worker: int) -> None:
    failed, unanswered, refused = held(queue, worker, 3)

    queue.fail(failed, "a fault")
    queue.fail(unanswered, "no answer", unanswered=True)
    queue.snooze(refused, "1 second", "slow down")

    assert queue.rows("SELECT * FROM contentq.gate_events") == []
    assert totals(queue, "*") == (0, 0, 0)
    assert queue.status(unanswered.id) == "pending"


@pytest.mark.parametrize(
    ("outcome", "events"),
    [("answered", []), ("refused", ["refused"]), ("exhausted", ["exhausted"]), ("unanswered", ["unanswered"])],
)
def test_leaving_a_gate_tells_it_once_and_the_attempt_goes_on(
    queue: Queue, worker: int, outcome: str, events: list[str]
) -> None:
    (task,) = held(queue, worker)
    queue.enter(task, A, B)
    usage = json.dumps({"model": "large", "prompt_tokens": 5, "completion_tokens": 2, "cost": 3})

    assert queue.leave(task, A, outcome, message="no", usage=usage)
    assert not queue.leave(task, A, outcome, message="no", usage=usage)

    assert queue.status(task.id) == "processing"
    assert (at(queue, task), running(queue, A)) == (None, 0)
    assert queue.values("SELECT kind FROM contentq.gate_events") == events
    assert totals(queue, A) == (1, int(outcome == "answered"), 7)
    assert [(row["model"], row["attempts"], row["cost"]) for row in queue.usage()] == [("large", 1, 3)]
    assert queue.enter(task, B).gate == B


def test_gate_is_left_by_who_has_entered_it(queue: Queue, worker: int) -> None:
    (task,) = held(queue, worker)
    queue.enter(task, A)

    assert not queue.leave(task, B)
    assert not queue.leave(Held(worker, task.id, task.attempt + 1), A)
    assert not queue.leave(Held(queue.register(gates=[A]), task.id, task.attempt), A)
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        queue.leave(task, A, "fine")
    assert at(queue, task) == A


def test_three_calls_without_an_answer_send_the_next_task_to_the_second_gate(queue: Queue, worker: int) -> None:
    tasks = held(queue, worker, 4)
    for task in tasks[:3]:
        queue.enter(task, A, B)
    for task in tasks[:3]:
        queue.leave(task, A, "unanswered", message="connection refused")
        assert queue.enter(task, B).gate == B

    found = queue.enter(tasks[3], A, B)

    assert found.gate == B
    assert "connection refused" in found.why[0]


def test_one_task_of_all_workers_of_both_kinds_tries_a_gate_that_is_half_open(queue: Queue, worker: int) -> None:
    queue.close_gate(A, "10 seconds", half_open=True)
    queue.let_gate_time_pass(11)
    single, other = queue.register(gate=A), queue.register(gates=[A])
    (task,) = held(queue, worker)
    (waits,) = named(queue, other)

    assert queue.enter(task, A).gate == A
    assert queue.claim(single) == []
    assert queue.enter(waits, A).why == [f"gate {A}: one task checks whether the provider is back"]
    queue.complete(worker, [task])
    assert queue.enter(waits, A).gate == A


def test_answer_that_the_fleet_waits_for_wakes_it(
    queue: Queue, worker: int, connect_queue: Callable[[], Queue]
) -> None:
    queue.close_gate(A, "10 seconds", half_open=True)
    queue.let_gate_time_pass(11)
    (task,) = named(queue, worker)
    queue.enter(task, A)
    listener = connect_queue()
    listener.run("LISTEN contentq_ready")

    queue.leave(task, A)

    assert [one.payload for one in listener.connection.notifies(timeout=5, stop_after=1)] == [""]


def test_operator_who_goes_on_with_a_gates_row_holds_up_entering_for_a_moment_only(
    queue: Queue, worker: int, connect_queue: Callable[[], Queue]
) -> None:
    queue.set_gate(A, max_running=5)
    queue.set_gate(B, max_running=5)
    first, second = held(queue, worker, 2)
    operator = connect_queue()
    queue.run("SET statement_timeout = '1s'")

    with operator.connection.transaction():
        operator.run("SELECT FROM contentq.gates WHERE key = %s FOR UPDATE", A)
        found = queue.enter(first, A, B)
        assert (found.gate, found.why) == (B, [f"gate {A}: another session has locked its row"])
        assert queue.enter(second, A).next_in == timedelta(milliseconds=5)
    assert queue.enter(second, A).gate == A


def test_gate_without_limits_is_entered_without_its_lock(
    queue: Queue, worker: int, connect_queue: Callable[[], Queue]
) -> None:
    queue.close_gate(A)
    queue.open_gate(A)
    (task,) = held(queue, worker)
    operator = connect_queue()

    with operator.connection.transaction():
        operator.run("SELECT FROM contentq.gates FOR UPDATE")
        assert queue.enter(task, A, B).gate == A


def test_counts_that_someone_has_locked_are_not_lost(
    queue: Queue, worker: int, connect_queue: Callable[[], Queue]
) -> None:
    first, second = held(queue, worker, 2)
    queue.enter(first, A)
    other = connect_queue()

    with other.connection.transaction():
        other.run("SELECT FROM contentq.gate_counts FOR UPDATE")
        queue.enter(second, A)
        queue.complete(worker, [second])
    assert totals(queue, A) == (2, 1, 0)


@pytest.mark.slow
@pytest.mark.newest
def test_many_that_enter_at_once_never_exceed_a_cap_and_are_each_counted(
    queue: Queue, connect_queue: Callable[[], Queue]
) -> None:
    queue.set_gate(A, max_running=7)
    queue.set_gate(B, max_running=4)
    rounds, sessions = 12, [connect_queue() for _ in range(6)]
    single = queue.register(gate=A)
    most = {A: 0, B: 0}
    entered: list[str] = []
    wrong: list[BaseException] = []

    def work(session: Queue, number: int) -> None:
        try:
            worker = session.register(gates=[A, B])
            for _ in range(rounds):
                ids = [session.add(account_id=account) for _ in range(3)]
                session.claim_named(worker, ids)
                tasks = [Held(worker, id_, 1) for id_ in ids]
                keys = (A, B) if number % 2 else (B, A)
                found = [session.enter(task, *keys).gate for task in tasks]
                entered.extend(filter(None, found))
                for key in most:
                    most[key] = max(most[key], running(session, key))
                session.complete(worker, tasks)
        except BaseException as error:
            wrong.append(error)

    account = queue.account
    threads = [threading.Thread(target=work, args=(each, number)) for number, each in enumerate(sessions)]
    for thread in threads:
        thread.start()
    claimed = 0
    while any(thread.is_alive() for thread in threads):
        tasks = held(queue, single, 1)
        claimed += len(tasks)
        most[A] = max(most[A], running(queue, A))
        queue.complete(single, tasks)
    for thread in threads:
        thread.join()

    assert wrong == []
    assert most[A] == 7, "the cap was reached, and kept"
    assert most[B] == 4
    calls = {key: totals(queue, key)[0] for key in most}
    assert calls[A] + calls[B] == len(entered) + claimed
    assert sum(totals(queue, key)[1] for key in most) == len(entered) + claimed
