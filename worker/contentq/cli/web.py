"""`contentq web`: the page of the queue."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click

from contentq.cli.logs import log_options, log_to_stderr
from contentq.cli.output import print_line
from contentq.cli.session import open_session
from contentq.errors import ContentQueueError

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions

TOKEN = "CONTENTQ_WEB_TOKEN"
"""The environment variable with the token."""

LEAST_TOKEN = 16
"""Minimum length of a token, in characters; shorter ones can be guessed."""


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8080,
    show_default=True,
    help="The port; 0: any free port.",
)
@click.option("--operate", is_flag=True, help="Allow changes. Default: read-only.")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"Require the token in this file. Default: the token in {TOKEN}, if set.",
)
@click.option(
    "--user-header",
    metavar="NAME",
    help="The header in which a proxy names the user, such as X-Remote-User. Only the proxy may reach the port.",
)
@click.option(
    "--public-host",
    "hosts",
    metavar="NAME",
    multiple=True,
    help="A host name that browsers may use for the page, in addition to localhost and addresses; repeatable.",
)
@log_options
@click.pass_obj
def web(
    options: GlobalOptions,
    /,
    host: str,
    port: int,
    operate: bool,
    token_file: Path | None,
    user_header: str | None,
    hosts: tuple[str, ...],
    **log: str,
) -> None:
    """Serve a web page that shows the queue.

    Anyone who can reach the port sees everything; the page therefore listens on 127.0.0.1 by default. Any other
    --host needs a token, or a proxy that names the user. The page has the rights of its database login.
    """
    token = _read_token(token_file)
    if token is None and user_header is None and not _is_loopback(host):
        raise click.UsageError(
            f"others can reach the page on {host}: give --token-file FILE, or --user-header NAME behind a proxy "
            "that names the user"
        )
    try:
        import uvicorn

        from contentq.web import create_app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn", "markdown_it"):
            raise
        raise ContentQueueError(
            "the page needs more packages; install them with: pip install 'contentq[web]'"
        ) from None
    from contentq.database import dsn

    with open_session(options):  # report a wrong DSN or schema now
        pass
    # A cookie is bound to one host name. A name that leads here by DNS rebinding gets no cookie.
    asked_by = None if token is not None else hosts
    app = create_app(
        dsn.resolve(options.dsn), operate=operate, token=token, user_header=user_header, hosts=asked_by
    )
    log_to_stderr(log["log_level"], log["log_format"])
    # uvicorn's own start messages repeat the address that is printed below.
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.getLogger().level))
    with _listen(host, port) as listening:
        address = f"[{host}]" if ":" in host else host
        print_line(f"http://{address}:{listening.getsockname()[1]}/")
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: None)  # uvicorn handles them, and raises them again when it has stopped
        server = uvicorn.Server(
            uvicorn.Config(
                app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=5
            )
        )
        server.run(sockets=[listening])


def _read_token(file: Path | None) -> str | None:
    """Reads the token; None if none is configured. Raises UsageError if it is too short."""
    given = os.environ.get(TOKEN) if file is None else file.read_text(encoding="utf-8", errors="replace")
    if given is None:
        return None
    if len(given.strip()) < LEAST_TOKEN:
        where = TOKEN if file is None else str(file)
        raise click.UsageError(f"the token in {where} is shorter than {LEAST_TOKEN} characters; use a longer one")
    return given.strip()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    """Opens a listening socket. Raises ContentQueueError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(128)
        except BaseException:
            listening.close()
            raise
    except OSError as error:
        reason = error.strerror or error
        raise ContentQueueError(
            f"cannot listen on {host} port {port}: {reason}; choose another address with --host or --port"
        ) from None
    return listening
