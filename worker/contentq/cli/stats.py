"""`contentq stats`: the state of the queue at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from contentq.cli.output import json_option, print_json, print_table
from contentq.cli.session import connected

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions

PARTS = {
    "queue_overview": "tasks",
    "backlog_by_account": "backlog by account",
    "worker_status": "workers",
    "throughput": "completed by minute",
}
"""The views that are shown, with their headings."""

GIVE_WAY = {"backlog_by_account": ["name"], "worker_status": ["hostname", "handler"]}
"""The columns of each that are cut on a narrow terminal."""


@click.command()
@json_option
@click.pass_obj
def stats(options: GlobalOptions, /, as_json: bool) -> None:
    """Show how many tasks are where, who works, and how fast.

    All at one moment; at most 20 rows of each. With --json, oldest and up are in seconds.
    """
    from contentq.queue import inspection

    with connected(options) as connection:
        found = inspection.views(connection, PARTS)
    if as_json:
        print_json(found)
        return
    for number, (name, heading) in enumerate(PARTS.items()):
        if number:
            click.echo()
        print_table(heading, found[name], f"{heading}: none", give_way=GIVE_WAY.get(name, []))
