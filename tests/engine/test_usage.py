"""Costs of attempts that do not end well, and numbers of types that JSON lacks."""

from __future__ import annotations

import asyncio
import json
import threading
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from contentq import (
    Context,
    GeneratedContent,
    HandlerError,
    PermanentError,
    ProviderUnavailable,
    RateLimited,
    Task,
    TemporaryError,
)
from contentq.database.connect import connect_async
from contentq.queue import contract
from contentq.queue.outcomes import Failed, Held

from tests.engine.conftest import Database, Insert, Row, StartWorker
from tests.support.waiting import eventually

PAID = {"model": "m", "prompt_tokens": 10, "completion_tokens": 1, "cost": 0.5}
USAGE = "SELECT attempts, prompt_tokens, cost::float8 FROM contentq.usage"


def raising(error: Exception) -> Any:
    async def handler(_task: Task, _context: Context) -> None:
        raise error

    return handler


def status_of(database: Database, id_: int) -> Any:
    """A task's status as it is now."""
    found = database.execute("SELECT status FROM content_generation_tasks WHERE id = %s", [id_]).fetchone()
    return None if found is None else found[0]


@pytest.mark.parametrize(
    ("usage", "counted", "dropped"),
    [
        ({"model": "m", "cost": Decimal("2.5")}, ("m", 0, 2.5), None),
        ({"prompt_tokens": Decimal(12), "cost": Fraction(1, 4)}, ("unknown", 12, 0.25), None),
        ({"prompt_tokens": 12, "cost": float("nan")}, ("unknown", 12, 0), "cost=nan"),
        ({"prompt_tokens": 12, "cost": "2.5", "raw": ...}, ("unknown", 12, 0), "cost='2.5'"),
        ({"model": "a\x00b", "prompt_tokens": 12}, ("a\\x00b", 12, 0), None),
        ({"model": "\ud800", "prompt_tokens": 12}, ("\\ud800", 12, 0), None),
        ({"model": 7, "prompt_tokens": -1, "cost": 2}, ("unknown", 0, 2), "model=7; prompt_tokens=-1"),
    ],
    ids=repr,
)
def test_each_member_of_usage_counts_for_itself(
    start_worker: StartWorker,
    insert: Insert,
    database: Database,
    caplog: pytest.LogCaptureFixture,
    usage: Any,
    counted: Any,
    dropped: str | None,
) -> None:
    start_worker(raising(PermanentError("no", usage=usage)))
    id_ = insert(task_id="post-1")

    eventually(lambda: status_of(database, id_) == "failed")

    found = database.execute("SELECT model, prompt_tokens, cost::float8 FROM contentq.usage").fetchall()
    assert found == [counted]
    if dropped is None:
        assert "usage not counted" not in caplog.text
    else:
        assert f"usage not counted task=post-1 attempt=1: {dropped}\n" in caplog.text


@pytest.mark.parametrize(
    "value",
    [
        GeneratedContent("t", "a\x00b", result=PAID),
        GeneratedContent("t", 5, result=PAID),  # type: ignore[arg-type]
        GeneratedContent("t", "b", word_count=-1, result=PAID),
        GeneratedContent("t", "b", word_count="many", result=PAID),  # type: ignore[arg-type]
        GeneratedContent("t", "b", result={**PAID, "raw": ...}),
        {**PAID, "raw": {1, 2}},
        {**PAID, "raw": "a\x00b"},
        {**PAID, "raw": float("inf")},
    ],
    ids=repr,
)
def test_what_a_result_that_cannot_be_stored_has_cost_is_charged(
    start_worker: StartWorker, insert: Insert, database: Database, value: Any
) -> None:
    async def handler(_task: Task, _context: Context) -> Any:
        return value

    start_worker(handler)
    id_ = insert()

    eventually(lambda: status_of(database, id_) == "failed")

    assert database.execute(USAGE).fetchall() == [(1, 10, 0.5)]


@pytest.mark.parametrize("in_transaction", [False, True], ids=["alone", "in the handler's transaction"])
@pytest.mark.parametrize("value", [GeneratedContent("t", "refused", result=PAID), PAID], ids=["content", "result"])
def test_what_a_result_that_postgresql_refuses_has_cost_is_charged(
    start_worker: StartWorker, insert: Insert, database: Database, value: Any, in_transaction: bool
) -> None:
    database.execute("ALTER TABLE contents ADD CHECK (body <> 'refused')")
    database.execute("ALTER TABLE content_generation_tasks ADD CHECK (result->>'model' <> 'm')")

    async def handler(_task: Task, context: Context) -> Any:
        if in_transaction:
            await context.connection()
        return value

    start_worker(handler)
    id_ = insert(max_retries=0)

    eventually(lambda: status_of(database, id_) == "failed")

    assert database.execute(USAGE).fetchall() == [(1, 10, 0.5)]


def test_result_may_hold_decimals(start_worker: StartWorker, insert: Insert, row: Row, database: Database) -> None:
    async def handler(_task: Task, _context: Context) -> dict[str, Any]:
        return {"cost": Decimal("0.10"), "prompt_tokens": Decimal("12"), "id": Decimal(10**20 + 1)}

    start_worker(handler)
    id_ = insert()

    eventually(lambda: status_of(database, id_) == "completed")

    assert row(id_).result == {"cost": 0.1, "prompt_tokens": 12, "id": 10**20 + 1}
    assert database.execute(USAGE).fetchall() == [(1, 12, 0.1)]


class Bare(RateLimited):
    """Values that a handler's author may pass."""

    def __init__(self) -> None:
        pass


