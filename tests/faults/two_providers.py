"""Fleets with models at two providers, each with its own gate: the share used of both limits together.

Run as a program, it prints a line for each pair, for docs/explanation/how-a-claim-decides.md. Without names it
runs all pairs:

    python -m tests.faults.two_providers [PAIR ...]
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.faults.fleet import WorkerProcess, fleet
from tests.faults.provider_fleet import SET, WAITING, Fleet, ProviderProcess, Scenario, provider
from tests.support.cluster import Cluster
from tests.support.databases import Databases
from tests.support.programs import installed
from tests.support.provider_rules import Limits
from tests.support.queue import Queue
from tests.support.waiting import eventually

SETTINGS = """
models = ["first", "second"]
[deployments.first]
price = {{input = 1.0, output = 2.0}}
base_url = "http://{first}/v1"
[deployments.second]
price = {{input = 10.0, output = 20.0}}
base_url = "http://{second}/v1"
"""

BUCKET = Scenario("bucket", Limits(rate=20, burst=20))


@dataclass(frozen=True)
class Pair:
    """Two providers; tasks prefer the first.

    closed, killed: what happens to the first before the workers start. warm_up, measured: seconds.
    """

    name: str
    first: Scenario
    second: Scenario
    closed: bool = False
    killed: bool = False
    warm_up: float = 8.0
    measured: float = 20.0

    @property
    def allowed(self) -> list[float]:
        """Calls per second that each allows."""
        rates = [each.allowed or each.limits.rate or 0.0 for each in (self.first, self.second)]
        return [0.0, rates[1]] if self.closed or self.killed else rates


PAIRS = {
    pair.name: pair
    for pair in [
        Pair("learned", BUCKET, BUCKET),
        Pair(
            "set",
            Scenario("set_requests", Limits(), prepare=SET % "requests_per_minute => 600", allowed=10.0),
            BUCKET,
        ),
        Pair("closed", BUCKET, BUCKET, closed=True),
        Pair("outage", BUCKET, BUCKET, killed=True, measured=15.0),
    ]
}
"""Pairs by name."""


@dataclass(frozen=True)
class Found:
    """The result of a pair, over the measured period unless a field states otherwise.

    used: share of the calls that both allow together. each: the same for each with a limit. refused: share of the
    calls. claims: per second. charged: retries, from the start; put_off: attempts without a charge. cost,
    results_cost: according to usage, and to results. models: the models of both, with attempts.
    """

    used: float
    each: list[float]
    refused: float
    calls: float
    claims: float
    charged: int
    put_off: int
    cost: float
    results_cost: float
    models: tuple[list[Any], list[Any]]

    def line(self) -> str:
        """The figures in one line."""
        each = "+".join(f"{used:.2f}" for used in self.each)
        return (
            f"used={self.used:.3f} ({each}) refused={self.refused:.1%} calls={self.calls:.1f}/s "
            f"claims={self.claims:.1f}/s charged={self.charged} put_off={self.put_off}"
        )


def run(dsn: str, folder: Path, pair: Pair, having: Fleet) -> Found:
    """Runs a fleet against both."""
    folder = folder / pair.name
    folder.mkdir()
    with (
        provider(pair.first) as first,
        provider(pair.second) as second,
        closing(psycopg.connect(dsn, autocommit=True)) as connection,
        fleet() as workers,
    ):
        queue = Queue(connection)
        queue.run(
            "INSERT INTO content_generation_tasks (account_id, topic) "
            "SELECT %s, 'Topic ' || n FROM generate_series(1, %s) AS n",
            queue.account,
            WAITING,
        )
        for scenario, server in ((pair.first, first), (pair.second, second)):
            if scenario.prepare is not None:
                queue.run(scenario.prepare.format(gate=server.host))
        if pair.closed:
            queue.close_gate(first.host, "infinity")
        if pair.killed:
            first.end()
        settings = folder / "openai.toml"
        settings.write_text(SETTINGS.format(first=first.host, second=second.host))
        options = ["--settings", str(settings), "--concurrency", str(having.slots)]
        for _ in range(having.workers):
            workers.append(WorkerProcess(dsn, folder, *options, handler="openai"))
        second.ask("/begun")
        servers = [second] if pair.killed else [first, second]
        return _measure(servers, queue, pair)


def _measure(servers: list[ProviderProcess], queue: Queue, pair: Pair) -> Found:
    def count() -> tuple[list[dict[str, Any]], int]:
        claims = queue.value("SELECT sum(calls)::bigint FROM pg_stat_user_functions WHERE funcname = 'claim'")
        return [server.ask("/stats") for server in servers], claims or 0

    servers[-1].stats_at(pair.warm_up)
    before, claims = count()
    servers[-1].stats_at(pair.warm_up + pair.measured)
    after, later_claims = count()
    of_attempts = (
        "SELECT sum(retry_count)::integer AS charged, sum(attempt - retry_count - 1)::integer AS put_off "
        "FROM content_generation_tasks WHERE attempt > 0"
    )
    charged, put_off = queue.rows(of_attempts)[0].values()
    _end_rest(queue)

    seconds = after[-1]["seconds"] - before[-1]["seconds"]
    accepted = [b["accepted"] - a["accepted"] for a, b in zip(before, after, strict=True)]
    refused = sum(b["refused"] - a["refused"] for a, b in zip(before, after, strict=True))
    allowed = pair.allowed[-len(servers) :]
    of_usage = "SELECT model, sum(attempts)::integer AS number FROM contentq.usage GROUP BY 1 ORDER BY 1"
    of_results = (
        "SELECT result->>'model' AS model, count(*)::integer AS number FROM content_generation_tasks "
        "WHERE status = 'completed' GROUP BY 1 ORDER BY 1"
    )
    cost = "SELECT coalesce(sum((result->>'cost')::numeric), 0) FROM content_generation_tasks"
    return Found(
        used=sum(accepted) / (sum(allowed) * seconds),
        each=[made / (rate * seconds) for made, rate in zip(accepted, allowed, strict=True) if rate],
        refused=refused / max(1, refused + sum(accepted)),
        calls=sum(accepted) / seconds,
        claims=(later_claims - claims) / seconds,
        charged=charged,
        put_off=put_off,
        cost=float(queue.value("SELECT coalesce(sum(cost), 0) FROM contentq.usage")),
        results_cost=float(queue.value(cost)),
        models=(queue.rows(of_usage), queue.rows(of_results)),
    )


def _end_rest(queue: Queue) -> None:
    """Deletes pending tasks until nothing runs, so that all costs are recorded."""

    def is_over() -> bool:
        queue.run("DELETE FROM content_generation_tasks WHERE status = 'pending'")
        return bool(queue.value("SELECT count(*) = 0 FROM content_generation_tasks WHERE status = 'processing'"))

    eventually(is_over, within=30)


def _main() -> None:
    parser = argparse.ArgumentParser(description="Fleets whose models are at two providers.")
    parser.add_argument("names", nargs="*", metavar="PAIR", help=f"of {', '.join(PAIRS)}")
    parser.add_argument("--workers", type=int, default=Fleet.workers)
    parser.add_argument("--slots", type=int, default=Fleet.slots)
    parser.add_argument("--keep", type=Path, help="folder for the logs of the workers")
    given = parser.parse_args()
    having = Fleet(True, given.workers, given.slots)
    programs = next(iter(installed().values()))
    with (
        tempfile.TemporaryDirectory() as made,
        Cluster(programs.folder, settings={"track_functions": "pl"}, tcp=True) as cluster,
        closing(Databases(cluster.dsn(host="127.0.0.1"))) as databases,
    ):
        for name in given.names or PAIRS:
            with databases.migrated() as dsn:
                print(f"{name}: {run(dsn, given.keep or Path(made), PAIRS[name], having).line()}", flush=True)


if __name__ == "__main__":
    _main()
