"""Claims, waiting times and notifications of workers with several gates."""

from __future__ import annotations

from datetime import timedelta

from tests.sql.several_gates import A, B, held, worker
from tests.support.queue import Held, Queue

__all__ = ["worker"]


def test_claim_brings_what_all_gates_together_let_begin(queue: Queue, worker: int) -> None:
    queue.set_gate(A, max_running=2)
    queue.set_gate(B, max_running=3)

    tasks = held(queue, worker, 10)

    assert len(tasks) == 5
    assert queue.claim(worker, 10) == [], "they are about to enter"
    assert queue.waits_for(worker) == f"gates {A}, {B}: 5 about to enter"
    assert timedelta(0) < (queue.next_claim_in(worker) or timedelta()) < timedelta(seconds=0.1)
    assert [queue.enter(task, A, B).gate for task in tasks] == [A, A, B, B, B]
    assert queue.claim(worker, 10) == []
    assert queue.waits_for(worker) == f"gate {A}: 2 of 2 running; gate {B}: 3 of 3 running"


def test_claim_waits_while_no_gate_has_room_and_until_one_has(queue: Queue, worker: int) -> None:
    queue.add()
    queue.close_gate(A, "infinity", "the bill")
    assert queue.waits_for(worker) is None
    queue.close_gate(B, "10 minutes")

    assert queue.claim(worker) == []
    assert timedelta(minutes=9) < (queue.next_claim_in(worker) or timedelta()) <= timedelta(minutes=10)
    assert [part.partition(" until")[0] for part in (queue.waits_for(worker) or "").split("; ") if "gate" in part][
        -1
    ] == f"gate {B}: closed"
    queue.open_gate(A)
    assert len(queue.claim(worker)) == 1


def test_turn_that_comes_in_a_moment_is_claimed_for(queue: Queue, worker: int) -> None:
    queue.set_gate(A, requests_per_minute=60)
    queue.close_gate(B, "infinity")
    first, *others = held(queue, worker, 3)
    assert others == [], "as many as there are turns"
    assert queue.enter(first, A).gate == A
    assert queue.claim(worker, 10) == []

    queue.let_gate_time_pass(0.96)

    assert len(queue.claim(worker, 10)) == 1
    assert queue.claim(worker, 10) == []


def test_gate_of_all_stops_workers_with_several_gates(queue: Queue, worker: int) -> None:
    queue.add()
    queue.close_gate("*")

    assert queue.claim(worker) == []
    assert (queue.waits_for(worker) or "").startswith("gate *: closed")


def test_task_that_runs_without_entering_a_gate_keeps_no_other_back_for_long(queue: Queue, worker: int) -> None:
    queue.set_gate(A, max_running=1)
    queue.close_gate(B, "infinity")
    held(queue, worker)
    queue.add()
    assert queue.claim(worker) == []

    queue.run("UPDATE content_generation_tasks SET started_at = started_at - interval '2 seconds'")

    assert len(queue.claim(worker)) == 1


def test_explain_tells_what_workers_with_several_gates_wait_for(queue: Queue, worker: int) -> None:
    task = held(queue, worker)[0]
    queue.enter(task, A)
    assert f"it entered gate {A} 00:00:00 ago" in queue.explain(task.id)
    queue.close_gate(A, "infinity")
    queue.close_gate(B, "infinity")

    (line,) = queue.explain(queue.add())

    assert line.startswith(f"worker {worker} waits: gate {A}: closed, until someone opens it")
    assert f"; gate {B}: closed, until someone opens it" in line


def test_view_counts_tasks_at_the_gate_that_they_have_entered(queue: Queue, worker: int) -> None:
    queue.running(queue.register(gate=A))
    first, second, _third = held(queue, worker, 3)
    queue.enter(first, A)
    queue.enter(second, B)

    found = queue.rows("SELECT key, workers, running FROM contentq.gate_status WHERE key <> '*' ORDER BY key")
    assert [tuple(row.values()) for row in found] == [(A, 2, 2), (B, 1, 1)]
    assert queue.value("SELECT gate FROM contentq.worker_status WHERE id = %s", worker) == f"{A}, {B}"


def test_worker_that_leaves_takes_its_counts_along(queue: Queue, worker: int) -> None:
    (task,) = held(queue, worker)
    queue.enter(task, A)
    queue.complete(worker, [task])
    queue.value("SELECT contentq.deregister_worker(%s)", worker)

    assert queue.rows("SELECT * FROM contentq.gate_counts") == []
    queue.run("INSERT INTO contentq.gate_counts (worker_id, gate) VALUES (-1, 'x')")
    queue.value("SELECT contentq.maintain()")
    assert queue.rows("SELECT * FROM contentq.gate_counts") == []


def test_refusal_that_closes_a_gate_of_several_is_heard(queue: Queue, worker: int) -> None:
    (task,) = held(queue, worker)
    queue.enter(task, A)

    queue.refuse(task, A, "10 minutes", "used up", nothing_left=True)

    queue.add()
    (other,) = (Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker))
    assert queue.enter(other, A, B).gate == B
