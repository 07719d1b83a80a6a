"""What attempts have cost that do not end well, and numbers of types that JSON does not know."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from contentq import Context, GeneratedContent, PermanentError, Task

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
