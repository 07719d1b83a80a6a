"""Slot utilisation with slow handlers, and the memory that thousands of handlers need."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.bed import Bed, wait_for
from tests.bench.figures import Figure, Measurement, Reading, at_most
from tests.bench.processes import peak_memory


def _async(on: Bed) -> Iterator[Reading]:
    seconds, _ = _worked_off(on, 2_000, "sleeps", 500)
    yield Reading(ASYNC, seconds, 2_000 * 1.0 / 500)


def _many(on: Bed) -> Iterator[Reading]:
    seconds, megabytes = _worked_off(on, 10_000, "sleeps_long", 5_000)
    yield Reading(MANY, seconds, 10_000 * 5.0 / 5_000)
    yield Reading(MANY_MEMORY, megabytes)


def _threads(on: Bed) -> Iterator[Reading]:
    seconds, _ = _worked_off(on, 2_000, "blocks", 64)
    yield Reading(THREADS, seconds, 2_000 * 0.1 / 64)


def _worked_off(on: Bed, tasks: int, handler: str, slots: int) -> tuple[float, float]:
    """Seconds from the first start to the last completion, and peak resident megabytes."""
    on.fill(tasks)
    peak = 0.0
    with on.worker(f"tests.bench.handlers:{handler}", "--until-empty", "--concurrency", str(slots)) as worker:

        def has_ended() -> bool:
            nonlocal peak
            peak = max(peak, peak_memory(worker.pid))
            return worker.poll() is not None

        wait_for(has_ended, within=120)
    return tasks / on.rate(tasks), peak


ASYNC = Figure("2,000 × 1 s, async, 500 slots", "s", "ideal", value=at_most(4.2))
MANY = Figure("10,000 × 5 s, async, 5,000 slots", "s", "ideal", value=at_most(12))
MANY_MEMORY = Figure("10,000 × 5 s, most memory", "MB", value=at_most(250))
THREADS = Figure("2,000 × 0.1 s, threads, 64 slots", "s", "ideal", ratio=at_most(1.15))

MEASUREMENTS = [
    Measurement((ASYNC,), _async),
    Measurement((MANY, MANY_MEMORY), _many),
    Measurement((THREADS,), _threads),
]
