"""`contentq submit`: one task from options, or many from a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from contentq.cli.output import console, count_of, json_option, print_json, print_line
from contentq.cli.session import open_session
from contentq.cli.streams import answering, check_output
from contentq.cli.wait import wait_for
from contentq.durations import DURATION
from contentq.errors import ContentQueueError, InputRefused
from contentq.task import SETTABLE

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions
    from contentq.queue.reading import Connection
    from contentq.queue.submission import Row, Submitted

F = TypeVar("F", bound=Callable[..., Any])

FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
"""By the ending of a file's name."""

STDIN = Path("-")

ABOUT = {column.name for column in SETTABLE if column.describes}
"""Columns of which one task from options has at least one: an empty task is a mistake."""

FROM_NOW = "_from_now"
"""The end of the name of an option that gives a time from now."""

_HELP = f"""Put one task into the queue, or a FILE of tasks.

One task is made from options: --account, and at least one that says what it is about. FILE (- for standard
input) is CSV, its first line naming the columns, or JSON lines, one object a line; the columns are those of
the table: {", ".join(column.name for column in SETTABLE)}.
Options fill in what a record leaves out. It is one transaction: all of it, or nothing. Tasks whose task_id
exists already are left out and reported. The tasks of a FILE are a batch, which gets a name unless --batch or
the column batch gives one.

With --wait, the command ends when the tasks have ended: 0 when all were completed, 1 when some ended otherwise.

Exit code 7: the tasks were inserted, but the output could not be written. Do not submit them again.
"""


def _task_options(command: F) -> F:
    """Adds an option for each column that has one; its value arrives under the name of the column."""
    for column in reversed(SETTABLE):
        option = column.option
        if option is None:
            continue
        if column.type == "boolean":
            command = click.option(option.flag, column.name, is_flag=True, help=option.help)(command)
            continue
        command = click.option(option.flag, column.name, metavar=option.metavar, help=option.help)(command)
        if option.duration is not None:
            flag, text = option.duration.flag, option.duration.help
            command = click.option(flag, column.name + FROM_NOW, type=DURATION, help=text)(command)
    return command


@click.command(help=_HELP)
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
@click.option("--format", "file_format", type=click.Choice(["csv", "jsonl"]), help="Of FILE; else by its ending.")
@_task_options
@click.option("--wait", "waits", is_flag=True, help="Wait until the tasks, or the batch, have ended.")
@json_option
@click.pass_context
def submit(
    ctx: click.Context, /, file: Path | None, file_format: str | None, waits: bool, as_json: bool, **given: Any
) -> None:
    """Puts one task into the queue, or a file of tasks."""
    values = _values(given)
    if file is None:
        task_id = _submit_one(ctx.obj, values, as_json)
        if waits and not wait_for(ctx.obj, [task_id], None, as_json=as_json):
            ctx.exit(1)
    elif given["topic"] is not None or given["task_id"] is not None:
        raise click.UsageError("--topic and --task-id are about one task; a FILE has columns for them")
    else:
        names = _submit_many(ctx.obj, file, file_format or _format_of(file), values, as_json)
        # Each of them, whatever became of those before.
        completed = [wait_for(ctx.obj, [], name, as_json=as_json) for name in names if waits]
        if not all(completed):
            ctx.exit(1)


def _values(given: dict[str, Any]) -> dict[str, str | timedelta]:
    """The columns that the options set: as text, or as a time from now."""
    values: dict[str, str | timedelta] = {}
    for column in SETTABLE:
        option = column.option
        if option is None:
            continue
        value, from_now = given[column.name], given.get(column.name + FROM_NOW)
        if value is not None and from_now is not None:
            assert option.duration is not None
            raise click.UsageError(f"{option.duration.flag} and {option.flag} exclude each other")
        if isinstance(value, bool):  # a flag that says no
            value = "false" if value else None
        chosen = value if from_now is None else from_now
        if chosen is not None:
            values[column.name] = chosen
    return values


