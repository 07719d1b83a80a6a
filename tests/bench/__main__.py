"""Measures every figure beside its limit, in turn, several times; prints a table and writes JSON.

python -m tests.bench [--rounds 3] [--only drain] [--quick] [--minutes 2] [--json bench-latest.json] [--list]
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from pathlib import Path

from rich.console import Console

from tests.bench.bed import bed
from tests.bench.catalogue import MEASUREMENTS
from tests.bench.figures import Reading
from tests.bench.report import Report, shown

WIDTH = 160
"""Columns of the output where it does not go to a terminal."""


def main() -> int:
    """Runs the benchmark; exit code 1 when a figure misses its bound or could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="a family, or figures whose name contains this"
    )
    parser.add_argument("--quick", action="store_true", help="a twentieth of the sizes, to see that it works")
    parser.add_argument("--minutes", type=float, default=2.0, help="how long the steady state is watched")
    parser.add_argument("--json", type=Path, default=Path("bench-latest.json"))
    parser.add_argument("--list", action="store_true", help="list families and figures, measure nothing")
    arguments = parser.parse_args()
    measured = [each for each in MEASUREMENTS if each.is_meant(arguments.only)]
    if arguments.list:
        for measurement in measured:
            print(*(f"{measurement.family}: {figure.name}" for figure in measurement.figures), sep="\n")
        return 0
    if not measured:
        parser.error(f"there is no figure of this name: {', '.join(arguments.only)}; see --list")
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    with bed(quick=arguments.quick, minutes=arguments.minutes) as on:
        report = Report(on.value("SHOW server_version"), quick=arguments.quick)
        for number in range(1, arguments.rounds + 1):
            for measurement in measured:
                if measurement.once and number > 1:
                    continue
                try:
                    for reading in measurement.measure(on):
                        report.add(reading)
                        console.print(f"round {number}: {_line(reading)}", style="dim")
                except Exception:
                    # What else was measured in these many minutes is not to be lost.
                    report.failures.append(f"{measurement.figures[0].name}: {traceback.format_exc()}")
                    console.print(f"round {number}: {report.failures[-1]}", style="red", markup=False)
    for table in [*report.series(), report.table()]:
        console.print(table)
    for failure in report.failures:
        console.print(failure.splitlines()[0], failure.splitlines()[-1], style="red", markup=False)
    arguments.json.write_text(json.dumps(report.json(), indent=2) + "\n")
    return 0 if report.kept else 1


def _line(reading: Reading) -> str:
    line = f"{reading.figure.name}: {shown(reading.value, reading.figure.unit)}"
    if reading.limit is not None and reading.ratio is not None:
        line += f", {reading.figure.limit}: {shown(reading.limit, reading.figure.unit)}, ratio {reading.ratio:.2f}"
    return line


if __name__ == "__main__":
    sys.exit(main())
