"""Provider batches in plain SQL: tasks that request a call and wait, and what is sent and answered."""

from __future__ import annotations

from typing import Any

from tests.support.queue import Held, Queue

PROVIDER = "https://api.example.com/v1"


def ask(queue: Queue, task: Held, model: str = "small", body: str = '{"model": "small"}') -> bool:
    query = "SELECT contentq.ask_batch(%s, %s, %s, %s, %s, %s)"
    return bool(queue.value(query, task.worker, task.id, task.attempt, PROVIDER, model, body))


def snooze(queue: Queue, task: Held) -> None:
    assert queue.snooze(task, "1 day")


def asked(queue: Queue, worker: int, number: int = 1, **columns: Any) -> list[Held]:
    """Tasks that have requested a call and wait."""
    tasks = []
    for _ in range(number):
        task = queue.running(worker, **columns)
        assert ask(queue, task)
        snooze(queue, task)
        tasks.append(task)
    return tasks


def open_batch(queue: Queue, worker: int, most: int = 100, gather: str = "0", largest: int = 1_000_000) -> Any:
    query = "SELECT * FROM contentq.open_batch(%s, %s, %s, %s, %s::interval)"
    rows = queue.rows(query, worker, PROVIDER, most, largest, gather)
    return rows[0] if rows else None


def next_batch(queue: Queue, worker: int) -> Any:
    rows = queue.rows("SELECT * FROM contentq.next_batch(%s, %s)", worker, PROVIDER)
    return rows[0] if rows else None


def answer(queue: Queue, worker: int, batch: Any, tasks: list[Held], usage: str | None = None) -> int:
    query = "SELECT contentq.answer_batch(%s, %s, %s, %s, %s, %s, %s, %s)"
    ids, attempts = [task.id for task in tasks], [task.attempt for task in tasks]
    number = len(tasks)
    return int(
        queue.value(
            query,
            worker,
            batch["id"],
            batch["tending"],
            ids,
            attempts,
            number * [200],
            number * ["{}"],
            number * [usage],
        )
    )
