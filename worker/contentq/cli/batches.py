"""`contentq batches`: batches and their progress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from contentq.cli.follow import percent
from contentq.cli.output import json_option, print_json, print_table
from contentq.cli.session import open_session
from contentq.errors import ContentQueueError

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions


@click.command()
@click.argument("names", nargs=-1, metavar="[BATCH]...")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Maximum number of batches."
)
@json_option
@click.pass_obj
def batches(options: GlobalOptions, /, names: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Show progress, cost and expected end of batches, latest first.

    left: tasks that have not ended. failed: tasks that ended failed or timeout. expected end: an estimate from the
    rate of the last ten minutes. cost: the sum of the costs in the results.
    """
    from contentq.queue import inspection

    with open_session(options) as connection:
        found = inspection.batches(connection, list(names) or None, limit)
    missing = sorted(set(names) - {row["batch"] for row in found})
    if missing:
        raise ContentQueueError(f"no such batch: {', '.join(missing)}; list batches with: contentq batches")
    if as_json:
        print_json(found)
    else:
        print_table(None, [_narrow(row) for row in found], "no batches", give_way=["batch"])


def _narrow(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "batch": row["batch"],
        "tasks": row["tasks"],
        "done": percent(row["done_share"]),
        "left": row["pending"] + row["processing"],
        "failed": row["failed"] + row["timeout"],
        "cost": row["cost"],
        "expected end": row["expected_end"],
    }
