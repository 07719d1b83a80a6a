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
"""Share of the time limit for each measurement; the drain gets the rest."""

TOO_SHORT = 0.2
"""Seconds; a drain below this gives no result, because it consists mostly of its start and end."""

CLEARLY = 0.6
"""Share of the drain's time from which a resource counts as the limit."""

HARDLY = 0.15
"""Share of the drain's time up to which waiting is negligible."""

_SERVER = """
    SELECT split_part(current_setting('server_version'), ' ', 1), current_setting('fsync'),
           current_setting('synchronous_commit'), current_setting('synchronous_standby_names'), pg_backend_pid()"""


class Limit(Enum):
    """The resource that takes most of the time of a drain."""

    NETWORK = "network"
    DISK = "disk"
    WORKER = "worker"
    SERVER = "server"
    SEVERAL = "several"
    """No single one of these."""


@dataclass(frozen=True)
class Server:
    """The measured server, with the version and settings that affect the figures."""

    host: str
    """Name or address; for a local server, the folder of the socket."""
    port: int
    database: str
    user: str
    version: str
    fsync: str
    synchronous_commit: str
    standbys: str
    is_direct: bool
    """Whether there is no pooler in between."""

    @property
    def is_durable(self) -> bool:
        """Whether committed data survives a crash."""
        return self.fsync == "on" and self.synchronous_commit != "off"


@dataclass(frozen=True)
class Figures:
    """The measurements; all times except those of the drain are in milliseconds."""

    server: Server
    timings: Timings
    latencies: list[float]
    """From INSERT to start; empty through a pooler, where LISTEN does not work."""
    tasks: int
    """Number of tasks submitted for the drain."""
    drained: Drained

    @property
    def median(self) -> float:
        """Half of the tasks start sooner."""
        return statistics.median(self.latencies)

    @property
    def p99(self) -> float:
        """99 of 100 tasks start within this time; with fewer than 100 tasks, all of them."""
        return sorted(self.latencies)[math.ceil(0.99 * len(self.latencies)) - 1]

    @property
    def nearly_all(self) -> str:
        """The number of these tasks in words."""
        return "99 of 100" if len(self.latencies) >= 100 else f"all {len(self.latencies)}"

    @property
    def waiting(self) -> dict[Limit, float]:
        """Upper limits for the shares of the drain's time that would be saved without round trips or flushes.

        Claims and reports use two connections at the same time, so their waits do not add up. During a wait, the
        worker may be computing, or the server may be working for the other connection. Therefore only the busier
        connection counts, and even its waits need not all delay the drain.
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
        """The resource that a faster drain would need; SEVERAL if none clearly takes more than half of the time.

        None if the drain was too short for a result.
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
    """Makes all measurements, in about this number of seconds at most.

    tell: called with the current step, the amount done, and the total. Raises ContentQueueError if the scratch
    database cannot be created, or if nothing was done in time.
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
