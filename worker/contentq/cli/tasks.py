"""`contentq list` and `contentq show`: read tasks."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from contentq.cli.follow import follow, percent
from contentq.cli.output import (
    json_option,
    print_fields,
    print_json,
    print_json_text,
    print_line,
    print_message,
    print_prose,
    print_table,
)
from contentq.cli.selectors import GivenSelector, selector_options
from contentq.cli.session import open_session
from contentq.cli.unknown import unknown_task
from contentq.cli.usage import usage_in_words
from contentq.titles import heading_of

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

    from contentq.cli.main import GlobalOptions

    Connection = psycopg.Connection[TupleRow]

T = TypeVar("T")


@click.command("list")
@selector_options()
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Maximum number of tasks."
)
@click.option("--before", type=int, metavar="ID", help="Only tasks with a smaller id: the next page.")
@json_option
@click.pass_obj
def list_tasks(
    options: GlobalOptions,
    /,
    selector: GivenSelector,
    limit: int,
    before: int | None,
    as_json: bool,
) -> None:
    """List tasks, newest first, without their results.

    age is the time since a task was submitted.
    """
    from contentq.queue import inspection

    with open_session(options) as connection:
        rows = inspection.tasks(connection, selector.resolve(connection), before, limit)
        now = inspection.now(connection)
    if as_json:
        print_json(rows)
        return
    print_table(None, [_narrow(row, now) for row in rows], "no tasks", give_way=["topic"])
    if len(rows) == limit:
        print_line(f"for older tasks, add: --before {rows[-1]['id']}", err=True)


@click.command()
@click.argument("task_id")
@click.option("--content", "with_content", is_flag=True, help="Show the text that the task produced.")
@click.option("--follow", "following", is_flag=True, help="Print changes of the task until it ends.")
@json_option
@click.pass_context
def show(ctx: click.Context, /, task_id: str, with_content: bool, following: bool, as_json: bool) -> None:
    """Show all details of one task.

    With --follow, the exit code is 0 if the task was completed and 1 if it ended otherwise; --json then prints one
    object per line.
    """
    with open_session(ctx.obj) as connection:
        if not following:
            _show(connection, task_id, with_content, as_json)
            return
        ended = follow(connection, task_id, as_json)
        if with_content:
            _show_content(connection, task_id, ended["content_id"], as_json)
    if ended["status"] != "completed":
        ctx.exit(1)


def _show(connection: Connection, task_id: str, with_content: bool, as_json: bool) -> None:
    from contentq.queue import inspection

    if as_json:
        print_json_text(_require(connection, task_id, inspection.task_as_json(connection, task_id, with_content)))
        return
    task = _require(connection, task_id, inspection.task(connection, task_id))
    errors = task.pop("attempt_errors")
    if task["progress"] is not None:
        task["progress"] = percent(task["progress"])
    cost = usage_in_words(task["result"])
    print_fields({**task, "usage": cost} if cost else task)
    for error in errors:
        print_message(_describe_error(error))
    if with_content:
        _show_content(connection, task_id, task["content_id"], as_json)


def _show_content(connection: Connection, task_id: str, content_id: int | None, as_json: bool) -> None:
    from contentq.queue import inspection

    found = inspection.content(connection, task_id)
    if as_json:
        print_json_text(json.dumps({"content": found}, ensure_ascii=False))
    else:
        _print_content(found, content_id)


def _require(connection: Connection, task_id: str, found: T | None) -> T:
    if found is None:
        raise unknown_task(connection, task_id)
    return found


def _describe_error(error: Any) -> str:
    """Formats a failed attempt as one line: its error class and message, without repeating the class.

    Values that were put into attempt_errors by hand are shown as JSON.
    """
    if not isinstance(error, dict):
        return f"attempt ?: {json.dumps(error, ensure_ascii=False)}"
    name, message = error.get("error_class"), str(error.get("message"))
    text = message if not name or message.partition(":")[0] == name else f"{name}: {message}"
    return f"attempt {error.get('attempt', '?')} at {error.get('at', '?')}: {text}"


def _print_content(content: dict[str, Any] | None, content_id: int | None) -> None:
    if content is None and content_id is not None:
        print_prose(f"\ncontent {content_id} does not belong to the task's account")
    elif content is None:
        print_prose("\nthe task has no content")
    else:
        print_line()
        print_line(f"content {content['id']}, {content['word_count']} words, {content['review_status']}")
        if heading_of(content["body"]) != content["title"]:
            print_prose(f"\n{content['title']}")
        print_prose(f"\n{content['body']}")


def _narrow(row: dict[str, Any], now: datetime) -> dict[str, Any]:
    """The columns that fit on a line of a terminal."""
    return {
        "id": row["id"],
        "task_id": row["task_id"],
        "status": row["status"],
        "prio": row["priority"],
        "age": age_of(row["submitted_at"], now),
        "topic": row["topic"],
    }


def age_of(time: datetime | str, now: datetime) -> str:
    """Formats the age in its largest unit; returns a time that Python cannot represent unchanged."""
    if not isinstance(time, datetime):
        return time
    age = max(now - time, timedelta(0))
    for unit, name in ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "m")):
        if age >= unit:
            return f"{age // unit}{name}"
    return f"{age.seconds}s"
