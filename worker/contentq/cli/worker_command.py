"""`contentq worker`: runs a handler on the tasks of the queue until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from contentq.cli.handler_options import handler_options, pop_handler
from contentq.cli.logs import log_options, log_to_stderr
from contentq.cli.notes import warn_of_password
from contentq.cli.output import console
from contentq.cli.process_one import leave_process_one
from contentq.cli.streams import print_error
from contentq.errors import EXIT_RELEASED

if TYPE_CHECKING:
    from contentq.database.database import Database
    from contentq.engine.options import WorkerOptions
    from contentq.engine.tally import Counts, Observer
    from contentq.engine.timings import Timings
    from contentq.engine.watchdog import Watchdog
    from contentq.engine.worker import Worker
    from contentq.handlers.by_category import HandlersByCategory
    from contentq.handlers.loading import Handler
    from contentq.metrics.attempts import OfWorker


@click.command()
@handler_options
@click.option(
    "--concurrency",
    type=click.IntRange(1, 100_000),
    default=100,
    show_default=True,
    help="Maximum number of tasks that run at once.",
)
@click.option("--category", "categories", multiple=True, help="Claim only tasks of this category; repeatable.")
@click.option(
    "--gate",
    metavar="KEY",
    help="The gate of the provider that the handler calls; all workers with this gate share one pace. "
    "Replaces the gates of a built-in handler.",
)
@click.option("--no-gate", is_flag=True, help="Use no gate.")
@click.option("--until-empty", is_flag=True, help="Exit when no task is waiting.")
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Time that running tasks have to end after the first signal to stop.",
)
@click.option(
    "--poll",
    type=click.FloatRange(0.1),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two polls when no notification arrives.",
)
@click.option(
    "--listen-dsn",
    envvar="CONTENTQ_LISTEN_DSN",
    metavar="DSN",
    help="A direct connection to the database for LISTEN and heartbeats, if --dsn goes through a pooler.",
)
@click.option("--no-listen", is_flag=True, help="Do not LISTEN; find new tasks only by polling.")
@click.option(
    "--handler-connections",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Maximum number of connections that handlers have open at once through context.connection().",
)
@click.option(
    "--progress/--no-progress",
    default=None,
    help="Show a progress bar. Default: only on a terminal with --until-empty.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65_535),
    metavar="PORT",
    help="Serve /metrics, /healthz and /readyz of this worker on this port; 0: any free port.",
)
@click.option(
    "--metrics-host",
    default="127.0.0.1",
    show_default=True,
    metavar="HOST",
    help="The address to serve them on.",
)
@log_options
@click.pass_obj
def worker(obj: Any, /, progress: bool | None, **given: Any) -> None:
    """Claim tasks, run a handler on each, and store the results.

    The first SIGTERM or SIGINT stops the worker gracefully: it claims no more tasks, and releases those that still
    run after --grace seconds. A second signal releases all tasks at once. Exit code 0: all claimed tasks have
    ended; 6: some were released.
    """
    from contentq.database import dsn as dsns
    from contentq.database.database import Database
    from contentq.engine.options import WorkerOptions
    from contentq.engine.timings import Timings
    from contentq.metrics.attempts import OfWorker
    from contentq.metrics.exposition import require_client

    metrics_port: int | None = given.pop("metrics_port")
    metrics_host: str = given.pop("metrics_host")
    if metrics_port is not None:
        require_client()  # before anything starts
    log_level, log_format = given.pop("log_level"), given.pop("log_format")
    listen_dsn: str | None = given.pop("listen_dsn")
    if click.get_current_context().get_parameter_source("listen_dsn") is ParameterSource.COMMANDLINE:
        warn_of_password("--listen-dsn", listen_dsn)
    leave_process_one()
    database = Database(
        dsns.resolve(obj.dsn),
        listen_dsn=dsns.normalise(listen_dsn) if listen_dsn else None,
        listen=not given.pop("no_listen"),
    )
    timings = Timings(grace=given.pop("grace"), poll=given.pop("poll"))
    handler = pop_handler(given)
    categories: tuple[str, ...] | None = given.pop("categories") or handler.categories
    for category in categories or ():
        handler.of(category)
    gate: str | None = given.pop("gate")
    gates: tuple[str, ...] = ()
    if given.pop("no_gate"):
        if gate is not None:
            raise click.UsageError("give --gate or --no-gate, not both")
    elif gate in ("", "*"):
        raise click.UsageError(
            "--gate needs the key of a gate, such as the host of a provider; every worker has *"
        )
    elif gate is None:
        gate, gates = handler.gate, handler.gates
    options = WorkerOptions(
        categories=categories,
        gate=gate,
        gates=gates or None,
        **given,
    )
    show_bar = progress if progress is not None else options.until_empty and sys.stderr.isatty()
    log_to_stderr("warning" if show_bar and log_level == "info" else log_level, log_format)
    handler.introduce()

    if metrics_port is None:
        asyncio.run(_work(database, handler, options, timings, None, show_bar))
        return
    from contentq.metrics.server import serving

    of_worker = OfWorker(handler.name, options.concurrency, timings)
    with serving(of_worker.pages(), metrics_host, metrics_port):
        asyncio.run(_work(database, handler, options, timings, of_worker, show_bar))


async def _work(
    database: Database,
    handler: Handler | HandlersByCategory,
    options: WorkerOptions,
    timings: Timings,
    of_worker: OfWorker | None,
    show_bar: bool,
) -> None:
    from contentq.database.extensions import require_extensions
    from contentq.engine.tally import observe_all
    from contentq.engine.watchdog import Watchdog
    from contentq.engine.worker import Ending, Worker

    started = time.monotonic()
    database.check("contentq worker")
    require_extensions(database, handler.extensions, "contentq worker")
    with _progress(database, options.categories) if show_bar else nullcontext() as bar:
        observer = observe_all(
            [each for each in (bar, None if of_worker is None else of_worker.observer) if each is not None]
        )
        running = Worker(database, handler, options, timings=timings, observer=observer)
        if of_worker is not None:
            of_worker.health = running.health
        watchdog = Watchdog(database, lambda: running.worker_id, timings)
        with _only_its_end_stops_the_loop(), _signals_stop(running, watchdog, timings):
            try:
                ending = await running.run()
            except Exception:
                watchdog.leave(1)
                raise
    print_error(_summary(running.counts, time.monotonic() - started))
    if ending is Ending.RELEASED:
        # Handlers that do not stop would keep the interpreter from exiting.
        with suppress(OSError):
            sys.stderr.flush()
        os._exit(EXIT_RELEASED)
    watchdog.leave(0)


@contextmanager
def _signals_stop(running: Worker, watchdog: Watchdog, timings: Timings) -> Iterator[None]:
    """SIGTERM and SIGINT stop the worker: the first gracefully, the second at once; the third kills it."""
    from contentq.engine.forks import handle_only_here

    loop = asyncio.get_running_loop()
    seen = 0

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal seen
        seen += 1
        if seen > 2:
            os._exit(128 + number)
        loop.call_soon_threadsafe(running.stop)
        watchdog.arm(timings.wind_up + (timings.grace if seen == 1 else 0))

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    handle_only_here(before)
    try:
        yield
    finally:
        handle_only_here(())
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _only_its_end_stops_the_loop() -> Iterator[None]:
    """Disables stop() of the event loop, with which a handler would end the whole worker."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        logging.getLogger("contentq.worker").error("a handler called stop() of the event loop; it was ignored")

    setattr(loop, "stop", stop)  # noqa: B010 - it is a method
    try:
        yield
    finally:
        delattr(loop, "stop")


