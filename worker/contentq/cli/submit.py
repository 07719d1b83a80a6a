"""`contentq submit`: one task from options, or many from a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from contentq.cli.durations import DURATION
from contentq.cli.output import counted, json_option, print_json, print_text
from contentq.cli.session import connected
from contentq.errors import ContentQueueError, InputRefused

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions

FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
"""By the ending of a file's name."""

STDIN = Path("-")

ABOUT = {"topic", "keywords", "category", "requirements", "task_id"}
"""Columns of which one task from options has at least one: an empty task is a mistake."""


@click.command()
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
@click.option("--format", "file_format", type=click.Choice(["csv", "jsonl"]), help="Of FILE; else by its ending.")
@click.option("--account", type=int, metavar="ID", help="The account that the task works for.")
@click.option("--topic", help="Subject, up to 500 characters.")
@click.option("--keywords", help="Comma-separated.")
@click.option("--category", help="For the handler, and for workers that claim only some categories.")
@click.option("--requirements", help="Special instructions to the handler.")
@click.option("--tone", help="Such as friendly or dry, up to 50 characters; for the handler.")
@click.option("--priority", help="1 to 10; larger is more urgent.")
@click.option("--max-retries", help="Retries after the first attempt.")
@click.option("--timeout", type=DURATION, help="Deadline, from now: 90s, 10m, 2h, 1d.")
@click.option("--timeout-at", metavar="TIME", help="Deadline: 2030-01-31T12:00:00+00:00.")
@click.option("--delay", type=DURATION, help="Not before this long from now.")
@click.option("--schedule-at", metavar="TIME", help="Not before this time.")
@click.option("--task-id", help="Public identifier; one is made when left out.")
@click.option("--no-auto-approve", is_flag=True, help="The content is to be reviewed.")
@json_option
@click.pass_obj
def submit(
    options: GlobalOptions,
    /,
    file: Path | None,
    file_format: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Put one task into the queue, or a FILE of tasks.

    One task is made from options: --account, and at least one that says what it is about. FILE (- for standard
    input) is CSV, its first line naming the columns, or JSON lines, one object a line; the columns are those of
    the table: account_id, topic, keywords, category, requirements, tone, priority, max_retries, submitted_at,
    scheduled_at, timeout_at, task_id, auto_approve. Options fill in what a record leaves out. It is one
    transaction: all of it, or nothing. Tasks whose task_id exists already are left out and reported.
    """
    values = _values(given)
    if file is None:
        _submit_one(options, values, as_json)
    elif given["topic"] is not None or given["task_id"] is not None:
        raise click.UsageError("--topic and --task-id are about one task; a FILE has columns for them")
    else:
        _submit_many(options, file, file_format or _format_of(file), values, as_json)


def _values(given: dict[str, Any]) -> dict[str, str | timedelta]:
    """The columns that the options set: as text, or as a time from now."""
    for one, other in (("timeout", "timeout_at"), ("delay", "schedule_at")):
        if given[one] is not None and given[other] is not None:
            raise click.UsageError(f"--{one} and --{other.replace('_', '-')} exclude each other")
    columns = {
        "account_id": None if given["account"] is None else str(given["account"]),
        "topic": given["topic"],
        "keywords": given["keywords"],
        "category": given["category"],
        "requirements": given["requirements"],
        "tone": given["tone"],
        "priority": given["priority"],
        "max_retries": given["max_retries"],
        "timeout_at": given["timeout"] if given["timeout_at"] is None else given["timeout_at"],
        "scheduled_at": given["delay"] if given["schedule_at"] is None else given["schedule_at"],
        "task_id": given["task_id"],
        "auto_approve": "false" if given["no_auto_approve"] else None,
    }
    return {name: value for name, value in columns.items() if value is not None}


def _submit_one(options: GlobalOptions, values: dict[str, str | timedelta], as_json: bool) -> None:
    from contentq.queue.submission import submit_one

    if not ABOUT & values.keys():
        raise click.UsageError("say what the task is about, for instance with --topic, or name a FILE of tasks")
    if "account_id" not in values:
        raise click.UsageError("name the account with --account ID")
    with connected(options) as connection:
        task_id = submit_one(connection, values)
    if task_id is None:
        raise ContentQueueError(f"there is a task {values['task_id']} already; it was left as it is")
    if as_json:
        print_json({"task_id": task_id})
    else:
        click.echo(task_id)


def _submit_many(
    options: GlobalOptions,
    file: Path,
    file_format: str,
    values: dict[str, str | timedelta],
    as_json: bool,
) -> None:
    from contentq.queue.records import from_csv, from_json_lines
    from contentq.queue.submission import submit as submit_rows

    with (
        connected(options) as connection,
        _says_that_nothing_was_inserted(),
        _opened(file) as opened,
        _progress(opened) as inserted,
    ):
        columns, rows = (from_csv if file_format == "csv" else from_json_lines)(opened)
        done = submit_rows(connection, columns, rows, values, inserted)
    if as_json:
        print_json(
            {
                "inserted": done.inserted,
                "duplicates": done.duplicates,
                "first_duplicates": [{"line": line, "task_id": id_} for line, id_ in done.first_duplicates],
            }
        )
        return
    click.echo(f"{counted(done.inserted, 'task')} submitted")
    if done.duplicates:
        click.echo(f"{done.duplicates} left out, as their task_id exists already:", err=True)
        for line, task_id in done.first_duplicates:
            print_text(f"  line {line}: {task_id}", err=True)
        if done.duplicates > len(done.first_duplicates):
            click.echo(f"  and {done.duplicates - len(done.first_duplicates)} more", err=True)


@contextmanager
def _says_that_nothing_was_inserted() -> Iterator[None]:
    """For whatever is refused, so that no one wonders what became of the lines before."""
    try:
        yield
    except InputRefused as error:
        raise InputRefused(f"nothing was inserted: {error}") from None


def _format_of(file: Path) -> str:
    found = FORMATS.get(file.suffix.lower())
    if found is None:
        raise click.UsageError("say what FILE is with --format csv or --format jsonl")
    return found


def _opened(file: Path) -> IO[bytes]:
    return open(0, "rb", closefd=False) if file == STDIN else file.open("rb")


@contextmanager
def _progress(file: IO[bytes]) -> Iterator[Callable[[int], None]]:
    """A bar over the bytes of the file, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda rows: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    size = os.fstat(file.fileno()).st_size or None
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rows]:,} tasks"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        bar = progress.add_task("submitting", total=size, rows=0)

        def inserted(rows: int) -> None:
            progress.update(bar, rows=rows, completed=file.tell() if size else rows)

        yield inserted
