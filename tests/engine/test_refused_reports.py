"""Logs of reports that were not accepted and of cancelled attempts: there may be thousands at once."""

from __future__ import annotations

import asyncio
import logging

import pytest
from contentq.engine import tally
from contentq.engine.tally import Observer, Tally
from contentq.queue.outcomes import CANCELLED, Completed, Failed, Held

MANY = 50_000


def test_refused_reports_are_named_once_and_counted_afterwards(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tally, "GATHERING", 0.0)
    caplog.set_level(logging.DEBUG, "contentq.worker")

    async def refuse(number: int) -> None:
        for id_ in range(number):
            counted.add_reported(Completed(Held(1, id_, 2, f"task-{id_}"), "{}"), None)
        # Runs after callbacks that were scheduled later.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    counted = Tally(Observer())
    asyncio.run(refuse(MANY))
    assert [record.getMessage() for record in caplog.records] == [
        "outcome refused task=task-0 attempt=2: no longer held by this worker in this attempt",
        f"outcomes refused tasks={MANY - 1}: no longer held by this worker in these attempts",
    ]
    assert counted.counts.refused == MANY

    caplog.clear()
    asyncio.run(refuse(1))
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_cancelled_attempts_are_named_once_and_counted_afterwards(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tally, "GATHERING", 0.0)
    caplog.set_level(logging.DEBUG, "contentq.worker")
    counted = Tally(Observer())

    async def cancel() -> None:
        for id_ in range(MANY):
            held = Held(1, id_, 2, f"task-{id_}")
            counted.add_reported(Failed(held, "Task cancelled", CANCELLED, permanent=True), "failed")
            counted.add_reported(Completed(held, "{}"), None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(cancel())

    assert [record.getMessage() for record in caplog.records] == [
        "attempt cancelled task=task-0 attempt=2",
        "outcome refused task=task-0 attempt=2: no longer held by this worker in this attempt",
        f"attempts cancelled tasks={MANY - 1}",
        f"outcomes refused tasks={MANY - 1}: no longer held by this worker in these attempts",
    ]
    assert (counted.counts.failed, counted.counts.refused) == (MANY, MANY)
