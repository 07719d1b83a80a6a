"""Two claimers never get the same task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.support.queue import Queue

pytestmark = pytest.mark.slow

CLAIMERS = 8
TASKS = 5_000
BATCH = 20


def test_eight_claimers_get_every_task_exactly_once(queue: Queue, connect_queue: Callable[[], Queue]) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, priority) SELECT %s, 1 + n %% 3 "
        "FROM generate_series(1, %s) AS n",
        queue.account,
        TASKS,
    )
    start = Barrier(CLAIMERS)

    def claim_all(own: Queue) -> list[int]:
        worker, claimed = own.register(), list[int]()
        start.wait(timeout=30)
        while batch := own.claim(worker, BATCH):
            assert len(batch) <= BATCH
            assert all(row["worker_id"] == worker for row in batch)
            claimed += [row["id"] for row in batch]
        return claimed

    sessions = [connect_queue() for _ in range(CLAIMERS)]
    with ThreadPoolExecutor(CLAIMERS) as pool:
        claims = list(pool.map(claim_all, sessions))

    times = Counter(id_ for claimed in claims for id_ in claimed)
    assert set(times.values()) == {1}
    # A task that other claimers skipped while one had it locked is still there for that one.
    assert len(times) == TASKS
    assert queue.values("SELECT DISTINCT attempt FROM content_generation_tasks") == [1]
    assert queue.values("SELECT DISTINCT status FROM content_generation_tasks") == ["processing"]
