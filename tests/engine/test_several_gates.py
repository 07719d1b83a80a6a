"""Tasks that choose one of several gates: async and plain handlers, and what their gates record."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from contentq import Context, NoGateHasRoom, ProviderUnavailable, RateLimited, Task, ThreadContext

from tests.engine.conftest import Database, Insert, Row, StartWorker
from tests.support.waiting import eventually

A, B = "a.example", "b.example"
EVENTS = "SELECT key, kind, message FROM contentq.gate_events ORDER BY id"
TOTALS = "SELECT calls, answered FROM contentq.gate_totals(%s)"
WAITING = """
    SELECT FROM pg_stat_activity
    WHERE application_name = 'contentq gates' AND wait_event_type = 'Lock' AND datname = current_database()"""
USAGE = "SELECT model, prompt_tokens, cost::float8 FROM contentq.usage ORDER BY model"


def close(database: Database, key: str, for_: str = "1 hour") -> None:
    database.execute("SELECT contentq.close_gate(%s, clock_timestamp() + %s::interval, 'because')", [key, for_])


async def on_the_loop(_task: Task, context: Context) -> dict[str, Any]:
    gate = await context.enter_gate([A, B])
    return {"gate": gate, "own": context.gate, "over": context.passed_over}


def in_a_thread(_task: Task, context: ThreadContext) -> dict[str, Any]:
    gate = context.enter_gate([A, B])
    return {"gate": gate, "own": context.gate, "over": context.passed_over}


@pytest.mark.parametrize("handler", [on_the_loop, in_a_thread])
def test_task_passes_the_first_gate_that_has_room(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, handler: Any
) -> None:
    start_worker(handler, gates=(A, B))
    first = insert()
    eventually(lambda: row(first).status == "completed")
    assert row(first).result == {"gate": A, "own": A, "over": {}}
    close(database, A)

    second = insert()

    eventually(lambda: row(second).status == "completed")
    result = row(second).result
    assert (result["gate"], row(second).gate) == (B, B)
    assert result["over"][A].startswith(f"gate {A}: closed until")
    assert [database.execute(TOTALS, [key]).fetchone() for key in (A, B)] == [(1, 1), (1, 1)]
    found = database.execute("SELECT gate, gates FROM contentq.workers").fetchall()
    assert found == [(None, [A, B])]


@pytest.mark.parametrize("options", [{}, {"gate": "p"}])
def test_worker_with_one_gate_or_none_lets_every_call_pass(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, options: dict[str, Any]
) -> None:
    close(database, A)
    start_worker(on_the_loop, **options)

    id_ = insert()

    eventually(lambda: row(id_).status == "completed")
    assert row(id_).result == {"gate": A, "own": None, "over": {}}


def test_task_that_no_gate_has_room_for_is_put_off_until_one_has_and_keeps_its_error(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    seen: list[BaseException] = []

    async def handler(_task: Task, context: Context) -> None:
        try:
            await context.enter_gate([A])
        except NoGateHasRoom as error:
            seen.append(error)
            raise

    start_worker(handler, gates=(A, B))
    close(database, A)
    id_ = insert(error_message="the answer was empty", max_retries=0)

    eventually(lambda: len(seen) > 0 and row(id_).status == "pending")

    (error,) = seen
    assert isinstance(error, NoGateHasRoom)
    assert str(error).startswith(f"no gate has room: gate {A}: closed until")
    assert list(error.why) == [A]
    wait = "SELECT extract(epoch FROM scheduled_at - clock_timestamp())::float8 FROM content_generation_tasks"
    found = database.execute(wait).fetchone()
    assert found is not None
    assert 3500 < found[0] < 4400
    assert (row(id_).error_message, row(id_).retry_count) == ("the answer was empty", 0)
    assert database.execute(EVENTS).fetchall() == []


@pytest.mark.slow
def test_turn_that_comes_in_a_moment_is_waited_for(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    database.execute("SELECT contentq.set_gate(%s, requests_per_minute => 600)", [A])
    close(database, B)
    start_worker(on_the_loop, gates=(A, B))

    ids = [insert() for _ in range(15)]

    eventually(lambda: all(row(id_).status == "completed" for id_ in ids))
    attempts = [row(id_).attempt for id_ in ids]
    assert sum(attempts) - len(ids) <= 2, "hardly one was put off"


def test_refusal_and_outage_at_the_end_are_told_to_the_gate_that_was_entered(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    async def handler(task: Task, context: Context) -> None:
        await context.enter_gate([B])
        raise RateLimited("slow down", retry_after=60) if task.topic == "429" else ProviderUnavailable("away")

    start_worker(handler, gates=(A, B))
    limited = insert(topic="429")
    eventually(lambda: row(limited).error_message == "slow down")
    away = insert(topic="503", max_retries=0)

    eventually(lambda: row(away).status == "failed")
    assert database.execute(EVENTS).fetchall() == [(B, "refused", "slow down"), (B, "unanswered", "away")]


@pytest.mark.parametrize("kind", ["coroutine", "function"])
def test_attempt_goes_on_behind_another_gate_and_the_first_hears_of_the_call(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, kind: str
) -> None:
    error = RateLimited("used up", nothing_left=True, usage={"model": "large", "prompt_tokens": 7, "cost": 2})

    async def coroutine(_task: Task, context: Context) -> dict[str, Any]:
        await context.enter_gate([A, B])
        await context.leave_gate(error)
        assert context.gate is None
        return {"gate": await context.enter_gate([B]), "model": "small", "prompt_tokens": 3, "cost": 1}

    def function(_task: Task, context: ThreadContext) -> dict[str, Any]:
        context.enter_gate([A, B])
        context.leave_gate(error)
        return {"gate": context.enter_gate([B]), "model": "small", "prompt_tokens": 3, "cost": 1}

    start_worker(coroutine if kind == "coroutine" else function, gates=(A, B))
    id_ = insert()

    eventually(lambda: row(id_).status == "completed")
    assert (row(id_).result["gate"], row(id_).attempt) == (B, 1)
    assert error.usage is None, "it is counted once"
    assert database.execute(EVENTS).fetchall() == [(A, "exhausted", "used up")]
    assert database.execute(USAGE).fetchall() == [("large", 7, 2.0), ("small", 3, 1.0)]
    assert [database.execute(TOTALS, [key]).fetchone() for key in (A, B)] == [(1, 0), (1, 1)]


@pytest.mark.slow
def test_report_that_meets_a_locked_task_holds_up_no_other(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, connect: Callable[[], Database]
) -> None:
    entered, locked = threading.Event(), threading.Event()

    async def handler(task: Task, context: Context) -> None:
        await context.enter_gate([A, B])
        if task.topic == "locked":
            entered.set()
            await asyncio.to_thread(locked.wait, 30)
            await context.leave_gate(RateLimited("no"))

    start_worker(handler, gates=(A, B))
    first = insert(topic="locked")
    eventually(entered.is_set)
    other = connect()
    with other.transaction():
        other.execute("SELECT FROM content_generation_tasks WHERE id = %s FOR UPDATE", [first])
        locked.set()
        eventually(lambda: database.execute(WAITING).fetchone() is not None)

        second = insert()

        eventually(lambda: row(second).status == "completed")
        assert row(first).status == "processing"
    eventually(lambda: row(first).status == "completed")
    assert database.execute(EVENTS).fetchall() == [(A, "refused", "no")]


def test_what_a_call_has_cost_counts_without_gates_too(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    async def handler(_task: Task, context: Context) -> None:
        await context.enter_gate([A, B])
        await context.leave_gate(RateLimited("no", usage={"model": "large", "prompt_tokens": 7, "cost": 2}))

    start_worker(handler)
    id_ = insert()

    eventually(lambda: row(id_).status == "completed")
    assert database.execute(USAGE).fetchall() == [("large", 7, 2.0)]


def test_gate_that_the_worker_does_not_have_fails_its_task_and_no_other(
    start_worker: StartWorker, insert: Insert, row: Row
) -> None:
    async def handler(task: Task, context: Context) -> None:
        await context.enter_gate([A if task.topic == "known" else "c.example"])

    start_worker(handler, gates=(A, B))
    ids = [insert(topic=topic, max_retries=0) for topic in ("known", "unknown", "known")]

    eventually(lambda: [row(id_).status for id_ in ids] == ["completed", "failed", "completed"])
    assert "is registered with gates {a.example,b.example}, not with {c.example}" in row(ids[1]).error_message


def test_connection_that_breaks_while_a_task_enters_is_made_anew_and_counts_once(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    start_worker(on_the_loop, gates=(A, B))
    first = insert()
    eventually(lambda: row(first).status == "completed")
    ended = database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'contentq gates' AND datname = current_database()"
    ).fetchall()
    assert ended == [(True,)]

    second = insert()

    eventually(lambda: row(second).status == "completed")
    assert database.execute(TOTALS, [A]).fetchone() == (2, 2)
