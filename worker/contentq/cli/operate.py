"""`contentq retry`, `cancel`, `sweep` and `cleanup`: changing tasks that exist."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from contentq.cli.durations import DURATION
from contentq.cli.output import count_of, json_option, print_json
from contentq.cli.session import open_session
from contentq.cli.unknown import hint_at_id

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions


@click.command()
@click.argument("task_ids", nargs=-1, required=True, metavar="TASK_ID...")
@click.option("--note", metavar="TEXT", help="What the handler is to know: it is the error of the attempt before.")
@json_option
@click.pass_context
def retry(ctx: click.Context, /, task_ids: tuple[str, ...], note: str | None, as_json: bool) -> None:
    """Put tasks back, with all their retries.

    Those that have failed or timed out; and completed ones whose content was rejected, for a revision.
    """
    from contentq.queue.operations import requeue

    def operation(connection: Any, task_id: str) -> str | None:
        return requeue(connection, task_id, note)

    rule = "only failed and timeout tasks are put back, and completed ones whose content was rejected"
    _each(ctx, task_ids, as_json, operation, lambda status: "is pending again", rule)


@click.command()
@click.argument("task_ids", nargs=-1, required=True, metavar="TASK_ID...")
@json_option
@click.pass_context
def cancel(ctx: click.Context, /, task_ids: tuple[str, ...], as_json: bool) -> None:
    """Cancel tasks that wait or run.

    Those that wait end at once, those that run within seconds.
    """
    from contentq.queue import operations

    def describe(status: str) -> str:
        return "is cancelled" if status == "failed" else "is being stopped by its worker"

    _each(ctx, task_ids, as_json, operations.cancel, describe, "only pending and processing tasks are cancelled")


@click.command()
@json_option
@click.pass_obj
def sweep(options: GlobalOptions, /, as_json: bool) -> None:
    """End overdue tasks, and take tasks back from silent workers.

    Running workers do this all the time; the command is for queues that have none, and for cron.
    """
    from contentq.queue.operations import rescue_dead_workers, sweep_timeouts

    with open_session(options) as connection:
        done = {"timed_out": sweep_timeouts(connection), "rescued": rescue_dead_workers(connection)}
    if as_json:
        print_json(done)
    else:
        click.echo(f"{done['timed_out']} timed out, {done['rescued']} rescued")


@click.command()
@click.option("--older-than", type=DURATION, default="30d", show_default=True, help="Since they were completed.")
@json_option
@click.pass_obj
def cleanup(options: GlobalOptions, /, older_than: timedelta, as_json: bool) -> None:
    """Delete completed tasks that are old; their content stays."""
    from contentq.queue import operations

    with open_session(options) as connection:
        deleted = operations.cleanup(connection, older_than)
    if as_json:
        print_json({"deleted": deleted})
    else:
        click.echo(f"{count_of(deleted, 'completed task')} deleted")


def _each(
    ctx: click.Context,
    task_ids: tuple[str, ...],
    as_json: bool,
    operation: Callable[[Any, str], str | None],
    describe: Callable[[str], str],
    rule: str,
) -> None:
    """Does it to each task; says what became of it; exit code 1 when one was refused."""
    from contentq.queue.operations import status_of

    outcomes: list[dict[str, str | None]] = []
    with open_session(ctx.obj) as connection:
        for task_id in task_ids:
            status = operation(connection, task_id)
            error = None
            if status is None:
                found = status_of(connection, task_id)
                if found is None:
                    error = f"there is no such task{hint_at_id(connection, task_id) or ''}"
                else:
                    error = f"it is {found}; {rule}"
            outcomes.append({"task_id": task_id, "status": status, "error": error})
    if as_json:
        print_json(outcomes)
    else:
        for each in outcomes:
            if each["status"] is not None:
                click.echo(f"{each['task_id']} {describe(each['status'])}")
            else:
                click.echo(f"Error: {each['task_id']}: {each['error']}", err=True)
    if any(each["error"] for each in outcomes):
        ctx.exit(1)
