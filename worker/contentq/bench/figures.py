"""Runs all measurements, one after another, within a time limit."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from contentq.bench import drain, latency
from contentq.bench.commits import Timings, time_commits
from contentq.bench.drain import Drained
from contentq.bench.scratch import Scratch, scratch_database
from contentq.database.database import Database
from contentq.engine.options import WorkerOptions
from contentq.errors import ContentQueueError

SHARES = {"commits": 0.1, "latency": 0.35, "fill": 0.25}
"""How much of the time each measure may take; the drain gets what is left."""

TOO_SHORT = 0.2
"""Seconds of a drain from which nothing follows: start and end are most of it."""

CLEARLY = 0.6
"""Share of the drain's time from which something is what limits."""

HARDLY = 0.15
"""Share up to which something is not waited for much."""

_SERVER = """
    SELECT split_part(current_setting('server_version'), ' ', 1), current_setting('fsync'),
           current_setting('synchronous_commit'), current_setting('synchronous_standby_names'), pg_backend_pid()"""


class Limit(Enum):
    """What most of the time of a drain goes into."""

    NETWORK = "network"
    DISK = "disk"
    WORKER = "worker"
    SERVER = "server"
    SEVERAL = "several"
    """No one of these."""


@dataclass(frozen=True)
class Server:
    """Which one it is, and what of its version and settings the figures depend on."""

    host: str
    """Name or address; the folder of the socket on the same machine."""
    port: int
    database: str
    user: str
    version: str
    fsync: str
    synchronous_commit: str
    standbys: str
    is_direct: bool
    """Whether no pooler is in between."""

    @property
    def is_durable(self) -> bool:
        """Whether what was committed survives a crash, as it should."""
        return self.fsync == "on" and self.synchronous_commit != "off"


@dataclass(frozen=True)
class Figures:
    """What was measured; all times but those of the drain in milliseconds."""

    server: Server
    timings: Timings
    latencies: list[float]
    """From INSERT to start; none through a pooler, where nobody can listen."""
    tasks: int
    """That were to be worked off."""
    drained: Drained

    @property
    def median(self) -> float:
        """Half of the tasks start sooner."""
        return statistics.median(self.latencies)

    @property
    def p99(self) -> float:
        """99 of 100 tasks start within this; all, of fewer than 100."""
        return sorted(self.latencies)[math.ceil(0.99 * len(self.latencies)) - 1]

    @property
    def nearly_all(self) -> str:
        """How many those are, in words."""
        return "99 of 100" if len(self.latencies) >= 100 else f"all {len(self.latencies)}"

    @property
    def waiting(self) -> dict[Limit, float]:
        """Shares of the drain's time, at most, that would be gone without round trips, or without flushes.

        Claims and reports travel on two connections, at the same time: what one of them waits for does not add to
        what the other does, and both wait while the worker, or the server for the other one, may be computing. So
        it is the waiting of the busier connection that counts, and not even all of that need delay the drain.
        """
        drained = self.drained
        each = max(drained.claims, drained.reports) / drained.seconds / 1000
        flush = max(0.0, self.timings.commit - self.timings.round_trip)
        return {
            Limit.NETWORK: min(1.0, each * self.timings.round_trip),
            Limit.DISK: min(1.0, each * flush),
        }

    @property
    def limit(self) -> Limit | None:
        """What a faster drain would need more of; SEVERAL where nothing takes clearly more than half of it.

        None after a drain from which nothing follows.
        """
        if self.drained.seconds < TOO_SHORT:
            return None
        shares = {**self.waiting, Limit.WORKER: self.drained.computing}
        largest = max(shares, key=shares.__getitem__)
        if shares[largest] >= CLEARLY:
            return largest
        if max(self.waiting.values()) <= HARDLY and self.drained.computing <= 0.5:
            return Limit.SERVER
        return Limit.SEVERAL


def measure(dsn: str, tasks: int, samples: int, seconds: float, tell: Callable[[str, int, int], None]) -> Figures:
    """Measures everything, in about so many seconds at most.

    tell: what is being done, how much of it is done, of how much.
    Raises ContentQueueError when the scratch database cannot be made, or when nothing could be done in time.
    """
    with scratch_database(dsn) as scratch:
        give_up = time.monotonic() + seconds
        server = _read_server(scratch)
        database = Database(scratch.dsn, listen=server.is_direct)
        tell("timing commits", 0, 1)
        timed = time_commits(scratch.connection, SHARES["commits"] * seconds)

        def tell_started(number: int) -> None:
            tell("starting tasks", number, samples)

        taken: list[float] = []
        if server.is_direct:
            tell_started(0)
            taken = latency.measure_starts(
                database, samples, SHARES["latency"] * seconds, WorkerOptions(), tell_started
            )
        tell("filling the queue", 0, 1)
        filled = drain.fill(scratch.connection, tasks, SHARES["fill"] * seconds)

        def tell_drained(number: int) -> None:
            tell("draining the queue", number, filled)

        tell_drained(0)
        options = WorkerOptions(until_empty=True)
        drained = drain.drain(
            database, scratch.connection, max(1.0, give_up - time.monotonic()), options, tell_drained
        )
        if (server.is_direct and not taken) or not drained.completed:
            raise ContentQueueError(f"the database did nothing in {seconds:g} seconds; allow more time")
        return Figures(server, timed, taken, tasks, drained)


def _read_server(scratch: Scratch) -> Server:
    row = scratch.connection.execute(_SERVER).fetchone()
    assert row is not None
    version, fsync, synchronous_commit, standbys, backend_pid = row
    info = scratch.connection.info
    return Server(
        info.host,
        info.port,
        scratch.database,
        info.user,
        version,
        fsync,
        synchronous_commit,
        standbys,
        backend_pid == info.backend_pid,
    )
