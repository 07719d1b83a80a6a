"""`contentq bench`: measures the user's database; prints figures and what limits them."""

from __future__ import annotations

import logging
import shutil
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from contentq.cli.output import console, json_option, print_json, print_line, print_table, print_text
from contentq.durations import Duration
from contentq.version import __version__

if TYPE_CHECKING:
    from contentq.bench.figures import Figures, Server
    from contentq.cli.main import GlobalOptions

Tell = Callable[[str, int, int], None]

REDRAW = 0.25
"""Minimum seconds between updates of the progress bar, which slow down the measurement."""

SECONDS = Duration(plain_seconds=True, at_least=timedelta(seconds=1))

WIDEST = 100
"""Maximum width of prose, in characters."""


@click.command()
@click.option(
    "--tasks", type=click.IntRange(1, 10_000_000), default=50_000, show_default=True, help="Tasks to complete."
)
@click.option(
    "--samples",
    type=click.IntRange(1, 100_000),
    default=100,
    show_default=True,
    help="Tasks whose start is timed.",
)
@click.option(
    "--seconds",
    type=SECONDS,
    default="1m",
    show_default=True,
    metavar="DURATION",
    help="Approximate maximum duration: 90s, 5m, or 90 for seconds. The figures then cover the work done so far.",
)
@json_option
@click.pass_obj
def bench(options: GlobalOptions, /, tasks: int, samples: int, seconds: timedelta, as_json: bool) -> None:
    """Measure the throughput and latency of the database.

    One worker completes tasks that do nothing, in a separate database on the same server; the database is dropped
    at the end. The database user needs CREATEDB. Your queue is not used, but the server is busy during the
    measurement.
    """
    from contentq.bench.figures import measure
    from contentq.bench.verdict import NO_BREAK, verdict
    from contentq.database import dsn

    resolved = dsn.resolve(options.dsn)
    with _silence_worker(), _interrupt_on_termination(), _progress() as tell:
        figures = measure(resolved, tasks, samples, seconds.total_seconds(), tell)
    if as_json:
        print_json(_data(figures))
        return
    server = figures.server
    print_line(f"contentq {__version__} on PostgreSQL {server.version}")
    width = min(shutil.get_terminal_size().columns, WIDEST)
    place = f"database {server.database} on {_place(server)}, as user {server.user}"
    print_text(textwrap.fill(place, width, break_long_words=False, break_on_hyphens=False) + "\n")
    print_table(None, _rows(figures), "")
    for paragraph in verdict(figures):
        lines = textwrap.fill(paragraph, width, break_on_hyphens=False)
        print_text("\n" + lines.replace(NO_BREAK, " "))


def _place(server: Server) -> str:
    """The server: host and port, or the folder of its socket."""
    return server.host if server.host.startswith("/") else f"{server.host}:{server.port}"


def _rows(figures: Figures) -> list[dict[str, str]]:
    from contentq.bench.latency import PAUSE

    drained, timings, number = figures.drained, figures.timings, len(figures.latencies)
    rows = [("drain", f"{drained.rate:,.0f} tasks/s", f"{drained.completed:,} tasks that do nothing, one worker")]
    if number:
        of = f"median of {number}" if number > 1 else "one task"
        rows.append(("insert to start", f"{figures.median:.2f} ms", of))
    if number > 1:
        rows.append(("", f"{figures.p99:.2f} ms", f"{figures.nearly_all} are within this"))
    rows += [
        ("commit", f"{timings.commit:.2f} ms", "one small update, round trip included; median"),
        ("", f"{timings.rested_commit:.2f} ms", f"after a pause of {1000 * PAUSE:g} ms"),
        ("round trip", f"{timings.round_trip:.2f} ms", "SELECT 1; median"),
    ]
    width = max(len(figure) for _, figure, _ in rows)
    return [{"measure": name, "figure": f"{figure:>{width}}", "of": of} for name, figure, of in rows]


def _data(figures: Figures) -> dict[str, Any]:
    server, drained, timings = figures.server, figures.drained, figures.timings
    started = figures.latencies
    return {
        "contentq": __version__,
        "postgresql": server.version,
        "database": {"host": server.host, "port": server.port, "name": server.database, "user": server.user},
        "durable": server.is_durable,
        "settings": {"fsync": server.fsync, "synchronous_commit": server.synchronous_commit},
        "drain": {
            "tasks": figures.tasks,
            "completed": drained.completed,
            "seconds": round(drained.seconds, 3),
            "tasks_per_second": round(drained.rate, 1),
            "waiting_at_most": {limit.value: round(share, 3) for limit, share in figures.waiting.items()},
            "worker_computing": round(drained.computing, 3),
        },
        "insert_to_start": {
            "samples": len(started),
            "median_ms": round(figures.median, 3) if started else None,
            "p99_ms": round(figures.p99, 3) if started else None,
        },
        "commit_ms": round(timings.commit, 3),
        "commit_after_pause_ms": round(timings.rested_commit, 3),
        "round_trip_ms": round(timings.round_trip, 3),
        "limited_by": figures.limit.value if figures.limit else None,
    }


@contextmanager
def _progress() -> Iterator[Tell]:
    """Shows a progress bar on a terminal. It is drawn only on updates, never in between."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<18}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(err=True), auto_refresh=False, transient=True) as progress:
        bar = progress.add_task("")
        drawn_at, shown = 0.0, ""

        def tell(what: str, done: int, of: int) -> None:
            nonlocal drawn_at, shown
            now = time.monotonic()
            if what != shown or now - drawn_at >= REDRAW:
                progress.update(bar, description=what, completed=done, total=of, refresh=True)
                drawn_at, shown = now, what

        yield tell


@contextmanager
def _silence_worker() -> Iterator[None]:
    """Hides the worker's log of outages; the benchmark then ends and reports the reason."""
    levels = {logging.getLogger("contentq"): logging.ERROR, logging.getLogger("psycopg"): logging.ERROR}
    before = {logger: logger.level for logger in levels}
    for logger, level in levels.items():
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)


@contextmanager
def _interrupt_on_termination() -> Iterator[None]:
    """Makes SIGTERM and SIGHUP act like Ctrl-C, so that the temporary database is dropped."""

    def interrupt(_number: int, _frame: object) -> None:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background by a script
            signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.raise_signal(signal.SIGINT)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
