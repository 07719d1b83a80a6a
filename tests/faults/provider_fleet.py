"""A fleet of workers against a provider that takes so many calls a second, and is out of order for a while.

As a program it prints what came of it, with the gate and without, for docs/providers.md:

    python -m tests.faults.provider_fleet [--no-gate] [--windows] [--form seconds]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.faults.fleet import WorkerProcess, fleet
from tests.support.cluster import Cluster
from tests.support.databases import Databases
from tests.support.programs import installed
from tests.support.queue import Queue
from tests.support.waiting import eventually

SETTINGS = 'model = "test"\n[prices.test]\ninput = 1.0\noutput = 2.0\n'
"""Of the handler; the prices are for a million tokens."""

FULL = 0.9
"""Part of the allowed rate that counts as the full rate."""


@dataclass(frozen=True)
class Plan:
    """What is tried. rate: calls a second that the provider takes; seconds: how long each answer takes."""

    gate: bool = True
    workers: int = 3
    slots: int = 50
    rate: float = 20.0
    seconds: float = 1.0
    windows: bool = False
    form: str = "milliseconds"
    warm_up: float = 10.0
    measured: float = 60.0
    outage: float = 20.0
    after: float = 15.0

    @property
    def tasks(self) -> int:
        """As many as keep the fleet busy until the end."""
        return int(self.rate * (self.warm_up + self.measured + self.after))


@dataclass(frozen=True)
class Findings:
    """What came of it.

    used: part of the allowed calls that were made, over the time measured. refused: part of the calls made then.
    back_after: seconds after the outage until the full rate was reached in a second; None when it never was.
    charged_for_refusals: retries charged before the outage. outage_calls: calls during the outage.
    """

    used: float
    refused: float
    back_after: float | None
    charged_for_refusals: int
    charged: int
    outage_calls: int
    statuses: dict[str, int]
    attempts: int
    cost: float
    results_cost: float


class ProviderProcess:
    """The provider, in a process of its own."""

    def __init__(self, plan: Plan) -> None:
        limits = ["--windows"] if plan.windows else ["--burst", str(plan.rate)]
        limits += ["--rate", str(plan.rate), "--form", plan.form]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.provider", "--seconds", str(plan.seconds), *limits],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def ask(self, path: str, given: Any = None) -> Any:
        """GET, or POST with a body."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=None if given is None else json.dumps(given).encode()
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def stats(self) -> dict[str, Any]:
        """What it has counted."""
        found: dict[str, Any] = self.ask("/stats")
        return found

    def end(self) -> None:
        """Ends the process."""
        self.process.terminate()
        self.process.communicate(timeout=10)


@contextmanager
def provider(plan: Plan) -> Iterator[ProviderProcess]:
    """A provider; it has ended afterwards."""
    made = ProviderProcess(plan)
    try:
        yield made
    finally:
        made.end()


def run(dsn: str, folder: Path, workers: list[WorkerProcess], plan: Plan) -> Findings:
    """Runs it to the last task."""
    settings = folder / "openai.toml"
    settings.write_text(SETTINGS)
    with provider(plan) as server, closing(psycopg.connect(dsn, autocommit=True)) as connection:
        queue = Queue(connection)
        queue.run(
            "INSERT INTO content_generation_tasks (account_id, topic) "
            "SELECT %s, 'Topic ' || n FROM generate_series(1, %s) AS n",
            queue.account,
            plan.tasks,
        )
        environment = {
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{server.port}/v1",
            "PYTHONPATH": os.getcwd(),
        }
        options = ["--settings", str(settings), "--concurrency", str(plan.slots)]
        if not plan.gate:
            options.append("--no-gate")
        for _ in range(plan.workers):
            workers.append(WorkerProcess(dsn, folder, *options, handler="openai", environment=environment))
        eventually(lambda: server.stats()["accepted"] > 0, within=30)

        _pass(plan.warm_up)
        before = server.stats()
        _pass(plan.measured)
        after = server.stats()
        accepted, refused = (after[name] - before[name] for name in ("accepted", "refused"))
        charged_for_refusals = queue.value("SELECT sum(retry_count) FROM content_generation_tasks")

        server.ask("/outage", {"mode": "503", "seconds": plan.outage})
        _pass(plan.outage)
        ended = time.time()
        outage_calls = server.stats()["unavailable"]
        eventually(lambda: _unfinished(queue) == 0, within=240)
        by_second = server.stats()["by_second"]
        return Findings(
            used=accepted / (plan.rate * plan.measured),
            refused=refused / (accepted + refused),
            back_after=_back_after(by_second, ended, FULL * plan.rate),
            charged_for_refusals=charged_for_refusals,
            charged=queue.value("SELECT sum(retry_count) FROM content_generation_tasks"),
            outage_calls=outage_calls,
            statuses={
                row["status"]: row["count"]
                for row in queue.rows("SELECT status, count(*) FROM content_generation_tasks GROUP BY status")
            },
            attempts=queue.value("SELECT sum(attempt) FROM content_generation_tasks"),
            cost=float(queue.value("SELECT coalesce(sum(cost), 0) FROM contentq.usage")),
            results_cost=float(
                queue.value("SELECT coalesce(sum((result->>'cost')::numeric), 0) FROM content_generation_tasks")
            ),
        )


def _pass(seconds: float) -> None:
    """Lets the fleet work for so long: the time is what is measured here, there is nothing else to wait for."""
    time.sleep(seconds)


def _unfinished(queue: Queue) -> int:
    found: int = queue.value(
        "SELECT count(*) FROM content_generation_tasks WHERE status IN ('pending', 'processing')"
    )
    return found


def _back_after(by_second: dict[str, dict[str, int]], ended: float, full: float) -> float | None:
    """Seconds from the end of the outage to the beginning of the first second at the full rate."""
    for second, counted in sorted((int(second), counted) for second, counted in by_second.items()):
        if second >= ended and counted.get("accepted", 0) >= full:
            return second - ended
    return None


def _main() -> None:
    parser = argparse.ArgumentParser(description="A fleet against a provider that refuses and fails.")
    parser.add_argument("--no-gate", action="store_true")
    parser.add_argument("--windows", action="store_true", help="the provider counts in windows of a second")
    parser.add_argument("--form", choices=("milliseconds", "seconds", "reset", "nothing"), default="milliseconds")
    parser.add_argument("--keep", type=Path, help="folder for the logs of the workers")
    given = parser.parse_args()
    plan = Plan(gate=not given.no_gate, windows=given.windows, form=given.form)
    programs = next(iter(installed().values()))
    with (
        tempfile.TemporaryDirectory() as made,
        Cluster(programs.folder, tcp=True) as cluster,
        closing(Databases(cluster.dsn(host="127.0.0.1"))) as databases,
        databases.migrated() as dsn,
        fleet() as workers,
    ):
        print(run(dsn, given.keep or Path(made), workers, plan))


if __name__ == "__main__":
    _main()
