"""Metrics of one worker, from its memory; they need no database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from contentq.engine.health import Health
from contentq.engine.tally import Observer
from contentq.engine.timings import Timings
from contentq.metrics.exposition import Exposition
from contentq.metrics.families import WORKER
from contentq.metrics.samples import Counter, Samples
from contentq.queue.outcomes import Failed, Outcome, Revised
from contentq.version import __version__

if TYPE_CHECKING:
    from contentq.metrics.server import Pages

NOT_YET = "the worker has not started yet"


class OfWorker:
    """The metrics of a worker. observer: to pass to the worker. health: returns None until the worker starts."""

    def __init__(self, handler: str, slots: int, timings: Timings) -> None:
        self.health: Callable[[], Health | None] = lambda: None
        self.observer = Observer(reported=self._count)
        self._handler = handler
        self._slots = slots
        self._timings = timings
        self._failures = Counter()

    def read(self) -> Samples:
        """Returns the metrics."""
        samples = Samples(WORKER)
        samples.set("contentq_worker_info", 1, __version__, self._handler)
        samples.set("contentq_worker_slots", self._slots)
        for error_class, attempts in self._failures:
            samples.set("contentq_worker_failed_attempts_total", attempts, error_class)
        health = self.health()
        if health is not None:
            _add_health(samples, health)
        return samples

    def pages(self) -> Pages:
        """Returns the pages that the worker serves."""
        from contentq.metrics.server import Pages

        return Pages(Exposition(self.read), self.alive, self.ready)

    def alive(self) -> str | None:
        """Returns why the worker should be restarted; None if it should not."""
        health = self.health()
        return None if health is None else health.dead_because()

    def ready(self) -> str | None:
        """Returns why the worker cannot claim tasks; None if it can."""
        health = self.health()
        return NOT_YET if health is None else health.unready_because(self._timings)

    def _count(self, outcome: Outcome, status: str | None) -> None:
        if status is None:
            return
        if isinstance(outcome, Failed):
            self._failures.add(outcome.error_class, 1)
        elif isinstance(outcome, Revised):
            self._failures.add("CheckFailed", 1)


def _add_health(samples: Samples, health: Health) -> None:
    counts = asdict(health.counts)
    samples.set("contentq_worker_claimed_total", counts.pop("claimed"))
    for outcome, number in counts.items():
        samples.set("contentq_worker_attempts_total", number, outcome)
    samples.set("contentq_worker_running", health.running)
    samples.set("contentq_worker_registered", int(health.is_registered))
    samples.set("contentq_worker_loop_silence_seconds", health.loop_silence)
    samples.set("contentq_worker_stopping", int(health.is_stopping))
    if health.heartbeat_age is not None:
        samples.set("contentq_worker_heartbeat_age_seconds", health.heartbeat_age)
