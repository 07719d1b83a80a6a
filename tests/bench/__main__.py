"""Measures every figure beside its limit, in turn, several times; prints a table and writes JSON.

python -m tests.bench [--rounds 3] [--only drain] [--json bench-latest.json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from contentq import __version__
from rich.console import Console
from rich.table import Table

from tests.bench import drain, enqueue, latency, slots, snapshot
from tests.bench.bed import Bed, bed


@dataclass
class Figure:
    """A measured figure, its limit measured beside it, and the ratio that is expected of it.

    at_least / at_most: bounds on the median of the ratios figure / limit, or None.
    """

    name: str
    unit: str
    measure: Callable[[Bed], float]
    limit_name: str
    limit: Callable[[Bed], float]
    at_least: float | None = None
    at_most: float | None = None
    figures: list[float] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)

    def run(self, on: Bed) -> None:
        self.limits.append(self.limit(on))
        self.figures.append(self.measure(on))

    @property
    def ratio(self) -> float:
        return statistics.median(f / limit for f, limit in zip(self.figures, self.limits, strict=True))

    @property
    def verdict(self) -> str:
        if self.at_least is not None:
            return f"{'ok' if self.ratio >= self.at_least else 'MISSED'} (>= {self.at_least:g})"
        if self.at_most is not None:
            return f"{'ok' if self.ratio <= self.at_most else 'MISSED'} (<= {self.at_most:g})"
        return ""


def figures() -> list[Figure]:
    """What is measured."""
    drained = snapshot.Drained()
    return [
        Figure(
            "drain, 1 process",
            "tasks/s",
            lambda on: drain.worked(on, 1),
            "pgbench, 1 client",
            lambda on: drain.raw(on, 1),
            at_least=0.7,
        ),
        Figure(
            "drain, 2 processes",
            "tasks/s",
            lambda on: drain.worked(on, 2),
            "pgbench, 2 clients",
            lambda on: drain.raw(on, 2),
        ),
        Figure(
            "drain, with content",
            "tasks/s",
            lambda on: drain.worked(on, 1, "template"),
            "pgbench, 1 client",
            lambda on: drain.raw(on, 1, content=True),
        ),
        Figure(
            "beside an old snapshot, last fifth",
            "tasks/s",
            drained.last_fifth,
            "first fifth",
            drained.first_fifth,
        ),
        Figure("2,000 × 1 s, async, 500 slots", "s", slots.asynchronous, "ideal", slots.asynchronous_ideal),
        Figure("2,000 × 0.1 s, threads, 64 slots", "s", slots.threads, "ideal", slots.threads_ideal),
        Figure("INSERT, 8 clients", "rows/s", enqueue.with_wake_up, "no wake-up", enqueue.without_wake_up),
        Figure("submit, 100,000 rows", "rows/s", enqueue.submitted, "COPY", enqueue.copied),
        Figure(
            "insert to start, median",
            "ms",
            lambda on: statistics.median(latency.worked(on)),
            "bare NOTIFY and claim",
            lambda on: statistics.median(latency.bare(on)),
        ),
        Figure(
            "insert to start, p99",
            "ms",
            lambda on: _p99(latency.worked(on)),
            "bare NOTIFY and claim",
            lambda on: _p99(latency.bare(on)),
        ),
    ]


def main() -> int:
    """Runs the benchmark; exit code 1 when a figure misses its bound."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="figures whose name contains this")
    parser.add_argument("--json", type=Path, default=Path("bench-latest.json"))
    arguments = parser.parse_args()
    measured = [figure for figure in figures() if arguments.only in figure.name]
    console = Console()
    with bed() as on:
        version = str((on.connection.execute("SHOW server_version").fetchone() or ["?"])[0])
        for number in range(arguments.rounds):
            for figure in measured:
                console.print(f"round {number + 1}: {figure.name}", style="dim")
                figure.run(on)
    console.print(_table(measured, version))
    arguments.json.write_text(json.dumps(_report(measured, version), indent=2) + "\n")
    return 1 if any("MISSED" in figure.verdict for figure in measured) else 0


def _p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


def _table(measured: list[Figure], version: str) -> Table:
    table = Table(title=f"contentq {__version__}, PostgreSQL {version}, {os.cpu_count()} cores; medians")
    for heading in ("figure", "contentq", "limit", "", "ratio", "expected"):
        table.add_column(heading, justify="right" if heading in ("contentq", "limit", "ratio") else "left")
    for figure in measured:
        table.add_row(
            figure.name,
            _shown(statistics.median(figure.figures), figure.unit),
            _shown(statistics.median(figure.limits), figure.unit),
            figure.limit_name,
            f"{figure.ratio:.2f}",
            figure.verdict,
        )
    return table


def _shown(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.2f} {unit}"


def _report(measured: list[Figure], version: str) -> dict[str, object]:
    return {
        "contentq": __version__,
        "postgresql": version,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "figures": [
            {
                "name": figure.name,
                "unit": figure.unit,
                "contentq": figure.figures,
                "limit": figure.limits,
                "limit_name": figure.limit_name,
                "ratio": round(figure.ratio, 3),
                "at_least": figure.at_least,
                "at_most": figure.at_most,
            }
            for figure in measured
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