@contextmanager
def _progress(database: Database, categories: tuple[str, ...] | None) -> Iterator[Observer]:
    """A progress bar over the waiting tasks; tasks that arrive later extend it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from contentq.engine.tally import Observer
    from contentq.queue.backlog import count_waiting

    with database.connect("contentq worker") as connection:
        waiting = count_waiting(connection, categories)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console(err=True), refresh_per_second=8) as progress:
        bar = progress.add_task("working", total=waiting, rate="")
        claimed = ended = 0
        started = time.monotonic()

        def on_claimed(tasks: list[Any]) -> None:
            nonlocal claimed
            claimed += len(tasks)
            if claimed > waiting:
                progress.update(bar, total=claimed)

        def on_reported(_outcome: Any, _status: str | None) -> None:
            nonlocal ended
            ended += 1
            rate = ended / max(time.monotonic() - started, 0.001)
            progress.update(bar, advance=1, rate=f"{rate:,.0f} tasks/s")

        yield Observer(on_claimed, on_reported)


def _summary(counts: Counts, seconds: float) -> str:
    parts = [f"{counts.completed} completed"]
    parts += [
        f"{number} {what}"
        for number, what in (
            (counts.failed, "failed"),
            (counts.timed_out, "timed out"),
            (counts.retried, "to be retried"),
            (counts.revised, "revised"),
            (counts.snoozed, "snoozed"),
            (counts.released, "released"),
            (counts.refused, "refused"),
        )
        if number
    ]
    return f"{', '.join(parts)} in {seconds:.1f} s"
