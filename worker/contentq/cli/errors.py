"""`contentq errors`: the errors of tasks, grouped by kind."""

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
@click.option("--since", type=MOMENT, help="Only errors since this time; 2h means the last two hours.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="Maximum number of kinds to show.",
)
@json_option
@click.pass_obj
def errors(options: GlobalOptions, /, since: datetime | timedelta | None, limit: int, as_json: bool) -> None:
    """Show task errors by kind, most frequent first.

    Errors that differ only in numbers, ids and quoted text are of one kind. Failed and timed-out tasks are
    counted, and tasks that wait for a retry. To act on all tasks of a kind, pass its text as --error, for example
    to contentq requeue.
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
        print_line("more kinds exist: raise --limit", err=True)
