"""Fleets of workers against providers that limit, refuse and fail, with and without a gate.

Run as a program, it prints a line for each scenario, for docs/explanation/how-a-claim-decides.md. Without names it
runs all scenarios:

    python -m tests.faults.provider_fleet [SCENARIO ...] [--no-gate] [--at-once 3] [--workers 3] [--slots 50]

Names joined by a plus run on one database at the same time, each with its own workers: bucket+in_flight.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.faults.fleet import WorkerProcess, fleet
from tests.support.cluster import Cluster
from tests.support.databases import Databases
from tests.support.programs import installed
from tests.support.provider_rules import Limits
from tests.support.queue import Queue
from tests.support.waiting import eventually

SETTINGS = 'model = "test"\n[prices.test]\ninput = 1.0\noutput = 2.0\n'
"""Settings of the handler; prices are per million tokens."""

FULL = 0.9
"""The share of the allowed rate that counts as the full rate."""

FULL_OVER = 3
"""Seconds for which the rate must be this high."""

KNOWN_AFTER = 3.0
"""Seconds after the start of an outage from which all calls are probes, because every worker knows about it."""

ANSWER_IN_OUTAGE = 0.3
"""Seconds after which a call in an outage gets its 503."""

WAITING = 3000
"""Tasks at the start, more than any scenario completes."""


@dataclass(frozen=True)
class Scenario:
    """A provider and the measurements of a fleet against it.

    seconds, spread, words: of an answer, as in Provider. warm_up, measured: seconds from the first call. change:
    new limits when the measurement starts. outage: seconds of an outage that starts then. prepare: SQL that sets
    up the gate, with its key as {gate}; skipped without a gate. allowed: calls per second, if the provider's
    limits do not state it.
    """

    name: str
    limits: Limits
    seconds: float = 1.0
    spread: float = 0.3
    words: tuple[int, int] | None = None
    warm_up: float = 8.0
    measured: float = 20.0
    change: dict[str, Any] | None = None
    outage: float = 0.0
    prepare: str | None = None
    allowed: float | None = None

    @property
    def allowance(self) -> tuple[str, float] | None:
        """The kind of limit, as counted by the provider, and its amount per second; None without a limit."""
        limits = replace(self.limits, **(self.change or {}))
        limit = [
            ("accepted", self.allowed or limits.rate),
            ("busy_seconds", limits.in_flight),
            ("tokens", limits.tokens),
        ]
        return next(((counted, most) for counted, most in limit if most is not None), None)


SET = "SELECT contentq.set_gate('{gate}', %s)"
"""An operator configures the gate."""

TOKENS = Limits(tokens=5000, tokens_burst=10_000)
"""300,000 tokens per minute."""

SCENARIOS = {
    scenario.name: scenario
    for scenario in [
        Scenario("bucket", Limits(rate=20, burst=20)),
        Scenario("bucket_of_one", Limits(rate=20)),
        Scenario("headers", Limits(rate=20, burst=20, form="reset", says_remaining=True)),
        Scenario("window_1s", Limits(rate=20, window=1, form="seconds")),
        Scenario("window_60s", Limits(rate=10, window=60, form="seconds"), warm_up=60, measured=60),
        Scenario("in_flight", Limits(in_flight=30, form="nothing"), seconds=2.0),
        Scenario("in_flight_named", Limits(in_flight=30, form="seconds"), seconds=2.0),
        Scenario("random_1", Limits(share=0.01, form="seconds"), seconds=6.0),
        Scenario("random_5", Limits(share=0.05, form="seconds"), seconds=6.0),
        Scenario("random_10", Limits(share=0.10, form="seconds"), seconds=6.0),
        Scenario("doubled", Limits(rate=15, burst=15), warm_up=10, measured=25, change={"rate": 30, "burst": 30}),
        Scenario("halved", Limits(rate=20, burst=20), warm_up=10, measured=25, change={"rate": 10, "burst": 10}),
        Scenario("tokens", TOKENS, words=(30, 3000), warm_up=12, measured=25),
        Scenario("outage", Limits(rate=20, burst=20), warm_up=10, measured=34, outage=20),
        Scenario(
            "set_requests",
            Limits(),
            warm_up=4,
            measured=15,
            prepare=SET % "requests_per_minute => 600",
            allowed=10.0,
        ),
        Scenario("set_tokens", TOKENS, words=(30, 3000), warm_up=12, prepare=SET % "tokens_per_minute => 300000"),
        Scenario("set_running", Limits(in_flight=30), seconds=2.0, prepare=SET % "max_running => 30"),
    ]
}
"""Scenarios by name."""


@dataclass(frozen=True)
class Findings:
    """The result of a scenario, over the measured period unless a field states otherwise."""

    used: float | None
    """Share of the allowed amount that was used; None without a limit."""

    refused: float
    """Share of the calls."""

    calls: float
    """Accepted calls per second."""

    in_flight: float
    """Average number of concurrent calls."""

    most_in_flight: int
    """Maximum number of concurrent calls, from the start."""

    settled: float | None
    """Seconds from the new limit, or from the end of the outage, to the full rate. None if it was not reached."""

    outage_calls: int
    """Calls during an outage."""

    probe_calls: int
    """Calls after the first seconds of the outage."""

    probes: int
    """Maximum number of those that were concurrent."""

    held: int
    """Tasks running when the outage started."""

    charged: int
    """Retries charged, from the start."""

    claims: float
    """Calls of contentq.claim per second, by all workers on the database."""

    statements: float
    """Transactions per second in the database, by all clients."""

    cost: float
    results_cost: float
    """The total cost according to contentq.usage, and according to the results of the tasks."""

    def line(self) -> str:
        """The figures in one line."""
        settled = "" if self.settled is None else f"settled={self.settled:.0f}s "
        outage = f"outage_calls={self.outage_calls} probe_calls={self.probe_calls} probes={self.probes} "
        outage += f"held={self.held} "
        return (
            f"used={'-' if self.used is None else format(self.used, '.3f')} refused={self.refused:.1%} "
            f"calls={self.calls:.1f}/s in_flight={self.in_flight:.1f} most={self.most_in_flight} {settled}"
            f"{outage if self.outage_calls else ''}charged={self.charged} "
            f"claims={self.claims:.1f}/s statements={self.statements:.1f}/s"
        )


@dataclass(frozen=True)
class Fleet:
    """The fleet: processes, slots per process, with or without a gate."""

    gate: bool = True
    workers: int = 3
    slots: int = 50


class ProviderProcess:
    """The provider in a separate process."""

    def __init__(self, scenario: Scenario) -> None:
        options = ["--seconds", str(scenario.seconds), "--spread", str(scenario.spread)]
        options += ["--limits", json.dumps(asdict(scenario.limits))]
        if scenario.words is not None:
            options += ["--words", *map(str, scenario.words)]
        command = [sys.executable, "-m", "tests.support.provider", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.host = f"127.0.0.1:{int(self.process.stdout.readline())}"

    def ask(self, path: str, given: Any = None) -> Any:
        """GET, or POST with a body."""
        data = None if given is None else json.dumps(given).encode()
        with urllib.request.urlopen(f"http://{self.host}{path}", data, timeout=60) as answer:
            return json.load(answer)

    def stats_at(self, seconds: float) -> dict[str, Any]:
        """Its counts this many seconds after the first call; waits until then.

        Time is the subject of the measurement, so there is no other condition to wait for.
        """
        time.sleep(max(0.0, seconds - self.ask("/stats")["seconds"]))
        found: dict[str, Any] = self.ask("/stats")
        return found

    def end(self) -> None:
        """Stops the process."""
        self.process.terminate()
        self.process.communicate(timeout=10)


@contextmanager
def provider(scenario: Scenario) -> Iterator[ProviderProcess]:
    """Runs a provider until the end of the block."""
    made = ProviderProcess(scenario)
    try:
        yield made
    finally:
        made.end()


def run(dsn: str, folder: Path, scenario: Scenario, having: Fleet) -> Findings:
    """Runs a scenario with its own fleet; others on the same database use other categories."""
    folder = folder / scenario.name
    folder.mkdir()
    (folder / "openai.toml").write_text(SETTINGS)
    with (
        provider(scenario) as server,
        closing(psycopg.connect(dsn, autocommit=True)) as connection,
        fleet() as workers,
    ):
        queue = Queue(connection)
        _insert(queue, scenario)
        if having.gate and scenario.prepare is not None:
            queue.run(scenario.prepare.format(gate=server.host))
        options = ["--settings", str(folder / "openai.toml"), "--category", scenario.name]
        options += ["--concurrency", str(having.slots), *([] if having.gate else ["--no-gate"])]
        environment = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": f"http://{server.host}/v1"}
        for _ in range(having.workers):
            workers.append(WorkerProcess(dsn, folder, *options, handler="openai", environment=environment))
        server.ask("/begun")
        return _measure(server, queue, scenario)


def _insert(queue: Queue, scenario: Scenario) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, category, topic) "
        "SELECT %s, %s, 'Topic ' || n FROM generate_series(1, %s) AS n",
        queue.account,
        scenario.name,
        WAITING,
    )


@dataclass(frozen=True)
class _Counted:
    """The counts at one moment."""

    server: dict[str, Any]
    claims: int
    statements: int


def _measure(server: ProviderProcess, queue: Queue, scenario: Scenario) -> Findings:
    begin, end = scenario.warm_up, scenario.warm_up + scenario.measured
    before = _count(server.stats_at(begin), queue)
    held = _running(queue, scenario) if scenario.outage else 0
    if scenario.change is not None:
        server.ask("/limits", scenario.change)
    if scenario.outage:
        server.ask("/outage", {"mode": "503", "seconds": scenario.outage, "after": ANSWER_IN_OUTAGE})
    after = _count(server.stats_at(end), queue)
    charged = _of_tasks(queue, scenario, "coalesce(sum(retry_count), 0)")
    _end_rest(queue, scenario)

    def counted(what: str) -> float:
        return float(after.server[what] - before.server[what])

    seconds = counted("seconds")
    by_second = {int(second): each for second, each in after.server["by_second"].items()}
    allowance = scenario.allowance
    probed = [each for second, each in by_second.items() if second >= begin + KNOWN_AFTER]
    return Findings(
        used=None if allowance is None else counted(allowance[0]) / (allowance[1] * seconds),
        refused=counted("refused") / max(1.0, counted("refused") + counted("accepted")),
        calls=counted("accepted") / seconds,
        in_flight=counted("busy_seconds") / seconds,
        most_in_flight=after.server["most_running"],
        settled=_settled(by_second, scenario),
        outage_calls=after.server["unavailable"],
        probe_calls=sum(each.get("unavailable", 0) for each in probed),
        probes=max((each.get("probes", 0) for each in probed), default=0),
        held=held,
        charged=charged,
        claims=(after.claims - before.claims) / seconds,
        statements=(after.statements - before.statements) / seconds,
        cost=float(queue.value("SELECT coalesce(sum(cost), 0) FROM contentq.usage")),
        results_cost=float(
            queue.value("SELECT coalesce(sum((result->>'cost')::numeric), 0) FROM content_generation_tasks")
        ),
    )


def _settled(by_second: dict[int, dict[str, int]], scenario: Scenario) -> float | None:
    """Seconds until the start of the first period at the full rate."""
    if scenario.allowance is None or not (scenario.change or scenario.outage):
        return None
    what, most = scenario.allowance
    since, end = scenario.warm_up + scenario.outage, scenario.warm_up + scenario.measured
    for first in range(round(since), int(end) - FULL_OVER + 1):
        seconds = range(first, first + FULL_OVER)
        if sum(by_second.get(second, {}).get(what, 0) for second in seconds) >= FULL * most * FULL_OVER:
            return first - since
    return None


def _count(stats: dict[str, Any], queue: Queue) -> _Counted:
    found = queue.rows(
        "SELECT xact_commit AS statements, ("
        "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_user_functions WHERE funcname = 'claim'"
        ") AS claims FROM pg_stat_database WHERE datname = current_database()"
    )[0]
    return _Counted(stats, found["claims"], found["statements"])


def _of_tasks(queue: Queue, scenario: Scenario, what: str) -> int:
    return int(queue.value(f"SELECT {what} FROM content_generation_tasks WHERE category = %s", scenario.name))


def _running(queue: Queue, scenario: Scenario) -> int:
    return _of_tasks(queue, scenario, "count(*) FILTER (WHERE status = 'processing')")


def _end_rest(queue: Queue, scenario: Scenario) -> None:
    """Deletes pending tasks until nothing runs, so that all costs are recorded."""

    def is_over() -> bool:
        queue.run("DELETE FROM content_generation_tasks WHERE category = %s AND status = 'pending'", scenario.name)
        return _running(queue, scenario) == 0

    eventually(is_over, within=30)


Job = tuple[str, Fleet]
"""Names of scenarios and their fleet; names joined by a plus share a database."""


@contextmanager
def running(
    databases: Databases, folder: Path, jobs: Sequence[Job], at_once: int
) -> Iterator[dict[Job, Future[list[Findings]]]]:
    """Runs this many jobs concurrently, each on its own database, the longest first."""

    def seconds(job: Job) -> float:
        return max(each.warm_up + each.measured for each in named(job[0]))

    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(at_once))
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        futures = {}
        for job in sorted(jobs, key=seconds, reverse=True):
            dsn = stack.enter_context(databases.migrated())
            futures[job] = pool.submit(run_together, dsn, folder, *job)
        yield futures


def run_together(dsn: str, folder: Path, names: str, having: Fleet) -> list[Findings]:
    """Runs scenarios concurrently on one database."""
    folder = folder / (names if having.gate else f"{names}-no-gate")
    folder.mkdir()
    with closing(psycopg.connect(dsn, autocommit=True)) as connection:
        # Function statistics count the calls, which separates claims from other statements.
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET track_functions = pl").format(name))
    scenarios = named(names)
    with ThreadPoolExecutor(len(scenarios)) as pool:
        return list(pool.map(lambda each: run(dsn, folder, each, having), scenarios))


def named(names: str) -> list[Scenario]:
    """The scenarios of names joined by a plus."""
    return [SCENARIOS[name] for name in names.split("+")]


def _main() -> None:
    parser = argparse.ArgumentParser(description="Fleets against providers that limit, refuse and fail.")
    parser.add_argument("names", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; a+b: together")
    parser.add_argument("--no-gate", action="store_true")
    parser.add_argument("--seconds", type=float, help="to measure, in place of what each scenario says")
    parser.add_argument("--workers", type=int, default=Fleet.workers)
    parser.add_argument("--slots", type=int, default=Fleet.slots)
    parser.add_argument("--at-once", type=int, default=3, help="scenarios")
    parser.add_argument("--keep", type=Path, help="folder for the logs of the workers")
    given = parser.parse_args()
    if given.seconds is not None:
        SCENARIOS.update({name: replace(each, measured=given.seconds) for name, each in SCENARIOS.items()})
    usual = [name for name, each in SCENARIOS.items() if not (given.no_gate and each.prepare)]
    having = Fleet(not given.no_gate, given.workers, given.slots)
    jobs = [(names, having) for names in given.names or usual]
    programs = next(iter(installed().values()))
    with (
        tempfile.TemporaryDirectory() as made,
        Cluster(programs.folder, tcp=True) as cluster,
        closing(Databases(cluster.dsn(host="127.0.0.1"))) as databases,
        running(databases, given.keep or Path(made), jobs, given.at_once) as futures,
    ):
        for job in jobs:
            _print(job[0], futures[job])


def _print(names: str, future: Future[list[Findings]]) -> None:
    """A line for each scenario of a job, or the reason if it could not run."""
    try:
        lines = [findings.line() for findings in future.result()]
    except (psycopg.Error, AssertionError, OSError) as error:
        lines = [f"could not be run: {' '.join(str(error).split())}"] * len(named(names))
    for name, line in zip(names.split("+"), lines, strict=True):
        print(f"{name if name == names else f'{name} ({names})'}: {line}", flush=True)


if __name__ == "__main__":
    _main()
