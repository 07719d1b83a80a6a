"""Many faults in a seeded random sequence while producers insert and workers run, followed by the audit.

python -m tests.faults.torture --faults 1000 --seed 7
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from contentq.database.migrations import migrate
from psycopg.rows import TupleRow

from tests.faults import limits
from tests.faults.auditor import RECORD, Audit
from tests.faults.fleet import WorkerProcess, fleet
from tests.faults.operators import CATEGORIES, INSERTED, OPTIONS, Operators
from tests.faults.proxy import Proxy
from tests.support.cluster import Cluster
from tests.support.programs import installed
from tests.support.waiting import eventually

CRASH_SAFE = {"fsync": "off", "max_connections": "200", **limits.TRACKED}
"""A crash of the server loses nothing that was given to the kernel."""

WORKERS = len(OPTIONS)
PRODUCERS = 2
SLOTS = 20
DATABASE_UNREACHABLE = 3
"""Exit code of a worker that cannot reach the database when it starts."""

SETTLE_SECONDS = 180
"""Maximum seconds for the queue to empty after the last fault."""


@dataclass
class Report:
    """The result of a run."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    tasks: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    rescued_after: list[float] = field(default_factory=list)
    recovered_after: list[float] = field(default_factory=list)
    judged: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The report, for printing."""
        shown = [
            f"seed {self.seed}: {sum(self.faults.values())} faults, {self.tasks} tasks, "
            f"{len(self.violations)} violations",
            "faults: " + ", ".join(f"{name} {times}" for name, times in sorted(self.faults.items())),
            "tasks: " + ", ".join(f"{status} {number}" for status, number in sorted(self.statuses.items())),
            "judged: " + ", ".join(f"{what} {times}" for what, times in sorted(self.judged.items())),
        ]
        for name, seconds in (
            ("tasks of a killed worker pending again", self.rescued_after),
            ("first completion after the database was back", self.recovered_after),
        ):
            if seconds:
                shown.append(f"{name}: median {statistics.median(seconds):.1f} s, worst {max(seconds):.1f} s")
        return shown + [f"VIOLATION: {each}" for each in self.violations[:20]]


FAULTS: Mapping[str, int] = {
    "kill_worker": 6,
    "freeze_worker": 3,
    "stop_worker": 6,
    "terminate_backend": 16,
    "cut": 12,
    "stall": 5,
    "refuse": 5,
    "restart_database": 2,
    "crash_database": 1,
    "cancel": 16,
    "requeue": 12,
    "give_deadline": 8,
    "housekeeping": 8,
}
"""The faults and their relative frequency."""

TAKEOVERS: Mapping[str, int] = {"requeue": 1, "hand_over": 4}
"""Faults that make workers report attempts that were taken from them."""


class Torture:
    """One run. prepare: called with the DSN of the migrated database. faults: the faults with their weights."""

    def __init__(
        self,
        cluster: Cluster,
        folder: Path,
        seed: int,
        prepare: Callable[[str], None] = lambda dsn: None,
        faults: Mapping[str, int] = FAULTS,
    ) -> None:
        self._cluster = cluster
        self._folder = folder
        self._faults = faults
        self._random = random.Random(seed)
        self.report = Report(seed)
        self._name = f"torture_{seed}"
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {self._name}")
            connection.execute(f"CREATE DATABASE {self._name}")
        self._dsn = cluster.dsn(self._name)
        migrate(self._dsn)
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(RECORD)
            connection.execute(limits.RECORD)
            connection.execute("UPDATE contentq.settings SET backoff_base = '100 milliseconds'")
        self._operators = Operators(self._execute, random.Random(self._random.getrandbits(32)))
        self._operators.begin()
        prepare(self._dsn)
        self._samples: list[tuple[Any, ...]] = []
        self._ended = threading.Event()
        self._inserted: set[int] = set()
        self._suspects: set[int] = set()
        self._kills: dict[int, float] = {}
        self._stop_producing = threading.Event()
        self._later: list[tuple[float, Callable[[], None]]] = []

    def run(self, faults: int) -> Report:
        """Injects this many faults, waits until the queue is empty, and audits."""
        with ExitStack() as stack:
            self._proxies = [stack.enter_context(Proxy(self._cluster.port)) for _ in range(WORKERS)]
            self._workers = stack.enter_context(fleet())
            self._places = [self._start_worker(place) for place in range(WORKERS)]
            for worker in self._places:
                worker.wait_until_registered()
            seeds = [self._random.getrandbits(32) for _ in range(PRODUCERS)]
            beside = [threading.Thread(target=self._produce, args=(seed,)) for seed in seeds]
            beside.append(threading.Thread(target=self._operate))
            sampler = threading.Thread(target=self._sample)
            for thread in (*beside, sampler):
                thread.start()
            try:
                try:
                    for _ in range(faults):
                        self._one_fault()
                        self._pause(self._random.uniform(0.05, 0.6))
                finally:
                    self._stop_producing.set()
                    for thread in beside:
                        thread.join(60)
                self._settle()
            finally:
                self._ended.set()
                sampler.join(60)
        self._conclude()
        return self.report

    def _one_fault(self) -> None:
        name = self._random.choices(list(self._faults), weights=list(self._faults.values()))[0]
        getattr(self, f"_{name}")()
        self.report.faults[name] += 1

    def _start_worker(self, place: int) -> WorkerProcess:
        dsn = self._proxies[place].dsn(self._cluster.dsn(self._name))
        options = ("--concurrency", str(SLOTS), "--grace", "2", "--log-level", "info", *OPTIONS[place])
        worker = WorkerProcess(dsn, self._folder, *options)
        self._workers.append(worker)
        return worker

    def _pick(self) -> int:
        return self._random.randrange(WORKERS)

    def _kill_worker(self) -> None:
        place = self._pick()
        worker = self._places[place]
        self._suspects.add(worker.pid)
        worker.send(signal.SIGCONT)
        worker.kill()
        self._kills[worker.pid] = time.time()
        self._places[place] = self._start_worker(place)

    def _freeze_worker(self) -> None:
        worker = self._places[self._pick()]
        self._suspects.add(worker.pid)
        worker.send(signal.SIGSTOP)
        self._do_later(self._random.uniform(1, 16), lambda: worker.thaw())

    def _stop_worker(self) -> None:
        place = self._pick()
        worker = self._places[place]
        worker.send(signal.SIGCONT)
        worker.send(signal.SIGTERM)
        if self._random.random() < 0.3:
            worker.send(signal.SIGTERM)
        # With a cut or stalled connection it cannot deregister, and its tasks must be rescued.
        self._suspects.add(worker.pid)
        self._places[place] = self._start_worker(place)

    def _terminate_backend(self) -> None:
        self._execute(
            "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE datname = "
            "current_database() AND pid <> pg_backend_pid() ORDER BY random() LIMIT 2) AS victims"
        )

    def _cut(self) -> None:
        self._proxies[self._pick()].cut()

    def _stall(self) -> None:
        place = self._pick()
        self._suspects.add(self._places[place].pid)
        self._proxies[place].stall()
        self._do_later(self._random.uniform(0.5, 14), self._proxies[place].resume)

    def _refuse(self) -> None:
        place = self._pick()
        self._suspects.add(self._places[place].pid)
        self._proxies[place].refuse()
        self._do_later(self._random.uniform(0.5, 14), self._proxies[place].resume)

    def _restart_database(self) -> None:
        self._cluster.restart("fast")
        self._measure_recovery()

    def _crash_database(self) -> None:
        self._cluster.restart("immediate")
        self._measure_recovery()

    def _cancel(self) -> None:
        self._on_some_task("pending', 'processing", "SELECT contentq.cancel(%s)")

    def _requeue(self) -> None:
        self._on_some_task("failed', 'timeout", "SELECT contentq.requeue(%s)")

    def _give_deadline(self) -> None:
        self._on_some_task(
            "pending', 'processing",
            "UPDATE content_generation_tasks SET timeout_at = clock_timestamp() + random() * interval '3 s' "
            "WHERE task_id = %s AND status IN ('pending', 'processing')",
        )

    def _hand_over(self) -> None:
        """Takes running tasks from their workers, which learn about it only from their next heartbeat."""
        self._execute("UPDATE content_generation_tasks SET status = 'pending' WHERE status = 'processing'")
        self._execute("NOTIFY contentq_ready")

    def _housekeeping(self) -> None:
        """Runs housekeeping as cron would, in addition to the workers."""
        self._execute("SELECT contentq.sweep_timeouts(), contentq.rescue_dead_workers(), contentq.cleanup()")

    def _on_some_task(self, statuses: str, query: str) -> None:
        found = self._execute(
            "SELECT task_id FROM content_generation_tasks "
            f"WHERE status IN ('{statuses}') ORDER BY random() LIMIT 1"
        )
        if found:
            self._execute(query, [found[0][0]])

    def _measure_recovery(self) -> None:
        """Seconds from the first answer of the server until a worker completes a task again."""
        if not any(worker.alive for worker in self._places):
            return
        begun = time.monotonic()
        count = "SELECT count(*) FROM content_generation_tasks WHERE completed_at > %s"
        with suppress(psycopg.OperationalError, AssertionError):
            with self._connect() as connection:
                now = connection.execute("SELECT clock_timestamp()").fetchone()
                eventually(lambda: (connection.execute(count, now).fetchone() or [0])[0], within=20)
            self.report.recovered_after.append(time.monotonic() - begun)

    def _produce(self, seed: int) -> None:
        """Inserts tasks until stopped; only acknowledged inserts count."""
        chance = random.Random(seed)
        insert = (
            "INSERT INTO content_generation_tasks "
            "(account_id, category, priority, max_retries, requirements, timeout_at) "
            "SELECT account, category, 4 + (random() * 2)::integer, 3, plan, "
            "CASE WHEN random() < 0.03 THEN clock_timestamp() + random() * interval '5 s' END "
            "FROM unnest(%s::integer[], %s::text[], %s::text[]) AS t (account, category, plan) RETURNING id"
        )
        while not self._stop_producing.is_set():
            plans = [json.dumps(_plan(chance)) for _ in range(chance.randrange(1, 30))]
            accounts = chance.choices(list(INSERTED), list(INSERTED.values()), k=len(plans))
            categories = chance.choices(CATEGORIES, k=len(plans))
            with suppress(psycopg.OperationalError), self._connect() as connection:
                rows = connection.execute(insert, [accounts, categories, plans]).fetchall()
                self._inserted.update(row[0] for row in rows)
            self._stop_producing.wait(chance.uniform(0.05, 0.3))

    def _operate(self) -> None:
        """Changes limits until stopped."""
        while not self._stop_producing.wait(0.3):
            self._operators.change()

    def _sample(self) -> None:
        """Samples the running tasks repeatedly."""
        while not self._ended.wait(0.05):
            self._samples += self._execute(limits.SAMPLE)

    def _settle(self) -> None:
        for _, action in self._later:
            action()
        for proxy in self._proxies:
            proxy.resume()
        self._operators.lift()
        self._pause(1)
        for worker in self._places:
            if not worker.alive:
                raise AssertionError(f"worker {worker.pid} has ended: {worker.log()[-2000:]}")
        query = "SELECT count(*) FROM content_generation_tasks WHERE status IN ('pending', 'processing')"
        with suppress(AssertionError):  # the auditor reports tasks without a final status
            eventually(lambda: self._execute(query) == [(0,)], within=SETTLE_SECONDS)
        for worker in self._workers:
            if worker.alive:
                worker.send(signal.SIGTERM)
        for worker in self._workers:
            with suppress(Exception):
                worker.end(30)

    def _conclude(self) -> None:
        report = self.report
        audit = Audit(self._dsn, self._folder / "journal", self._inserted, self._suspects)
        report.violations = audit.violations()
        with self._connect() as connection:
            limited = limits.Limits(connection)
        report.violations += [*limited.violations(), *limited.violations_seen(self._samples)]
        report.judged = dict(limited.judged)
        report.tasks = len(self._inserted)
        report.statuses = {
            row[0]: row[1]
            for row in self._execute("SELECT status, count(*) FROM content_generation_tasks GROUP BY status")
        }
        rescues = self._execute(
            "SELECT w.pid, extract(epoch FROM min((e.value->>'at')::timestamptz))::float8 "
            "FROM content_generation_tasks, jsonb_array_elements(attempt_errors) AS e "
            "JOIN audit.workers AS w ON w.id = (e.value->>'worker_id')::bigint "
            "WHERE e.value->>'error_class' = 'WorkerDied' GROUP BY w.pid"
        )
        report.rescued_after = [at - self._kills[pid] for pid, at in rescues if pid in self._kills]

    def _pause(self, seconds: float) -> None:
        """Waits, and does what becomes due meanwhile."""
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            now = time.monotonic()
            due = [action for at, action in self._later if at <= now]
            self._later = [(at, action) for at, action in self._later if at > now]
            for action in due:
                action()
            self._supervise()
            self._stop_producing.wait(0.02)

    def _supervise(self) -> None:
        """Restarts a worker that found no database at its start, as a supervisor would."""
        for place, worker in enumerate(self._places):
            if worker.process.poll() == DATABASE_UNREACHABLE:
                self._places[place] = self._start_worker(place)

    def _do_later(self, seconds: float, action: Callable[[], object]) -> None:
        self._later.append((time.monotonic() + seconds, lambda: (action(), None)[1]))

    def _connect(self) -> psycopg.Connection[TupleRow]:
        return psycopg.connect(self._dsn, autocommit=True)

    def _execute(self, query: str, values: list[object] | None = None) -> list[tuple[Any, ...]]:
        """The rows of a statement; empty if the server is unavailable."""
        with suppress(psycopg.OperationalError), self._connect() as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []
        return []


def _plan(chance: random.Random) -> dict[str, object]:
    plan: dict[str, object] = {"sleep": round(chance.choice([0, 0.01, 0.1, 0.5, 2]), 2)}
    kind = chance.random()
    if kind < 0.15:
        plan["fail"] = chance.randrange(1, 5)
    elif kind < 0.25:
        plan["snooze"] = chance.randrange(1, 3)
    elif kind < 0.28:
        plan["permanent"] = True
    elif kind < 0.4:
        plan["check"] = chance.randrange(1, 4)
    if chance.random() < 0.5:
        plan["content"] = True
    return plan


def main() -> int:
    """Runs one torture run; exit code 1 if a guarantee was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.torture")
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    programs = next(iter(installed().values()))
    with (
        Cluster(programs.folder, settings=CRASH_SAFE, tcp=True) as cluster,
        tempfile.TemporaryDirectory() as folder,
    ):
        report = Torture(cluster, Path(folder), arguments.seed).run(arguments.faults)
    print("\n".join(report.lines()))
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
