"""`contentq db`: the embedded PostgreSQL server."""

from __future__ import annotations

import os

import click

from contentq.cli.output import json_option, print_fields, print_json, print_line
from contentq.errors import EmbeddedServerError

ABOUT_PSQL = ("--help", "-?", "--version", "-V")
"""Arguments that psql answers without a server."""


@click.group()
def db() -> None:
    """The embedded server: start, stop, status, url, psql.

    A real PostgreSQL server in a state folder (CONTENTQ_HOME), for trials, development and tests.
    """


@db.command()
@click.option(
    "--pg-version",
    type=click.Choice(["16", "18"]),
    help="Major version for new data; existing data keeps its version.",
)
def start(pg_version: str | None) -> None:
    """Start the server; it runs until `contentq db stop`."""
    from contentq.database import embedded

    was_running = embedded.status().running
    status = embedded.start(int(pg_version) if pg_version else None)
    state = "is already running" if was_running else "is running"
    print_line(f"PostgreSQL {status.version} {state} (pid {status.pid}); its data is in {status.data}")


@db.command()
def stop() -> None:
    """Stop the server; the data stays."""
    from contentq.database import embedded

    print_line("stopped" if embedded.stop() else "the server was not running")


@db.command()
@json_option
@click.pass_context
def status(ctx: click.Context, /, as_json: bool) -> None:
    """Show the status of the server; exit code 1 if it is not running."""
    from contentq.database import embedded

    found = embedded.status()
    fields = {
        "running": found.running,
        "version": found.version,
        "pid": found.pid,
        "url": found.dsn,
        "data": str(found.data),
        "programs": _programs(),
    }
    if as_json:
        print_json(fields)
    else:
        print_fields(fields)
    if not found.running:
        ctx.exit(1)


def _programs() -> str | None:
    """The folder with pg_dump and the other programs of the server; None if the server is not installed."""
    from contentq.database import embedded

    try:
        return str(embedded.program("pg_dump").parent)
    except EmbeddedServerError:
        return None


@db.command()
def url() -> None:
    """Print the URL of the running server.

    To use it in other programs: export DATABASE_URL=$(contentq db url)
    """
    from contentq.database import embedded

    print_line(embedded.running_dsn())


@db.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(arguments: tuple[str, ...]) -> None:
    """Open psql on the embedded database; all arguments go to psql."""
    from contentq.database import embedded

    program = embedded.program("psql")
    environment = dict(os.environ)
    if not (arguments[:1] and arguments[0].startswith(ABOUT_PSQL)):
        # Not as an argument: psql takes the first for the database and the second for the user.
        environment |= _for_libpq(embedded.running_dsn())
    os.execve(program, [str(program), *arguments], environment)


def _for_libpq(dsn: str) -> dict[str, str]:
    """The environment variables with which libpq finds the database."""
    from contentq.database.dsn import parameters

    named = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
    return {named[name]: str(value) for name, value in parameters(dsn).items() if name in named}
