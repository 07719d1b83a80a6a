"""`contentq requeue`, `cancel`, `delete`, `maintain` and `cleanup`: change existing tasks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from contentq.cli.output import count_of, json_option, print_json, print_line, print_message
from contentq.cli.selected import Given, change_selected, task_arguments
from contentq.cli.session import open_session
from contentq.cli.unknown import hint_at_id
from contentq.durations import DURATION
from contentq.task import STATUSES

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions


@click.command()
@click.option(
    "--note", metavar="TEXT", help="A note for the handler, which reads it as the error of the last attempt."
)
@task_arguments
@click.pass_context
def requeue(ctx: click.Context, /, given: Given, note: str | None, as_json: bool) -> None:
    """Make ended tasks pending again, with all their retries.

    The command has the alias retry. It requeues failed and timed-out tasks, and completed tasks whose content was
    rejected. Options select completed tasks only with --status completed.
    """
    from contentq.queue import operations

    if given.is_selection:
        change_selected(ctx, "requeue", given, as_json, note)
        return
    outcomes = _change_each(
        ctx,
        given.task_ids,
        lambda connection, task_id: operations.requeue(connection, task_id, note),
        "only failed and timed-out tasks, and completed tasks with rejected content, can be requeued",
    )
    _print_outcomes(ctx, outcomes, as_json, {"pending": "is pending again"})


@click.command()
@task_arguments
@click.pass_context
def cancel(ctx: click.Context, /, given: Given, as_json: bool) -> None:
    """Cancel pending and processing tasks.

    Pending tasks end at once, running tasks within seconds.
    """
    from contentq.queue import operations

    if given.is_selection:
        change_selected(ctx, "cancel", given, as_json)
        return
    rule = "only pending and processing tasks can be cancelled"
    outcomes = _change_each(ctx, given.task_ids, operations.cancel, rule)
    words = {"failed": "is cancelled", "processing": "is being stopped by its worker"}
    _print_outcomes(ctx, outcomes, as_json, words)


@click.command()
@task_arguments
@click.pass_context
def delete(ctx: click.Context, /, given: Given, as_json: bool) -> None:
    """Delete tasks that are not processing, permanently.

    Their content stays.
    """
    from contentq.queue import operations

    if given.is_selection:
        change_selected(ctx, "delete", given, as_json)
        return
    rule = "cancel it first, then delete it when it has ended"
    outcomes = _change_each(ctx, given.task_ids, operations.delete, rule)
    _print_outcomes(ctx, outcomes, as_json, dict.fromkeys(STATUSES, "is deleted"))


@click.command()
@json_option
@click.pass_obj
def maintain(options: GlobalOptions, /, as_json: bool) -> None:
    """End overdue tasks, and rescue tasks of dead workers.

    Running workers do this continuously. Use the command for queues without workers, for example from cron.
    """
    from contentq.queue.operations import rescue_dead_workers, sweep_timeouts

    with open_session(options) as connection:
        done = {"timed_out": sweep_timeouts(connection), "rescued": rescue_dead_workers(connection)}
    if as_json:
        print_json(done)
    else:
        print_line(f"{done['timed_out']} timed out, {done['rescued']} rescued")


@click.command()
@click.option(
    "--older-than",
    type=DURATION,
    default="30d",
    show_default=True,
    help="Minimum time since the tasks were completed.",
)
@click.option(
    "--failed-older-than",
    type=DURATION,
    help="Also delete failed and timed-out tasks that ended at least this long ago.",
)
@json_option
@click.pass_obj
def cleanup(
    options: GlobalOptions, /, older_than: timedelta, failed_older_than: timedelta | None, as_json: bool
) -> None:
    """Delete old completed tasks; their content stays."""
    from contentq.queue import operations

    with open_session(options) as connection:
        deleted = {"deleted": operations.cleanup(connection, older_than)}
        if failed_older_than is not None:
            deleted["failed_deleted"] = operations.cleanup_failed(connection, failed_older_than)
    if as_json:
        print_json(deleted)
        return
    print_line(f"{count_of(deleted['deleted'], 'completed task')} deleted")
    if failed_older_than is not None:
        print_line(f"{count_of(deleted['failed_deleted'], 'failed or timed-out task')} deleted")


def _change_each(
    ctx: click.Context, task_ids: tuple[str, ...], change: Callable[[Any, str], str | None], rule: str
) -> list[dict[str, str | None]]:
    """Changes each task; returns its new status, or why it was refused. rule: which tasks can be changed."""
    from contentq.queue.operations import status_of

    outcomes: list[dict[str, str | None]] = []
    with open_session(ctx.obj) as connection:
        for task_id in task_ids:
            status = change(connection, task_id)
            error = None
            if status is None:
                found = status_of(connection, task_id)
                if found is None:
                    hint = hint_at_id(connection, task_id) or "; find it with: contentq list"
                    error = f"no such task{hint}"
                else:
                    error = f"it is {found}; {rule}"
            outcomes.append({"task_id": task_id, "status": status, "error": error})
    return outcomes


def _print_outcomes(
    ctx: click.Context, outcomes: list[dict[str, str | None]], as_json: bool, words: dict[str, str]
) -> None:
    """Prints the outcome of each task; exit code 1 if one was refused. words: by new status."""
    if as_json:
        print_json(outcomes)
    else:
        for each in outcomes:
            if each["status"] is not None:
                print_line(f"{each['task_id']} {words[each['status']]}")
            else:
                print_message(f"Error: {each['task_id']}: {each['error']}", err=True)
    if any(each["error"] for each in outcomes):
        ctx.exit(1)
