"""`contentq doctor`: problems of the queue, why they matter, and how to fix them."""

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
    help="Report transactions that are open longer than this.",
)
@click.option(
    "--settings",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Settings file of the handler openai; report its models without a price.",
)
@json_option
@click.pass_context
def doctor(ctx: click.Context, /, patience: timedelta, settings: Path | None, as_json: bool) -> None:
    """Find problems of the queue, and those about to occur.

    Each finding names the problem, why it matters, and how to fix it; errors come first. The command changes
    nothing. Exit code 0: no warnings or errors; 10: warnings; 11: errors.
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
            "reading settings needs the package pydantic; install it with: pip install 'contentq[openai]'"
        ) from None

    return [
        Finding(
            "warning",
            "model_without_price",
            name,
            f"the settings {str(settings)!r} contain no price for it",
            "Its cost is not counted, and no budget limits it.",
            f"contentq prices --models {name}, and name the file as prices_file; use 0 for a model without a cost",
        )
        for name in read(settings).unpriced()
    ]


def _print(found: list[Finding]) -> None:
    for number, each in enumerate(found):
        if number:
            print_line()
        print_line(f"{each.severity}: {each.finding}")
        print_fields({"  what": f"{each.subject}: {each.detail}", "  why": each.why, "  fix": each.fix})
    if not found:
        print_line("no problems found")
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
