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
"""The variable of the environment with the token."""

LEAST_TOKEN = 16
"""Characters; what is shorter is guessed."""


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8080,
    show_default=True,
    help="The port; 0: any that is free.",
)
@click.option("--operate", is_flag=True, help="Let people change things; otherwise they can only look.")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"Ask for the token that is in this file, or in {TOKEN}.",
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
    help="A name under which browsers may ask for the page, beside localhost and addresses; may be repeated.",
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
    """Serve a page that shows the queue, and everything around it.

    Whoever can reach the port sees it all, so that it listens on 127.0.0.1 only. Another --host needs a token, or
    a proxy that says who the user is. What the page may do is what the login of the database may.
    """
    token = _read_token(token_file)
    if token is None and user_header is None and not _is_loopback(host):
        raise click.UsageError(
            f"on {host} others can reach the page: give --token-file FILE, or --user-header NAME behind a "
            "proxy that names the user"
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

    with open_session(options):  # so that a mistake shows now
        pass
    # Who has a token has it for one name; a name that leads here by a trick gets no cookie.
    asked_by = None if token is not None else hosts
    app = create_app(
        dsn.resolve(options.dsn), operate=operate, token=token, user_header=user_header, hosts=asked_by
    )
    log_to_stderr(log["log_level"], log["log_format"])
    # What it tells beside errors is what is printed here.
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.getLogger().level))
    with _listen(host, port) as listening:
        address = f"[{host}]" if ":" in host else host
        print_line(f"http://{address}:{listening.getsockname()[1]}/")
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: None)  # uvicorn ends by them, and then sends them once more
        server = uvicorn.Server(
            uvicorn.Config(
                app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=5
            )
        )
        server.run(sockets=[listening])


def _read_token(file: Path | None) -> str | None:
    """The token, or None when none is asked for. Raises UsageError for one that is too easy to guess."""
    given = os.environ.get(TOKEN) if file is None else file.read_text(encoding="utf-8", errors="replace")
    if given is None:
        return None
    if len(given.strip()) < LEAST_TOKEN:
        where = TOKEN if file is None else str(file)
        raise click.UsageError(f"the token in {where} is shorter than {LEAST_TOKEN} characters")
    return given.strip()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises ContentQueueError."""
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
        raise ContentQueueError(f"cannot listen on {host} port {port}: {error.strerror or error}") from None
    return listening
