"""`contentq list` and `contentq show`: looking at tasks."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from contentq.cli.output import (
    json_option,
    print_fields,
    print_json,
    print_json_text,
    print_table,
    print_text,
    shown,
)
from contentq.cli.session import connected
from contentq.errors import ContentQueueError

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions

T = TypeVar("T")

STATUSES = ("pending", "processing", "completed", "failed", "timeout")


@click.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only tasks of this status.")
@click.option("--account", type=int, metavar="ID", help="Only tasks of this account.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most so many.")
@click.option("--before", type=int, metavar="ID", help="Only tasks with a smaller id: the next page.")
@json_option
@click.pass_obj
def list_tasks(
    options: GlobalOptions,
    /,
    status: str | None,
    account: int | None,
    limit: int,
    before: int | None,
    as_json: bool,
) -> None:
    """List tasks, newest first, without their results."""
    from contentq.queue import inspection

    with connected(options) as connection:
        rows = inspection.tasks(connection, status, account, before, limit)
    if as_json:
        print_json(rows)
        return
    print_table(None, [_narrow(row) for row in rows], "no tasks", give_way=["topic"])
    if len(rows) == limit:
        click.echo(f"older ones: add --before {rows[-1]['id']}", err=True)


@click.command()
@click.argument("task_id")
@click.option("--content", "with_content", is_flag=True, help="Show the text that the task produced.")
@json_option
@click.pass_obj
def show(options: GlobalOptions, /, task_id: str, with_content: bool, as_json: bool) -> None:
    """Show everything about one task."""
    from contentq.queue import inspection

    with connected(options) as connection:
        if as_json:
            print_json_text(_known(task_id, inspection.task_as_json(connection, task_id, with_content)))
            return
        task = _known(task_id, inspection.task(connection, task_id))
        content = None
        if with_content and task["content_id"] is not None:
            content = inspection.content(connection, task["content_id"])
    errors = task.pop("attempt_errors")
    print_fields(task)
    for error in errors:
        said = filter(None, (error["error_class"], error["message"]))
        print_text(f"attempt {error['attempt']} at {error['at']}: {': '.join(said)}")
    if with_content:
        _print_content(content)


def _known(task_id: str, found: T | None) -> T:
    if found is None:
        raise ContentQueueError(f"there is no task {task_id}; find it with: contentq list")
    return found


def _print_content(content: dict[str, Any] | None) -> None:
    if content is None:
        click.echo("\nit has no content")
    else:
        click.echo(f"\ncontent {content['id']}, {content['word_count']} words, {content['review_status']}")
        print_text(f"\n{content['title']}\n\n{content['body']}")


def _narrow(row: dict[str, Any]) -> dict[str, Any]:
    """What fits on a line of a terminal."""
    return {
        "task_id": row["task_id"],
        "status": row["status"],
        "prio": row["priority"],
        "submitted": _short(row["submitted_at"]),
        "topic": row["topic"],
    }


def _short(time: datetime | str) -> str:
    """A time without its year and seconds; what Python cannot hold, as it is."""
    return shown(time)[5:16] if isinstance(time, datetime) else time
