"""Simulates a fleet at a gate and its provider, faster than real time.

The gate is real: the database functions that claims and reports call, with simulated times. The workers, the calls
and the provider are simulated, in an order that only the seed and the gate determine. A simulated minute takes
some seconds.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.support.queue import Queue

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
"""The time at which a simulation starts."""

LATEST = 3600.0
"""Maximum seconds that a refusal names."""


@dataclass
class Provider:
    """Accepts or refuses each call.

    rate: calls per second, if limited. burst: capacity of the bucket of calls. window: seconds of fixed windows,
    instead of a bucket. at_once: concurrent calls. share: share of calls that are refused at random. tokens:
    tokens per second, from a bucket that holds the amount of 10 seconds. whole: whether refusals name whole
    seconds. is_down: it does not answer.
    """

    rate: float | None = None
    burst: float = 1.0
    window: float | None = None
    at_once: int | None = None
    share: float = 0.0
    tokens: float | None = None
    whole: bool = False
    is_down: bool = False
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    unanswered: list[float] = field(default_factory=list)
    amounts: list[tuple[float, float]] = field(default_factory=list)
    running: int = 0
    _level: float | None = None
    _amount: float | None = None
    _at: float = 0.0
    _number: int = -1
    _taken: int = 0

    def call(self, now: float, tokens: float) -> float | None:
        """None if the call is accepted, otherwise the seconds to wait."""
        wait = self._wait(now, tokens)
        if wait is None:
            self.accepted.append(now)
            self.amounts.append((now, tokens))
            self.running += 1
            return None
        self.refused.append(now)
        wait = min(wait, LATEST)
        return float(int(wait) + (wait > int(wait))) if self.whole else wait

    def _wait(self, now: float, tokens: float) -> float | None:
        passed, self._at = now - self._at, now
        if self.at_once is not None and self.running >= self.at_once:
            return 1.0
        if self.share and self.chance.random() < self.share:
            return 2.0
        if self.rate is not None and self.window is not None:
            number = int(now / self.window)
            if number != self._number:
                self._number, self._taken = number, 0
            if self._taken >= self.rate * self.window:
                return (number + 1) * self.window - now
            self._taken += 1
        elif self.rate is not None:
            level = self.burst if self._level is None else min(self.burst, self._level + passed * self.rate)
            self._level = level
            if level < 1 - 1e-9:
                return (1 - level) / self.rate
            self._level -= 1
        if self.tokens is not None:
            most = 10 * self.tokens
            amount = most if self._amount is None else min(most, self._amount + passed * self.tokens)
            self._amount = amount
            if amount < tokens:
                return (tokens - amount) / self.tokens
            self._amount -= tokens
        return None


@dataclass
class Fleet:
    """Workers with one gate.

    slots: slots per worker. seconds: duration of the next answer; tokens: its cost. says_nothing_left: refusals
    report that nothing is left until the time that they name. stalls: average seconds for which a worker stops
    about once a second, as on a busy machine; afterwards it does at once everything that became due. late: average
    seconds by which calls reach the provider later than the claim allows, by chance.
    """

    queue: Queue
    provider: Provider
    workers: int = 3
    slots: int = 50
    key: str = "api.example"
    seconds: Callable[[random.Random], float] = lambda chance: 1.0
    tokens: Callable[[random.Random], float] = lambda chance: 0.0
    says_nothing_left: bool = False
    stalls: float = 0.0
    late: float = 0.003
    chance: random.Random = field(default_factory=lambda: random.Random(11))
    now: float = 0.0

    def __post_init__(self) -> None:
        self._order = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._rows: dict[int, list[int]] = {}
        self._wakes: dict[int, float] = {}
        self._stalls: dict[int, tuple[float, float]] = {}
        for _ in range(self.workers):
            worker = self.queue.register(self.slots, self.key)
            self._rows[worker] = [self.queue.add() for _ in range(self.slots)]
            self._stalls[worker] = (0.0, 0.0)
            self._wake(worker, self.chance.uniform(0, 0.05))

    def run(self, seconds: float) -> None:
        """Advances the simulation by this many seconds."""
        until = self.now + seconds
        while self._events and self._events[0][0] <= until:
            self.now, _, happens = heapq.heappop(self._events)
            happens()
        self.now = until

    def at(self, now: float) -> datetime:
        """A simulated time as the database stores it."""
        return BEGAN + timedelta(seconds=now)

    def _later(self, seconds: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), happens))

    def _late(self, worker: int, seconds: float) -> float:
        """Seconds until a worker does something that is due in `seconds`: later if it is stalled then."""
        at = self.now + seconds
        begin, end = self._stalls[worker]
        while self.stalls and end < at:
            begin = max(end, self.now) + self.chance.expovariate(1)
            end = begin + self.chance.expovariate(1 / self.stalls)
            self._stalls[worker] = begin, end
        return seconds if not begin <= at <= end else end - self.now

    def _wake(self, worker: int, seconds: float) -> None:
        """Lets a worker claim after this delay, unless it claims earlier anyway."""
        at = self.now + seconds
        if self._wakes.get(worker, float("inf")) <= at:
            return
        self._wakes[worker] = at

        def claim() -> None:
            if self._wakes.get(worker) == at:
                del self._wakes[worker]
                self._claim(worker)

        self._later(self._late(worker, seconds), claim)

    def _claim(self, worker: int) -> None:
        free, now = self._rows[worker], self.at(self.now)
        if not free:
            return
        room = max(0, self.queue.value("SELECT contentq.gate_room(%s, %s, %s)", self.key, len(free), now))
        taken, self._rows[worker] = free[:room], free[room:]
        if taken:
            self.queue.run(
                "UPDATE contentq.claimers SET calls = calls + %s WHERE worker_id = %s", len(taken), worker
            )
            self.queue.run("SELECT contentq.spend_gate(%s, %s, %s)", self.key, len(taken), now)
            self.queue.run(
                "UPDATE content_generation_tasks SET status = 'processing', worker_id = %s, started_at = %s, "
                "attempt = attempt + 1 WHERE id = ANY (%s)",
                worker,
                now,
                taken,
            )
        for row in taken:
            # The response to the claim, the start of the handler, the way to the provider.
            late = self._late(worker, 0.002 + self.chance.expovariate(1 / self.late))
            self._later(late, self._call(worker, row, self.now))
        if self._rows[worker]:
            waits = self.queue.values(
                "SELECT coalesce(extract(epoch FROM next_in), 60)::float8 FROM contentq.gate_wait(%s, %s)",
                self.key,
                now,
            )
            late = self.chance.uniform(0, 0.002)
            self._wake(worker, max(0.001, waits[0]) + late if waits else 0.005)

    def _call(self, worker: int, row: int, began: float) -> Callable[[], None]:
        def happens() -> None:
            tokens = self.tokens(self.chance)
            if self.provider.is_down:
                self.provider.unanswered.append(self.now)
                self._later(0.01, lambda: self._end(worker, row, began, "unanswered", None))
                return
            wait = self.provider.call(self.now, tokens)
            if wait is None:
                self._later(self.seconds(self.chance), lambda: self._answer(worker, row, began, tokens))
            else:
                # The way back and the report.
                late = 0.003 + self.chance.expovariate(1 / 0.004)
                self._later(late, lambda: self._end(worker, row, began, "refused", wait))

        return happens

    def _answer(self, worker: int, row: int, began: float, tokens: float) -> None:
        self.provider.running -= 1
        self._free(worker, row)
        self.queue.run("SELECT contentq.note_answers(%s, 1, %s, %s)", worker, self.at(began), round(tokens))
        self._wake(worker, 0.002)

    def _end(self, worker: int, row: int, began: float, kind: str, wait: float | None) -> None:
        self._free(worker, row)
        until = None if wait is None else self.at(self.now + wait)
        kind = "exhausted" if kind == "refused" and self.says_nothing_left else kind
        self.queue.run(
            "SELECT contentq.note_gate_event(%s, %s, %s, %s, 'said so', %s)",
            self.key,
            self.at(began),
            kind,
            until,
            self.at(self.now),
        )
        self._wake(worker, 0.002)

    def _free(self, worker: int, row: int) -> None:
        self.queue.run(
            "UPDATE content_generation_tasks SET status = 'pending', worker_id = NULL WHERE id = %s", row
        )
        self._rows[worker].append(row)


def between(times: list[float], since: float, until: float) -> int:
    """Number of these times within the period."""
    return sum(since <= time < until for time in times)
