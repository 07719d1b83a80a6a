"""Statements of an idle worker."""

from __future__ import annotations

from collections import Counter
from typing import Any

import psycopg
import pytest
from contentq import Context, Task

from tests.engine.conftest import Database, Insert, Row, StartWorker
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

HEARTBEATS = 4
"""One every two seconds: these serve as the clock."""

STATEMENTS_PER_HEARTBEAT = 2.5
"""The heartbeat, housekeeping every four seconds, a claim every five, and a margin: about one a second."""


async def nothing(_task: Task, _context: Context) -> None:
    return None


@pytest.mark.parametrize(
    ("gate", "a_minute"),
    [
        pytest.param(None, None, id="free"),
        pytest.param("api.example", None, id="gate"),
        pytest.param("api.example", 6, id="paced"),
    ],
)
def test_worker_that_nothing_is_for_makes_about_one_statement_a_second(
    start_worker: StartWorker,
    insert: Insert,
    row: Row,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    gate: str | None,
    a_minute: int | None,
) -> None:
    made: Counter[str] = Counter()
    execute = psycopg.AsyncCursor.execute

    async def counted(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        made["heartbeats" if "heartbeat" in str(query) else "others"] += 1
        return await execute(self, query, *arguments, **options)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", counted)
    if a_minute is not None:
        database.execute("SELECT contentq.set_gate(%s, requests_per_minute => %s)", [gate, a_minute])
    task = insert(priority=10)
    for _ in range(20 if a_minute else 0):
        insert()
    start_worker(nothing, gate=gate)
    eventually(lambda: row(task).status == "completed", within=10)
    begun = made["heartbeats"]
    eventually(lambda: made["heartbeats"] > begun, within=10)
    before = made.total()

    eventually(lambda: made["heartbeats"] > begun + HEARTBEATS, within=30)

    assert made.total() - before <= STATEMENTS_PER_HEARTBEAT * HEARTBEATS
