"""Any role that may connect may notify any channel.

A flood costs a worker little, and its tasks at most a poll.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.security.conftest import StartWorker
from tests.support.queue import Queue
from tests.support.waiting import eventually

MEMORY = 50_000_000
"""Maximum growth of a worker in bytes."""

POLL = 5.5 + 2
"""Maximum seconds between two polls of an idle worker, and for a claim on a busy machine."""

SECONDS = 3

FLOODS = {
    "empty": "PERFORM pg_notify('contentq_ready', '')",
    "large": "PERFORM pg_notify('contentq_ready', repeat('x', 7900) || n) FROM generate_series(1, 20) AS n",
}


@contextmanager
def flood(strangers: list[Queue], what: str, role: str) -> Iterator[None]:
    """Notifies continuously from several sessions while the block runs."""

    def notify(stranger: Queue) -> None:
        while not ended.is_set():
            stranger.run(f"DO $$ BEGIN FOR i IN 1..2000 LOOP {what}; COMMIT; END LOOP; END $$")

    ended = threading.Event()
    for stranger in strangers:
        stranger.run(f"SET ROLE {role}")
        stranger.run("SET synchronous_commit = off")
    threads = [threading.Thread(target=notify, args=[stranger]) for stranger in strangers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def memory_of(process: Any) -> int:
    """The memory of a process in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.slow
@pytest.mark.parametrize("kind", FLOODS)
def test_flood_of_notifications_costs_little_memory_and_delays_tasks_by_a_poll(
    queue: Queue, connect_queue: Callable[[], Queue], role: str, start_worker: StartWorker, kind: str
) -> None:
    process = start_worker("--concurrency", "4")
    first = queue.add()
    eventually(lambda: queue.status(first) == "completed", within=30)
    before, peak, tasks = memory_of(process), 0, []
    give_up = time.monotonic() + SECONDS

    with flood([connect_queue(), connect_queue()], FLOODS[kind], role):
        while time.monotonic() < give_up:
            tasks.append(queue.add())
            eventually(lambda: time.monotonic() >= give_up - SECONDS + len(tasks) / 5)
            peak = max(peak, memory_of(process))
        eventually(lambda: {queue.status(task) for task in tasks} == {"completed"}, within=2 * POLL)
        peak = max(peak, memory_of(process))

    waits = queue.values(
        "SELECT extract(epoch FROM started_at - submitted_at) FROM content_generation_tasks WHERE id = ANY (%s)",
        tasks,
    )
    assert max(waits) < POLL
    assert peak - before < MEMORY
    assert b"flood of notifications" in process.log.read_bytes()  # type: ignore[attr-defined]
