"""`contentq wait`: waits until tasks have ended; the exit code is their outcome."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from contentq.cli.output import count_of, json_option, print_json, print_line
from contentq.cli.session import open_session
from contentq.durations import Duration

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions
    from contentq.task import Status


@click.command()
@click.argument("task_ids", nargs=-1, metavar="[TASK_ID]...")
@click.option("--batch", metavar="NAME", help="Wait for all tasks of this batch.")
@click.option(
    "--timeout",
    type=Duration(plain_seconds=True),
    help="Give up after this time, such as 90s, 10m or 2h, with exit code 8. Default: wait without limit.",
)
@json_option
@click.pass_context
def wait(
    ctx: click.Context,
    /,
    task_ids: tuple[str, ...],
    batch: str | None,
    timeout: timedelta | None,
    as_json: bool,
) -> None:
    """Wait until tasks, or all tasks of a batch, have ended.

    Prints the number of tasks by final status. Exit code 0: all tasks were completed; 1: some ended otherwise; 8:
    the timeout passed first.
    """
    if bool(task_ids) == (batch is not None):
        raise click.UsageError("give either task ids or --batch NAME")
    if not wait_for(ctx.obj, list(task_ids), batch, timeout, as_json):
        ctx.exit(1)


def wait_for(
    options: GlobalOptions,
    task_ids: list[str],
    batch: str | None,
    timeout: timedelta | None = None,
    as_json: bool = False,
) -> bool:
    """Waits for tasks or a batch and prints the counts by status; returns whether all tasks were completed."""
    from contentq import api

    with open_session(options) as connection:
        counts = api.wait(connection, task_ids or None, batch=batch, timeout=timeout)
    if as_json:
        print_json(counts)
    else:
        print_line(in_words(counts))
    return set(counts) <= {"completed"}


def in_words(counts: Mapping[Status, int]) -> str:
    """Formats the counts, for example `3 tasks: 2 completed, 1 failed`."""
    parts = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
    return f"{count_of(sum(counts.values()), 'task')}: {parts}"
