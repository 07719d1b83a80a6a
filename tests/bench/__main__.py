"""Measures every figure and its limit in turn, several times; prints a table and writes JSON.

A quick test, half a minute: python -m tests.bench --quick --only drain
Some figures, a few minutes: python -m tests.bench --only drain --only latency
All figures, 20 to 30 minutes: python -m tests.bench
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from contentq.failures import EXIT_INTERRUPTED
from rich.console import Console

from tests.bench.bed import Bed, bed
from tests.bench.catalogue import MEASUREMENTS
from tests.bench.figures import Measurement, Reading
from tests.bench.report import Report, shown

WIDTH = 160
"""Width of the output if it is not a terminal."""

ROUNDS = 3


def main() -> int:
    """Runs the benchmark. Exit code 1 if a bound is missed or a measurement failed, 130 after Ctrl-C."""
    parser = options()
    arguments = parser.parse_args()
    measured = [each for each in MEASUREMENTS if each.is_meant(arguments.only)]
    if arguments.list:
        for measurement in measured:
            print(*(f"{measurement.family}: {figure.name}" for figure in measurement.figures), sep="\n")
        return 0
    if not measured:
        parser.error(f"there is no figure of this name: {', '.join(arguments.only)}; see --list")
    rounds = arguments.rounds or (1 if arguments.quick else ROUNDS)
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    console.print(_plan(measured, rounds, quick=arguments.quick, file=arguments.json), style="dim")
    report = Report(quick=arguments.quick)
    try:
        with bed(quick=arguments.quick, minutes=arguments.minutes) as on:
            report.postgresql = on.value("SHOW server_version")
            _measure(measured, rounds, on, report, console)
    except KeyboardInterrupt:
        report.interrupted = True
    for table in [*report.series(), report.table()]:
        console.print(table)
    for failure in report.failures:
        console.print(failure.splitlines()[0], failure.splitlines()[-1], style="red", markup=False)
    arguments.json.write_text(json.dumps(report.json(), indent=2) + "\n")
    if report.interrupted:
        console.print(f"interrupted; what was measured until then is above and in {arguments.json}", markup=False)
        return EXIT_INTERRUPTED
    return 0 if report.kept else 1


def options() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit codes: 0 every bound is kept, 1 one is missed or something could not be measured, "
        "2 wrong usage, 130 interrupted.",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="a family, or figures whose name contains this; may be given several times",
    )
    parser.add_argument("--list", action="store_true", help="list families and figures, measure nothing")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a twentieth of the sizes and one round, to see that it works; nothing is judged",
    )
    parser.add_argument(
        "--rounds",
        type=_at_least_one,
        metavar="N",
        help=f"how often each figure is measured, beside its limit each time; {ROUNDS}, with --quick 1",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=2.0,
        metavar="M",
        help="how long the steady state is watched; %(default)s, with --quick a quarter of one",
    )
    parser.add_argument(
        "--json",
        type=Path,
        default=Path("bench-latest.json"),
        metavar="FILE",
        help="where every round's figures go; %(default)s",
    )
    return parser


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one round is needed for a figure")
    return number


def _plan(measured: Sequence[Measurement], rounds: int, *, quick: bool, file: Path) -> str:
    """A description of the next measurement."""
    families = ", ".join({each.family: None for each in measured})
    sizes = "a twentieth of the sizes, nothing is judged" if quick else "full sizes"
    times = "1 round" if rounds == 1 else f"{rounds} rounds"
    return f"{families}: {times}, {sizes}; the figures go to {file}; Ctrl-C ends it with what there is"


def _measure(measured: Sequence[Measurement], rounds: int, on: Bed, report: Report, console: Console) -> None:
    for number in range(1, rounds + 1):
        for measurement in measured:
            if measurement.once and number > 1:
                continue
            try:
                for reading in measurement.measure(on):
                    report.add(reading)
                    console.print(f"round {number}: {_line(reading)}", style="dim")
            except Exception:
                # Keep the results of the other measurements, which took minutes.
                report.failures.append(f"{measurement.figures[0].name}: {traceback.format_exc()}")
                console.print(f"round {number}: {report.failures[-1]}", style="red", markup=False)


def _line(reading: Reading) -> str:
    line = f"{reading.figure.name}: {shown(reading.value, reading.figure.unit)}"
    if reading.limit is not None and reading.ratio is not None:
        line += f", {reading.figure.limit}: {shown(reading.limit, reading.figure.unit)}, ratio {reading.ratio:.2f}"
    return line


if __name__ == "__main__":
    sys.exit(main())
