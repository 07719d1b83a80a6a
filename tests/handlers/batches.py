"""Workers of the handler openai-batch in a test, and queries about them and their provider."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from contentq.handlers.loading import load

from tests.engine.conftest import RunningWorker
from tests.support import provider_batches
from tests.support.databases import Connection
from tests.support.provider_batches import BatchProvider
from tests.support.queue import Queue

SETTINGS = """
model = "small-1"
[prices.small-1]
input = 10
output = 20
[batch]
max_priority = 5
max_tasks = 100
gather_seconds = 0.1
poll_seconds = 0.1
"""


USAGE = (
    "SELECT attempts::int, prompt_tokens::int, completion_tokens::int, cost::float8 FROM contentq.usage_by_model"
)


def full_at(number: int, gather: float = 3.0) -> str:
    """Settings for full batches of this size; smaller batches wait for a few seconds."""
    settings = SETTINGS.replace("max_tasks = 100", f"max_tasks = {number}")
    return settings.replace("gather_seconds = 0.1", f"gather_seconds = {gather}")


StartBatches = Callable[..., RunningWorker]


@pytest.fixture
def queue(database: Connection) -> Queue:
    return Queue(database)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchProvider]:
    for name in list(os.environ):
        if name.startswith("OPENAI_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    with provider_batches.running() as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
        yield running


@pytest.fixture
def start(dsn: str, tmp_path: Path) -> Iterator[StartBatches]:
    """Starts workers with the handler; they are stopped at the end of the test."""
    started: list[RunningWorker] = []
    file = tmp_path / "openai.toml"

    def begin(settings: str = SETTINGS, **options: Any) -> RunningWorker:
        file.write_text(settings)
        handler = load("openai-batch", settings=file)
        started.append(RunningWorker(dsn, handler, **{"gates": handler.gates, "grace": 0.5, **options}))
        return started[-1]

    yield begin
    for worker in started:
        worker.leave()


def add(queue: Queue, number: int, **columns: Any) -> list[int]:
    return [queue.add(**{"topic": f"topic-{n}", **columns}) for n in range(number)]


def statuses(queue: Queue) -> dict[str, int]:
    found = queue.rows("SELECT status, count(*)::int AS n FROM content_generation_tasks GROUP BY 1")
    return {row["status"]: row["n"] for row in found}


def one_batch(queue: Queue) -> dict[str, Any]:
    [batch] = queue.rows("SELECT * FROM contentq.provider_batches")
    return batch


def are_sent(queue: Queue) -> bool:
    """Whether every request is at the provider and no task runs."""
    waiting = "SELECT count(*) FROM contentq.batch_requests AS r LEFT JOIN contentq.provider_batches AS b "
    waiting += "ON b.id = r.batch_id WHERE b.provider_id IS NULL"
    asked = queue.value("SELECT count(*) FROM contentq.batch_requests")
    return bool(asked) and not queue.value(waiting) and not statuses(queue).get("processing")
