"""`contentq explain`: why a task is not running."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from contentq.cli.output import json_option, print_json, print_line
from contentq.cli.session import open_session
from contentq.cli.unknown import unknown_task

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions


@click.command()
@click.argument("task_id")
@json_option
@click.pass_obj
def explain(options: GlobalOptions, /, task_id: str, as_json: bool) -> None:
    """Show why a task is not running, or how it ended.

    Prints one line for each reason: not due, paused, budget used up, gate closed, no worker, all workers busy, or
    other tasks first.
    """
    from contentq.queue import inspection
    from contentq.queue.operations import status_of

    with open_session(options) as connection:
        status = status_of(connection, task_id)
        if status is None:
            raise unknown_task(connection, task_id)
        reasons = inspection.explain(connection, task_id)
    if as_json:
        print_json({"task_id": task_id, "status": status, "reasons": reasons})
        return
    for reason in reasons:
        print_line(reason)