def _submit_one(options: GlobalOptions, values: dict[str, str | timedelta], as_json: bool) -> str:
    """Inserts one task and prints its task_id, which it returns."""
    from contentq.queue.submission import submit_one

    if not ABOUT & values.keys():
        raise click.UsageError("say what the task is about, for instance with --topic, or name a FILE of tasks")
    if "account_id" not in values:
        raise click.UsageError("name the account with --account")
    check_output("nothing was inserted")
    with open_session(options) as connection:
        _find_account(connection, values)
        task_id = submit_one(connection, values)
    if task_id is None:
        raise ContentQueueError(f"there is a task {values['task_id']} already; it was left as it is")
    with answering(f"task {task_id} was inserted"):
        if as_json:
            print_json({"task_id": task_id})
        else:
            print_line(task_id)
    return task_id


def _submit_many(
    options: GlobalOptions,
    file: Path,
    file_format: str,
    values: dict[str, str | timedelta],
    as_json: bool,
) -> list[str]:
    """Inserts the tasks of a file; returns the names of their batches."""
    from contentq.queue.records import from_csv, from_json_lines
    from contentq.queue.submission import submit as submit_rows

    check_output("nothing was inserted")
    with (
        open_session(options) as connection,
        _report_nothing_inserted(),
        _open(file) as opened,
        _progress(opened) as inserted,
    ):
        _find_account(connection, values)
        columns, rows = (from_csv if file_format == "csv" else from_json_lines)(opened)
        default = str(values.setdefault("batch", f"batch-{token_hex(4)}"))
        batches = {default: None} if "batch" not in columns else {}
        done = submit_rows(connection, columns, _noting_batches(columns, rows, default, batches), values, inserted)
    with answering(f"{count_of(done.inserted, 'task')} inserted"):
        _print_answer(done, list(batches), as_json)
    return list(batches)


def _noting_batches(
    columns: Sequence[str], rows: Iterable[Row], default: str, batches: dict[str, None]
) -> Iterator[Row]:
    """The rows; adds the names of their batches to batches, in their order. default: of a row that names none."""
    if "batch" not in columns:
        yield from rows
        return
    place = columns.index("batch")
    for row in rows:
        batches[row[place] or default] = None
        yield row


def _print_answer(done: Submitted, batches: list[str], as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "batches": batches,
                "inserted": done.inserted,
                "duplicates": done.duplicates,
                "first_duplicates": [{"line": line, "task_id": id_} for line, id_ in done.first_duplicates],
            }
        )
        return
    batch = f"batch {batches[0]}" if len(batches) == 1 else f"{len(batches)} batches"
    print_line(f"{count_of(done.inserted, 'task')} submitted, {batch}")
    if done.duplicates:
        print_line(f"{done.duplicates} left out, as their task_id exists already:", err=True)
        for line, task_id in done.first_duplicates:
            print_line(f"  line {line}: {task_id}", err=True)
        if done.duplicates > len(done.first_duplicates):
            print_line(f"  and {done.duplicates - len(done.first_duplicates)} more", err=True)


def _find_account(connection: Connection, values: dict[str, str | timedelta]) -> None:
    """Puts the id in the place of the account's name. Raises InputRefused when there is no such account."""
    from contentq.queue.accounts import find_account

    named = values.get("account_id")
    if named is None:
        return
    try:
        values["account_id"] = str(find_account(connection, str(named)))
    except ContentQueueError as error:
        raise InputRefused(str(error)) from None


@contextmanager
def _report_nothing_inserted() -> Iterator[None]:
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


def _open(file: Path) -> IO[bytes]:
    return open(0, "rb", closefd=False) if file == STDIN else file.open("rb")


@contextmanager
def _progress(file: IO[bytes]) -> Iterator[Callable[[int], None]]:
    """A bar over the bytes of the file, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _rows: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    size = os.fstat(file.fileno()).st_size or None
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rows]:,} tasks"))
    with Progress(*columns, TimeElapsedColumn(), console=console(err=True)) as progress:
        bar = progress.add_task("submitting", total=size, rows=0)

        def advance(rows: int) -> None:
            progress.update(bar, rows=rows, completed=file.tell() if size else rows)

        yield advance
