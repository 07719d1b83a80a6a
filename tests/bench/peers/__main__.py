"""Measures contentq and its peers in turn, several times; prints a table and writes JSON.

python -m tests.bench.peers [--rounds 3] [--only procrastinate] [--json bench-peers-latest.json]

Each queue runs jobs that do nothing, with priorities 1 to 10, in one process. The server has PostgreSQL's durable
defaults; the tables are filled, analyzed and written to disk before. The rate comes from the queue's own record in
its database: from the first start to the last completion. Each peer is measured right next to contentq, and the
ratio is the median of these pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from contentq import __version__
from rich.console import Console
from rich.table import Table

from tests.bench import latency
from tests.bench.bed import Bed, bed
from tests.bench.peers.peer import PGQUEUER, PROCRASTINATE, Peer, PeerFailure

TASKS = 40_000

SLOW = 4_000
"""Jobs for a peer that completes a few hundred per second."""

SAMPLES = 100

PAUSE = (0.15, 0.2)
"""Minimum and maximum seconds between two inserts: longer than any of the queues delays a completion."""

PYTHON = Path(".venv-peers/bin/python")


@dataclass
class Comparison:
    """A peer with certain settings and contentq with defaults, measured in turn.

    at_least: bound on the median of the ratios contentq / peer, or None. failure: why the peer has no figure.
    """

    peer: Peer
    settings: str
    figure: str
    unit: str
    jobs: int
    contentq: Callable[[Bed], float]
    measure: Callable[[Bed, Path], float]
    at_least: float | None = None
    own: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    failure: str | None = None

    @property
    def name(self) -> str:
        """The names that --only matches."""
        return f"{self.figure}: {self.peer.name}, {self.settings}"

    def run(self, on: Bed, python: Path, *, peer_first: bool) -> None:
        """Measures one pair; raises PeerFailure."""
        if peer_first:
            theirs, own = self.measure(on, python), self.contentq(on)
        else:
            own, theirs = self.contentq(on), self.measure(on, python)
        self.own.append(own)
        self.theirs.append(theirs)

    @property
    def ratio(self) -> float | None:
        if self.failure is not None:
            return None
        return statistics.median(own / theirs for own, theirs in zip(self.own, self.theirs, strict=True))

    @property
    def verdict(self) -> str:
        if self.ratio is None:
            return "not measured"
        if self.at_least is None:
            return ""
        return f"{'ok' if self.ratio >= self.at_least else 'MISSED'} (>= {self.at_least:g})"


def comparisons() -> list[Comparison]:
    """The comparisons.

    Settings other than defaults follow the peers' own pages on performance. pgqueuer: larger batches for short
    jobs, `pgq autovac`, and one connection or a pool, since both are recommended. procrastinate: the concurrency
    of its example (50 and 100 were no faster).
    """
    return [
        _tuned_pgqueuer(batch=200),
        _tuned_pgqueuer(batch=200, pool=5),
        _tuned_pgqueuer(batch=500, pool=5),
        _drain(PGQUEUER, "defaults", TASKS),
        _drain(PROCRASTINATE, "concurrency 30", SLOW, working=("--concurrency", "30"), at_least=20),
        _drain(PROCRASTINATE, "defaults", SLOW, at_least=20),
        _latency(PGQUEUER),
        _latency(PROCRASTINATE),
    ]


def main() -> int:
    """Runs the comparison. Exit code 1 if a ratio misses its bound or a peer could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="comparisons whose name contains this")
    parser.add_argument("--json", type=Path, default=Path("bench-peers-latest.json"))
    parser.add_argument("--python", type=Path, default=PYTHON, help="of the peers' environment")
    arguments = parser.parse_args()
    if not arguments.python.is_file():
        parser.error(f"{arguments.python} is not there; `make bench-peers` makes it")
    compared = [comparison for comparison in comparisons() if arguments.only in comparison.name]
    if not compared:
        parser.error(f"no comparison has {arguments.only!r} in its name")
    console = Console()
    _install(compared, arguments.python, console)
    with bed() as on:
        version = str((on.connection.execute("SHOW server_version").fetchone() or ["?"])[0])
        for number in range(arguments.rounds):
            for comparison in compared:
                if comparison.failure is None:
                    console.print(f"round {number + 1}: {comparison.name}", style="dim", highlight=False)
                    _measure(comparison, on, arguments.python, console, peer_first=number % 2 == 1)
    _show(compared, version, console)
    arguments.json.write_text(json.dumps(_report(compared, version), indent=2) + "\n")
    return 1 if any("MISSED" in c.verdict or c.failure is not None for c in compared) else 0


