"""The test bed: a separate durable cluster with PostgreSQL's defaults, and tasks to complete."""

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
"""For pgbench: on a newly filled table it may otherwise scan the whole table for every batch."""

SIZED = {"shared_buffers": "2GB", "max_wal_size": "8GB"}
"""Usual values for such a machine. The default, 128 MB, is smaller than the larger backlogs."""

MOST_CONNECTIONS = "300"
"""Room for fifty workers; the default is 100."""

QUICK = 1 / 20
"""The scale of the sizes in a quick run."""


class Bed:
    """A migrated database on a durable server. quick: use small sizes. minutes: duration of the steady state."""

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
        """A number of rows, scaled to the size of this run."""
        return round(number * QUICK) if self.quick else number

    def beside(self, name: str, load: Callable[[Bed], None]) -> Bed:
        """Another database of the server, created and filled on first use."""
        if name not in self._others:
            made = Bed(self.cluster, name, quick=self.quick, minutes=self.minutes)
            self._others[name] = made
            load(made)
        return self._others[name]

    def value(self, query: str, *values: Any) -> Any:
        """The first column of the first row, or None."""
        row = self.connection.execute(query.encode(), values).fetchone()
        return None if row is None else row[0]

    def fill(self, tasks: int) -> None:
        """Empties the queue and inserts this many tasks, of all priorities."""
        # Locks in the same order as a claim, because idle workers may be running.
        self.connection.execute("TRUNCATE contents, content_generation_tasks RESTART IDENTITY")
        self.add(tasks, "1 + n % 10")
        self.connection.execute("CHECKPOINT")

    def add(self, tasks: int, priority: str) -> int:
        """Inserts this many tasks in one transaction and returns the first id. priority: an expression of n."""
        insert = f"""
            WITH added AS (
                INSERT INTO content_generation_tasks (account_id, topic, priority)
                SELECT 1, 'Topic ' || n, {priority} FROM generate_series(1, {tasks}) AS n
                RETURNING id
            )
            SELECT coalesce(min(id), 1) FROM added"""
        return int(self.connection.execute(insert.encode()).fetchall()[0][0])

    def rate(self, tasks: int, first_id: int = 1) -> float:
        """Tasks per second from the first start to the last completion, by the database's clock.

        Counts this many tasks from this id. Raises RuntimeError if they are not all completed.
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
        """One worker process, as in workers()."""
        with self.workers(1, handler, *options, connecting=connecting, registered=registered) as (process,):
            yield process

    @contextmanager
    def workers(
        self, number: int, handler: str, *options: str, connecting: str = "", registered: bool = False
    ) -> Iterator[list[subprocess.Popen[bytes]]]:
        """Worker processes, named `bench 0`, `bench 1` … on the server. They are stopped at the end.

        connecting: options of their sessions, such as "-c log_statement=all". registered: whether to wait until
        all are registered.
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
        """Runs a script with this many clients; returns transactions per second. options: at least -t or -T."""
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
        """Runs a script in the background, until its own time or the block ends."""
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
    """Waits until a condition is true.

    Checks rarely, so as not to disturb the measurement. Both times in seconds.
    """
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
