"""How well the slots are used by handlers that take their time."""

from __future__ import annotations

from tests.bench.bed import Bed

SLEEPERS, SLEEP, SLOTS = 2_000, 1.0, 500
BLOCKERS, BLOCK, THREADS = 2_000, 0.1, 64


def asynchronous(bed: Bed) -> float:
    """Seconds for 2,000 async handlers of 1 s at concurrency 500."""
    return _worked_off(bed, SLEEPERS, "tests.bench.handlers:sleeps", SLOTS)


def asynchronous_ideal(_bed: Bed) -> float:
    """Seconds, were there nothing but the handlers."""
    return SLEEPERS * SLEEP / SLOTS


def threads(bed: Bed) -> float:
    """Seconds for 2,000 plain functions of 0.1 s at concurrency 64."""
    return _worked_off(bed, BLOCKERS, "tests.bench.handlers:blocks", THREADS)


def threads_ideal(_bed: Bed) -> float:
    """Seconds, were there nothing but the handlers."""
    return BLOCKERS * BLOCK / THREADS


def _worked_off(bed: Bed, tasks: int, handler: str, slots: int) -> float:
    bed.fill(tasks)
    with bed.worker(handler, "--until-empty", "--concurrency", str(slots)) as worker:
        worker.wait(timeout=120)
    return tasks / bed.rate(tasks)
