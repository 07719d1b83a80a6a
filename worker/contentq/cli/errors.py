"""`contentq errors`: what tasks failed of, by kind."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from contentq.cli.output import json_option, print_json, print_line, print_table
from contentq.cli.selectors import MOMENT, time_of
from contentq.cli.session import open_session

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions


@click.command()
@click.option("--since", type=MOMENT, help="Only errors since then; 2h means of the last two hours.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most so many kinds."
)
@json_option
@click.pass_obj
def errors(options: GlobalOptions, /, since: datetime | timedelta | None, limit: int, as_json: bool) -> None:
    """Show what tasks failed of, by kind, most tasks first.

    Errors are of one kind when they differ in numbers, ids and quoted text only. Counted are failed and timed-out
    tasks, and those that wait to be tried again. For all tasks of a kind: --error with its text, such as in
    contentq requeue --error TEXT.
    """
    from contentq.queue import inspection

    with open_session(options) as connection:
        groups = inspection.error_groups(connection, time_of(connection, since), limit + 1)
    shown = groups[:limit]
    if as_json:
        print_json(shown)
        return
    columns = ("tasks", "failed", "timeout", "retrying", "accounts", "last_at", "error")
    print_table(None, [{name: row[name] for name in columns} for row in shown], "no errors", give_way=["error"])
    if len(groups) > limit:
        print_line("there are more: add --limit", err=True)
