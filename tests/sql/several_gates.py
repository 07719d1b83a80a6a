"""Workers with two gates, and queries about their tasks."""

from __future__ import annotations

import pytest

from tests.support.queue import Held, Queue

A, B = "a.example", "b.example"


@pytest.fixture
def worker(queue: Queue) -> int:
    return queue.register(gates=[A, B])


def held(queue: Queue, worker: int, number: int = 1) -> list[Held]:
    """Inserts tasks and claims as many as the worker gets."""
    for _ in range(number):
        queue.add()
    return [Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker, number)]


def named(queue: Queue, worker: int, number: int = 1) -> list[Held]:
    """Inserts tasks and assigns them to the worker, regardless of its gates."""
    ids = [queue.add() for _ in range(number)]
    queue.claim_named(worker, ids)
    return [Held(worker, id_, 1) for id_ in ids]


def at(queue: Queue, task: Held) -> str | None:
    """The gate of a task's row."""
    gate = queue.row(task.id)["gate"]
    assert gate is None or isinstance(gate, str)
    return gate


def totals(queue: Queue, key: str) -> tuple[int, int, int]:
    """Calls, answers and tokens of a gate."""
    (row,) = queue.rows("SELECT calls, answered, tokens FROM contentq.gate_totals(%s)", key)
    return row["calls"], row["answered"], int(row["tokens"])


def running(queue: Queue, key: str) -> int:
    return int(queue.value("SELECT contentq.gate_running(%s)", key))