def _tuned_pgqueuer(*, batch: int, pool: int = 0) -> Comparison:
    settings = f"batch {batch}, pool of {pool}" if pool else f"batch {batch}"
    working = ("--batch", str(batch), "--pool", str(pool))
    return _drain(PGQUEUER, settings, TASKS, filling=("--autovacuum",), working=working, at_least=1)


def _drain(
    peer: Peer,
    settings: str,
    jobs: int,
    *,
    filling: tuple[str, ...] = (),
    working: tuple[str, ...] = (),
    at_least: float | None = None,
) -> Comparison:
    return Comparison(
        peer,
        settings,
        "drain",
        "jobs/s",
        jobs,
        _drained,
        lambda on, python: peer.rate(on, python, jobs, filling=filling, working=working),
        at_least,
    )


def _drained(on: Bed) -> float:
    """Tasks per second of contentq with default settings."""
    on.fill(TASKS)
    on.connection.execute("ANALYZE")
    with on.worker("tests.bench.handlers:nothing", "--until-empty") as worker:
        worker.wait(timeout=120)
    return on.rate(TASKS)


def _latency(peer: Peer) -> Comparison:
    return Comparison(
        peer,
        "defaults",
        "insert to start",
        "ms",
        SAMPLES,
        _started,
        lambda on, python: statistics.median(peer.latencies(on, python, SAMPLES, PAUSE)),
    )


def _started(on: Bed) -> float:
    """Median milliseconds from an insert to the start of its handler in an idle worker."""
    on.fill(0)
    with on.worker("tests.bench.handlers:started", registered=True):
        time.sleep(latency.SETTLE)
        (begun_ns,) = latency.begin([on], SAMPLES, PAUSE)
        return statistics.median(latency.milliseconds(begun_ns, latency.started_ns(on, SAMPLES)))


def _install(compared: list[Comparison], python: Path, console: Console) -> None:
    for peer in {comparison.peer: None for comparison in compared}:
        try:
            peer.install(python)
        except PeerFailure as failure:
            _give_up([comparison for comparison in compared if comparison.peer is peer], failure, console)


def _measure(comparison: Comparison, on: Bed, python: Path, console: Console, *, peer_first: bool) -> None:
    try:
        comparison.run(on, python, peer_first=peer_first)
    except PeerFailure as failure:
        _give_up([comparison], failure, console)


def _give_up(compared: list[Comparison], failure: PeerFailure, console: Console) -> None:
    console.print(str(failure), style="red", markup=False, highlight=False, soft_wrap=True)
    for comparison in compared:
        comparison.failure = str(failure)


def _show(compared: list[Comparison], version: str, console: Console) -> None:
    peers = ", ".join(f"{peer.name} {peer.version}" for peer in {c.peer: None for c in compared})
    console.print(
        f"\ncontentq {__version__} ({TASKS:,} tasks a drain, default settings), {peers}; PostgreSQL {version}, "
        f"{os.cpu_count()} cores; medians, ratio contentq / peer\n",
        highlight=False,
    )
    for figure in {comparison.figure: None for comparison in compared}:
        console.print(_table([comparison for comparison in compared if comparison.figure == figure]))


def _table(compared: list[Comparison]) -> Table:
    """One table for comparisons of one unit."""
    table = Table(title=f"{compared[0].figure}, {compared[0].unit}", title_justify="left")
    for heading in ("peer", "its jobs", "peer", "contentq", "ratio", "expected"):
        table.add_column(heading, justify="left" if heading == "expected" else "right")
    table.columns[0].justify = "left"
    for comparison in compared:
        table.add_row(
            f"{comparison.peer.name}, {comparison.settings}",
            f"{comparison.jobs:,}",
            _shown(comparison.theirs),
            _shown(comparison.own),
            "" if comparison.ratio is None else f"{comparison.ratio:.2f}",
            comparison.verdict,
        )
    return table


def _shown(values: list[float]) -> str:
    if not values:
        return ""
    value = statistics.median(values)
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _report(compared: list[Comparison], version: str) -> dict[str, object]:
    return {
        "contentq": __version__,
        "postgresql": version,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "comparisons": [
            {
                "peer": comparison.peer.name,
                "version": comparison.peer.version,
                "settings": comparison.settings,
                "figure": comparison.figure,
                "unit": comparison.unit,
                "peer_jobs": comparison.jobs,
                "contentq_values": comparison.own,
                "peer_values": comparison.theirs,
                "ratio": None if comparison.ratio is None else round(comparison.ratio, 3),
                "at_least": comparison.at_least,
                "failure": comparison.failure,
            }
            for comparison in compared
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
