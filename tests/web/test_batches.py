"""The page of batches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from contentq.web.pages import batches as page_of_batches

from tests.support.queue import Queue
from tests.web.conftest import Client

NASTY = '</td><script>alert(1)</script>\x1b[31m\u202e"'


def test_batch_is_shown_with_what_is_done_and_its_cost(client: Client, queue: Queue) -> None:
    now = datetime.now(UTC)
    for cost in ("0.25", "0.5", "0.75"):
        queue.add(
            batch="monday",
            status="completed",
            started_at=now - timedelta(minutes=2),
            completed_at=now,
            result=f'{{"cost": {cost}}}',
        )
    queue.add(batch="monday")
    queue.add(batch="tuesday", status="failed", error_message="No", submitted_at=now + timedelta(seconds=5))
    answer = client.get("/batches")
    assert answer.text.index("tuesday") < answer.text.index("monday")
    assert "75.0 %" in answer.text
    assert "1.50" in answer.text
    assert "/tasks?batch=tuesday&amp;status=failed" in answer.body
    assert "tuesday" not in client.get("/batches?batch=monday").text
    assert "Batch not found." in client.get("/batches?batch=sunday").text


def test_batches_that_take_long_to_count_are_named(
    client: Client, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_of_batches, "PATIENCE", 0.0)
    queue.add(batch="monday", submitted_at=datetime(2026, 1, 1, tzinfo=UTC))
    queue.add(batch="tuesday", submitted_at=datetime(2026, 1, 2, tzinfo=UTC))
    answer = client.get("/batches")
    assert answer.text.count("Show this batch") == 1
    assert "/batches?batch=monday" in answer.body
    assert "0.0 %" in client.get("/batches?batch=monday").text


def test_text_of_strangers_is_neither_markup_nor_unseen(client: Client, queue: Queue) -> None:
    queue.add(batch=NASTY)
    answer = client.get("/batches")
    assert "<script>alert" not in answer.body
    assert r"\x1b[31m\u202e" in answer.text
