"""`contentq doctor`: what is wrong with the queue or soon will be, why it matters, and what mends it."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from contentq.cli.output import count_of, json_option, print_fields, print_json, print_line
from contentq.durations import DURATION
from contentq.errors import EXIT_FOUND_ERRORS, EXIT_FOUND_WARNINGS, HandlerUnusable, SchemaMismatch
from contentq.finding import SEVERITIES, Finding

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions

_EXIT_CODES = {"error": EXIT_FOUND_ERRORS, "warning": EXIT_FOUND_WARNINGS}


@click.command()
@click.option(
    "--patience",
    type=DURATION,
    default=timedelta(minutes=10),
    show_default="10m",
    metavar="DURATION",
    help="How long a transaction may be open before it is told.",
)
@click.option(
    "--settings",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Settings of the handler openai, of which models have no price.",
)
@json_option
@click.pass_context
def doctor(ctx: click.Context, /, patience: timedelta, settings: Path | None, as_json: bool) -> None:
    """Find what is wrong with the queue, or soon will be.

    Each finding says what was found, why it matters, and what mends it; errors come first. It changes nothing.
    The exit code tells a monitor how bad it is: 0 without warnings and errors, 10 with warnings, 11 with errors.
    """
    found = _examine(ctx.obj, patience, settings)
    worst = found[0].severity if found else None
    if as_json:
        print_json({"worst": worst, "findings": [asdict(each) for each in found]})
    else:
        _print(found)
    ctx.exit(_EXIT_CODES.get(worst or "", 0))


def _examine(options: GlobalOptions, patience: timedelta, settings: Path | None) -> list[Finding]:
    from contentq.database import dsn
    from contentq.database.connect import connect
    from contentq.database.revisions import current_revision
    from contentq.queue.diagnosis import examine, in_order

    unpriced = _models_without_price(settings) if settings is not None else []
    resolved = dsn.resolve(options.dsn)

    with connect(resolved, "contentq doctor") as connection:
        if current_revision(connection) is None:
            raise SchemaMismatch("the database is not migrated; run: contentq migrate")
        found = examine(
            connection,
            patience,
            lambda: connect(resolved, "contentq doctor"),
            has_listen_dsn=bool(os.environ.get("CONTENTQ_LISTEN_DSN")),
        )
    return in_order([*found, *unpriced])


def _models_without_price(settings: Path) -> list[Finding]:
    try:
        from contentq.handlers.openai.settings_file import read
    except ModuleNotFoundError as error:
        if error.name != "pydantic":
            raise
        raise HandlerUnusable(
            "reading settings needs the package pydantic, which is not installed: pip install 'contentq[openai]'"
        ) from None

    return [
        Finding(
            "warning",
            "model_without_price",
            name,
            f"the settings {str(settings)!r} name no price of it",
            "What it costs is not counted, and no budget sees it.",
            f"contentq prices --models {name}, and name the file as prices_file; 0 for a model that costs nothing",
        )
        for name in read(settings).unpriced()
    ]


def _print(found: list[Finding]) -> None:
    for number, each in enumerate(found):
        if number:
            print_line()
        print_line(f"{each.severity}: {each.finding}")
        print_fields({"  what": f"{each.subject}: {each.detail}", "  why": each.why, "  mend": each.mend})
    if not found:
        print_line("nothing is wrong")
        return
    counts = {severity: sum(each.severity == severity for each in found) for severity in SEVERITIES}
    print_line()
    print_line(
        ", ".join(
            count_of(number, severity) if severity != "advice" else f"{number} advice"
            for severity, number in counts.items()
            if number
        )
    )
