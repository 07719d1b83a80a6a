"""The test bed: a cluster of its own with PostgreSQL's durable defaults, and tasks to work off."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from contentq.database.migrations import migrate
from psycopg.rows import TupleRow

from tests.support.cluster import DURABLE, Cluster
from tests.support.programs import installed

BATCH = 100


class Bed:
    """A migrated database on a durable server."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.dsn = cluster.dsn("bench")
        self.connection: psycopg.Connection[TupleRow] = psycopg.connect(self.dsn, autocommit=True)
        self.connection.execute("INSERT INTO accounts (name) VALUES ('bench')")

    def fill(self, tasks: int) -> None:
        """Empties the queue and puts in so many tasks, of all priorities."""
        self.connection.execute("TRUNCATE content_generation_tasks, contents RESTART IDENTITY")
        self.connection.execute(
            "INSERT INTO content_generation_tasks (account_id, topic, priority) "
            "SELECT 1, 'Topic ' || n, 1 + n %% 10 FROM generate_series(1, %s) AS n",
            [tasks],
        )
        self.connection.execute("CHECKPOINT")

    def rate(self, tasks: int) -> float:
        """Tasks a second, from the first start to the last completion, by the database's clock."""
        row = self.connection.execute(
            "SELECT count(*), extract(epoch FROM max(completed_at) - min(started_at))::float8 "
            "FROM content_generation_tasks WHERE status = 'completed'"
        ).fetchone()
        assert row is not None
        if row[0] != tasks:
            raise RuntimeError(f"{row[0]} of {tasks} tasks were completed")
        return float(tasks / row[1])

    @contextmanager
    def worker(self, handler: str, *options: str) -> Iterator[subprocess.Popen[str]]:
        """A worker process; it is stopped in the end, if it has not stopped by itself."""
        command = [sys.executable, "-m", "contentq", "--dsn", self.dsn, "worker", "--handler", handler]
        process = subprocess.Popen(
            [*command, "--log-level", "warning", *options],
            env={**os.environ, "PYTHONPATH": os.getcwd()},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            _, errors = process.communicate(timeout=60)
            if process.returncode != 0:
                raise RuntimeError(f"the worker ended with {process.returncode}: {errors}")

    def pgbench(self, script: str, clients: int, transactions: int) -> None:
        """Runs a script so many times in each of so many clients."""
        arguments = ["-n", "-M", "prepared", "-f", "/dev/stdin", "-c", str(clients), "-t", str(transactions)]
        subprocess.run(
            [self.cluster.programs / "pgbench", *arguments, self.dsn],
            input=script,
            text=True,
            check=True,
            capture_output=True,
        )


@contextmanager
def bed() -> Iterator[Bed]:
    """A bed on the newest PostgreSQL that is installed."""
    programs = next(found for found in installed().values() if found.path("pgbench").is_file())
    with Cluster(programs.folder, settings=DURABLE) as cluster:
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE bench")
        migrate(cluster.dsn("bench"))
        made = Bed(cluster)
        try:
            yield made
        finally:
            made.connection.close()
