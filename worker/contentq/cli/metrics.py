"""`contentq metrics`: serves metrics of the whole queue to Prometheus."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import click

from contentq.cli.logs import log_options, log_to_stderr

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions

PORT = 9187


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=PORT, show_default=True, help="The port; 0: any free port."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="HOST",
    help="The address to listen on.",
)
@click.option("--by-account", is_flag=True, help="Label metrics by account; with many accounts, many series.")
@click.option("--once", is_flag=True, help="Print the metrics once and exit.")
@log_options
@click.pass_obj
def metrics(
    options: GlobalOptions, /, port: int, host: str, by_account: bool, once: bool, log_level: str, log_format: str
) -> None:
    """Serve metrics of the whole queue for Prometheus.

    Run one for all workers. /metrics returns the metrics, /healthz whether the process is alive, and /readyz
    whether the database answers. The command only reads; the role contentq_reader is enough. Stop it with SIGTERM
    or SIGINT.
    """
    from contentq.cli.output import print_text
    from contentq.database import dsn as dsns
    from contentq.database.database import Database
    from contentq.errors import ContentQueueError
    from contentq.metrics.exposition import Exposition, require_client
    from contentq.metrics.fleet import Fleet
    from contentq.metrics.server import Pages, serving

    require_client()
    fleet = Fleet(Database(dsns.resolve(options.dsn)), by_account=by_account)
    exposition = Exposition(fleet.read)
    if once:
        if wrong := fleet.check():
            raise ContentQueueError(wrong)
        print_text(exposition.text(None)[1].decode().removesuffix("\n"))
        return
    log_to_stderr(log_level, log_format)
    ended = threading.Event()
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with serving(Pages(exposition, lambda: None, fleet.check), host, port):
            ended.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
