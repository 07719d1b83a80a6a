"""The test bed: a durable cluster of its own, as PostgreSQL is by default, and tasks to work off."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
from contentq.database.migrations import migrate
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow

from tests.support.cluster import DURABLE, Cluster
from tests.support.programs import installed
from tests.support.waiting import eventually

BATCH = 100

BEST_PLANS = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c enable_bitmapscan=off"
"""For pgbench: on a table that has just been filled it may otherwise read all of it for every batch."""

SIZED = {"shared_buffers": "2GB", "max_wal_size": "8GB"}
"""As anyone would set them on such a machine; the default, 128 MB, is less than the larger backlogs take."""

MOST_CONNECTIONS = "300"
"""Room for fifty workers; the default is 100."""

QUICK = 1 / 20
"""What part of the sizes a quick run takes."""


class Bed:
    """A migrated database on a durable server.

    quick: whether the sizes are to be small. minutes: how long the steady state is watched.
    """

    def __init__(self, cluster: Cluster, name: str, *, quick: bool, minutes: float) -> None:
        self.cluster = cluster
        self.quick = quick
        self.minutes = minutes
        self.dsn = cluster.dsn(name)
        self._others: dict[str, Bed] = {}
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        migrate(self.dsn)
        self.connection: psycopg.Connection[TupleRow] = psycopg.connect(self.dsn, autocommit=True)
        self.connection.execute("INSERT INTO accounts (name) VALUES ('bench')")

    def close(self) -> None:
        """Closes the connections."""
        self.connection.close()
        for other in self._others.values():
            other.close()

    def sized(self, number: int) -> int:
        """How many of something, in a run of this size."""
        return round(number * QUICK) if self.quick else number

    def beside(self, name: str, load: Callable[[Bed], None]) -> Bed:
        """Another database of the server, made and loaded when it is first asked for."""
        if name not in self._others:
            made = Bed(self.cluster, name, quick=self.quick, minutes=self.minutes)
            self._others[name] = made
            load(made)
        return self._others[name]

    def value(self, query: str, *values: Any) -> Any:
        """The first column of the first row; None without a row."""
        row = self.connection.execute(query.encode(), values).fetchone()
        return None if row is None else row[0]

    def fill(self, tasks: int) -> None:
        """Empties the queue and puts in so many tasks, of all priorities."""
        # In the order in which a claim locks them: idle workers may be about.
        self.connection.execute("TRUNCATE contents, content_generation_tasks RESTART IDENTITY")
        self.add(tasks, "1 + n % 10")
        self.connection.execute("CHECKPOINT")

    def add(self, tasks: int, priority: str) -> int:
        """Puts in so many tasks, in one transaction; priority: an expression of n. Returns the first one's id."""
        insert = f"""
            WITH added AS (
                INSERT INTO content_generation_tasks (account_id, topic, priority)
                SELECT 1, 'Topic ' || n, {priority} FROM generate_series(1, {tasks}) AS n
                RETURNING id
            )
            SELECT coalesce(min(id), 1) FROM added"""
        return int(self.connection.execute(insert.encode()).fetchall()[0][0])

    def rate(self, tasks: int, first_id: int = 1) -> float:
        """Tasks a second from the first start to the last completion, by the database's clock.

        Of so many from this id on; raises RuntimeError when they are not all completed.
        """
        row = self.connection.execute(
            "SELECT count(*), extract(epoch FROM max(completed_at) - min(started_at))::float8 "
            "FROM content_generation_tasks WHERE status = 'completed' AND id BETWEEN %s AND %s",
            [first_id, first_id + tasks - 1],
        ).fetchone()
        assert row is not None
        if row[0] != tasks:
            raise RuntimeError(f"{row[0]} of {tasks} tasks were completed")
        return float(tasks / row[1])

    @contextmanager
    def worker(
        self, handler: str, *options: str, connecting: str = "", registered: bool = False
    ) -> Iterator[subprocess.Popen[bytes]]:
        """One worker process, as workers() starts them."""
        with self.workers(1, handler, *options, connecting=connecting, registered=registered) as (process,):
            yield process

    @contextmanager
    def workers(
        self, number: int, handler: str, *options: str, connecting: str = "", registered: bool = False
    ) -> Iterator[list[subprocess.Popen[bytes]]]:
        """Worker processes, known to the server as `bench 0`, `bench 1` …; they are stopped in the end.

        connecting: settings of their sessions, such as "-c log_statement=all".
        registered: whether to wait until all of them are.
        """
        if registered:
            self.connection.execute("DELETE FROM contentq.workers")
        processes: list[subprocess.Popen[bytes]] = []
        with tempfile.TemporaryFile() as errors:
            try:
                for each in range(number):
                    dsn = make_conninfo(self.dsn, application_name=f"bench {each}", options=connecting or None)
                    command = [sys.executable, "-m", "contentq", "--dsn", dsn, "worker", "--handler", handler]
                    processes.append(
                        subprocess.Popen(
                            [*command, "--log-level", "warning", *options],
                            env={**os.environ, "PYTHONPATH": os.getcwd()},
                            stderr=errors,
                        )
                    )
                if registered:
                    count = "SELECT count(*) FROM contentq.workers"
                    eventually(lambda: self.value(count) == number, within=30 + number)
                yield processes
            finally:
                for process in processes:
                    if process.poll() is None:
                        process.terminate()
                codes = {process.wait(timeout=60) for process in processes}
            errors.seek(0)
            said = errors.read().decode(errors="replace")
        if codes != {0}:
            raise RuntimeError(f"workers ended with {codes}: {said[-2000:]}")

    def pgbench(self, script: str, clients: int, *options: str) -> float:
        """Runs a script in so many clients; returns transactions a second. options: -t or -T, at least."""
        output = subprocess.run(
            self._pgbench(clients, *options),
            input=script,
            text=True,
            check=True,
            capture_output=True,
            env={**os.environ, "PGOPTIONS": BEST_PLANS},
        ).stdout
        return float(re.findall(r"^tps = ([\d.]+)", output, re.MULTILINE)[-1])

    @contextmanager
    def producing(self, script: str, clients: int, *options: str) -> Iterator[None]:
        """Runs a script meanwhile, until the end of its own time or of the block."""
        command = self._pgbench(clients, *options)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
            assert process.stdin is not None
            process.stdin.write(script)
            process.stdin.close()
            try:
                yield
            finally:
                process.terminate()

    def _pgbench(self, clients: int, *options: str) -> list[str]:
        program = str(self.cluster.programs / "pgbench")
        return [program, "-n", "-M", "prepared", "-f", "/dev/stdin", "-c", str(clients), *options, self.dsn]


def wait_for(condition: Callable[[], object], within: float, every: float = 0.25) -> None:
    """Waits until something is true, looking seldom: what is measured should not notice. Both in seconds."""
    give_up = time.monotonic() + within
    while not condition():
        if time.monotonic() >= give_up:
            raise RuntimeError(f"not within {within:g} seconds")
        time.sleep(every)


@contextmanager
def bed(*, quick: bool = False, minutes: float = 2.0) -> Iterator[Bed]:
    """A bed on the newest PostgreSQL that is installed."""
    programs = next(found for found in installed().values() if found.path("pgbench").is_file())
    settings = {**DURABLE, **SIZED, "max_connections": MOST_CONNECTIONS}
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster(programs.folder, settings=settings))
        made = Bed(cluster, "bench", quick=quick, minutes=minutes)
        stack.callback(made.close)
        yield made
