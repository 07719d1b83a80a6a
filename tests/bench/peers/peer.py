"""Another project's queue: its environment, its own database on the same server, and its figures."""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg
from psycopg.rows import TupleRow

from tests.bench.bed import Bed

DATABASE = "peer"

PATIENCE = 300
"""Maximum seconds of a peer's process for a drain, or for all samples of latency."""

WARM_UP = 10
"""Discarded samples of latency, during which the worker starts."""


class PeerFailure(RuntimeError):
    """A peer could not be installed or did not do its work; the message is one line."""


@dataclass(frozen=True)
class Peer:
    """The interface of a queue.

    drained: a query for the number of successful jobs, and the seconds from the first start to the last completion
    by the database's clock, as for contentq. insert: inserts one job as its producers do.
    """

    name: str
    requirements: tuple[str, ...]
    script: Path
    drained: str
    insert: str

    @property
    def version(self) -> str:
        """The installed release."""
        return self.requirements[0].rpartition("==")[2]

    def install(self, python: Path) -> None:
        """Installs it into the environment of that Python, if it is missing."""
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*pip, *self.requirements], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise PeerFailure(f"{self.name} could not be installed: {_last_line(done.stderr)}")

    def rate(
        self, on: Bed, python: Path, jobs: int, *, filling: tuple[str, ...], working: tuple[str, ...]
    ) -> float:
        """Jobs per second of one process that completes this many in a fresh database."""
        with self._database(on) as (dsn, connection):
            self._run(python, dsn, "fill", "--jobs", str(jobs), *filling)
            connection.execute("ANALYZE")
            connection.execute("CHECKPOINT")
            self._run(python, dsn, "drain", *working)
            row = connection.execute(self.drained.encode()).fetchone()
            assert row is not None
            if row[0] != jobs:
                raise PeerFailure(f"{self.name} completed {row[0]} of {jobs} jobs")
            return float(jobs / row[1])

    def latencies(self, on: Bed, python: Path, samples: int, pause: tuple[float, float]) -> list[float]:
        """Milliseconds from the start of an insert to the start of its job on an idle worker, per job.

        pause: minimum and maximum seconds after each insert.
        """
        with self._database(on) as (dsn, connection):
            self._run(python, dsn, "fill")
            with self._listening(python, dsn) as said:
                begun_ns = []
                for _ in range(WARM_UP + samples):
                    begun_ns.append(time.monotonic_ns())
                    connection.execute(self.insert.encode())
                    time.sleep(random.uniform(*pause))
                started_ns = [said.readline() for _ in begun_ns]
                if not all(started_ns):
                    raise PeerFailure(f"{self.name} stopped, or started not all jobs in time")
                taken = [(int(ended) - begun) / 1e6 for begun, ended in zip(begun_ns, started_ns, strict=True)]
                return taken[WARM_UP:]

    @contextmanager
    def _database(self, on: Bed) -> Iterator[tuple[str, psycopg.Connection[TupleRow]]]:
        # Both libpq and asyncpg accept this form.
        folder = quote(str(on.cluster.folder), safe="")
        dsn = f"postgresql://postgres@/{DATABASE}?host={folder}&port={on.cluster.port}"
        on.connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        on.connection.execute(f"CREATE DATABASE {DATABASE}")
        with psycopg.connect(dsn, autocommit=True) as connection:
            yield dsn, connection

    def _run(self, python: Path, dsn: str, command: str, *options: str) -> None:
        try:
            done = subprocess.run(
                self._command(python, dsn, command, *options),
                env=_environment(),
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE,
            )
        except subprocess.TimeoutExpired:
            raise PeerFailure(f"{self.name}, {command}: not done in {PATIENCE} s") from None
        if done.returncode != 0:
            raise PeerFailure(f"{self.name}, {command}: {_last_line(done.stderr)}")

    @contextmanager
    def _listening(self, python: Path, dsn: str) -> Iterator[IO[str]]:
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                self._command(python, dsn, "listen"),
                env=_environment(),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
            assert process.stdout is not None
            give_up = threading.Timer(PATIENCE, process.kill)
            give_up.start()
            try:
                yield process.stdout
            except PeerFailure as failure:
                errors.seek(0)
                raise PeerFailure(f"{failure}: {_last_line(errors.read())}") from None
            finally:
                give_up.cancel()
                process.kill()
                process.wait()
                process.stdout.close()

    def _command(self, python: Path, dsn: str, command: str, *options: str) -> list[str]:
        return [str(python), "-I", str(self.script), dsn, command, *options]


def _environment() -> dict[str, str]:
    """Without variables that would redirect or tune a peer: PGDATABASE, PGQUEUER_PREFIX …"""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "PROCRASTINATE"))}


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


PGQUEUER = Peer(
    name="pgqueuer",
    requirements=("pgqueuer[asyncpg]==1.6.0",),
    script=Path(__file__).with_name("run_pgqueuer.py"),
    drained=(
        "SELECT count(*) FILTER (WHERE status = 'successful'), "
        "extract(epoch FROM max(created) FILTER (WHERE status = 'successful') "
        "- min(created) FILTER (WHERE status = 'picked'))::float8 FROM pgqueuer_log"
    ),
    insert="INSERT INTO pgqueuer (priority, entrypoint, status) VALUES (5, 'nothing', 'queued')",
)

PROCRASTINATE = Peer(
    name="procrastinate",
    # With psycopg in C, as contentq uses it.
    requirements=("procrastinate==3.10.0", "psycopg[binary,pool]>=3.2"),
    script=Path(__file__).with_name("run_procrastinate.py"),
    drained=(
        "SELECT count(*) FILTER (WHERE type = 'succeeded'), "
        "extract(epoch FROM max(at) FILTER (WHERE type = 'succeeded') "
        "- min(at) FILTER (WHERE type = 'started'))::float8 FROM procrastinate_events"
    ),
    insert=(
        "SELECT procrastinate_defer_jobs_v1(ARRAY[ROW('default', 'nothing', 5, NULL, NULL, '{}', NULL)"
        "::procrastinate_job_to_defer_v1])"
    ),
)