class Unreadable(TemporaryError):
    @property
    def usage(self) -> Any:
        raise RuntimeError("no")

    @usage.setter
    def usage(self, value: Any) -> None:
        pass


@pytest.mark.parametrize(
    "error",
    [
        RateLimited("429", retry_after=3600, usage=PAID),
        TemporaryError("cut off", retry_after=3600, usage=PAID),
        PermanentError("filtered", usage=PAID),
        HandlerError("bad", usage=PAID),
        ProviderUnavailable("502", retry_after=3600, usage=PAID),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_failed_attempt_has_cost_is_charged_once(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, error: Exception
) -> None:
    database.execute("UPDATE contentq.settings SET backoff_base = '1 hour', backoff_max = '1 hour'")
    start_worker(raising(error))
    id_ = insert()

    eventually(lambda: row(id_).error_message is not None)

    assert database.execute(USAGE).fetchall() == [(1, 10, 0.5)]


def test_several_that_fail_at_once_are_each_charged_once(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    async def handler(task: Task, _context: Context) -> None:
        usage = {**PAID, "prompt_tokens": task.id} if task.id % 2 else None
        raise PermanentError("no", usage=usage)

    with database.transaction():
        tasks = [insert() for _ in range(40)]
    start_worker(handler, concurrency=40)

    eventually(lambda: all(row(id_).status == "failed" for id_ in tasks))

    tokens = sum(id_ for id_ in tasks if id_ % 2)
    assert database.execute(USAGE).fetchall() == [(20, tokens, 10.0)]


@pytest.mark.parametrize("error", [RateLimited, TemporaryError])
def test_report_that_is_refused_charges_nothing(
    start_worker: StartWorker,
    insert: Insert,
    row: Row,
    database: Database,
    error: type[RateLimited | TemporaryError],
) -> None:
    go = threading.Event()

    async def handler(task: Task, _context: Context) -> None:
        if task.attempt == 1:
            await asyncio.to_thread(go.wait, 30)
            raise error("late", usage=PAID)

    running = start_worker(handler, listen=False, poll=60)
    id_ = insert()
    eventually(lambda: row(id_).status == "processing")
    database.execute("UPDATE content_generation_tasks SET attempt = attempt + 1")
    go.set()

    eventually(lambda: running.worker.counts.refused == 1)

    assert row(id_).status == "processing"
    assert database.execute(USAGE).fetchall() == []


@pytest.mark.parametrize(
    "usage",
    [
        {"cost": float("nan")},
        {"cost": ...},
        {"cost": "5", "prompt_tokens": -3},
        {"prompt_tokens": 10**400},
        {"cost": True},
        {"cost": Decimal("sNaN")},
        {"input_tokens": 3},
        {"model": 7},
        5,
        "cheap",
        [1, 2],
    ],
    ids=repr,
)
def test_usage_that_makes_no_sense_is_not_counted_and_logged(
    start_worker: StartWorker,
    insert: Insert,
    row: Row,
    database: Database,
    caplog: pytest.LogCaptureFixture,
    usage: Any,
) -> None:
    error = PermanentError("no")
    error.usage = usage
    start_worker(raising(error))
    id_ = insert()

    eventually(lambda: row(id_).status == "failed")

    assert row(id_).error_message == "no"
    assert database.execute(USAGE).fetchall() == []
    assert f"usage not counted task={row(id_).task_id} attempt=1: " in caplog.text


def test_usage_that_postgresql_refuses_does_not_cost_the_report(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    database.execute("ALTER TABLE contentq.usage ADD CHECK (cost < 100)")
    start_worker(raising(TemporaryError("busy", usage={"cost": 1000}, retry_after=3600)))
    id_ = insert()

    eventually(lambda: row(id_).status == "pending" and row(id_).error_message == "busy")

    assert row(id_).retry_count == 1
    assert database.execute(USAGE).fetchall() == []


@pytest.mark.parametrize("error", [Bare(), Unreadable("busy", retry_after=0.1)], ids=["bare", "unreadable"])
def test_error_classes_that_leave_things_out_count_as_what_they_are(
    start_worker: StartWorker, insert: Insert, row: Row, error: Exception
) -> None:
    start_worker(raising(error), gate="p")
    id_ = insert(max_retries=0) if isinstance(error, RateLimited) else insert(max_retries=5)

    eventually(lambda: row(id_).error_message is not None)

    assert row(id_).status == "pending"
    assert row(id_).error_message in ("Bare", "busy")


def test_stale_attempt_beside_the_valid_one_of_the_same_task_is_not_charged(
    insert: Insert, database: Database, dsn: str
) -> None:
    id_ = insert()
    held = "SELECT contentq.register_worker('here', 1, 1, 'h')"
    found = database.execute(held).fetchone()
    assert found is not None
    database.execute("SELECT contentq.claim(%s, 1)", found)
    stale, valid = (
        Failed(Held(found[0], id_, attempt, "t"), "busy", "E", usage=json.dumps(PAID)) for attempt in (0, 1)
    )

    async def report() -> dict[int, str]:
        async with await connect_async(dsn, "contentq report") as connection:
            return await contract.fail(connection, found[0], [stale, valid])

    assert asyncio.run(report()) == {id_: "pending"}
    assert database.execute(USAGE).fetchall() == [(1, 10, 0.5)]


def test_results_keep_their_own_usage(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    async def handler(_task: Task, _context: Context) -> dict[str, Any]:
        return {"text": "done", **PAID}

    start_worker(handler, gate="p")
    id_ = insert()
    eventually(lambda: row(id_).status == "completed")

    assert row(id_).result == json.loads(json.dumps({"text": "done", **PAID}))
    assert database.execute(USAGE).fetchall() == [(1, 10, 0.5)]
