"""`contentq submit`: inserts one task from options, or many from a file."""

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
"""Formats by file name extension."""

STDIN = Path("-")

ABOUT = {column.name for column in SETTABLE if column.describes}
"""Columns of which a task from options needs at least one: an empty task is a mistake."""

FROM_NOW = "_from_now"
"""The suffix of option names whose value is a duration from now."""

_HELP = f"""Insert one task, or a FILE of tasks.

One task comes from options: --account, and at least one option that describes it. A FILE (- for standard input) is
CSV with column names in its first line, or JSON Lines with one object per line. The columns are those of the
table: {", ".join(column.name for column in SETTABLE)}. Options set values that a record leaves out. All tasks are
inserted in one transaction, or none. Tasks whose task_id already exists are skipped and reported. The tasks of a
FILE form a batch; its name is generated unless --batch or the column batch names it.

With --wait, the command waits until the tasks have ended. Exit code 0: all were completed; 1: some ended
otherwise.

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
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["csv", "jsonl"]),
    help="Format of FILE. Default: by its file name extension.",
)
@_task_options
@click.option("--wait", "waits", is_flag=True, help="Wait until all submitted tasks have ended.")
@json_option
@click.pass_context
def submit(
    ctx: click.Context, /, file: Path | None, file_format: str | None, waits: bool, as_json: bool, **given: Any
) -> None:
    """Inserts one task, or a file of tasks."""
    values = _values(given)
    if file is None:
        task_id = _submit_one(ctx.obj, values, as_json)
        if waits and not wait_for(ctx.obj, [task_id], None, as_json=as_json):
            ctx.exit(1)
    elif given["topic"] is not None or given["task_id"] is not None:
        raise click.UsageError("--topic and --task-id describe one task; a FILE has columns for them")
    else:
        names = _submit_many(ctx.obj, file, file_format or _format_of(file), values, as_json)
        # Wait for every batch, even if one before was not completed.
        completed = [wait_for(ctx.obj, [], name, as_json=as_json) for name in names if waits]
        if not all(completed):
            ctx.exit(1)


def _values(given: dict[str, Any]) -> dict[str, str | timedelta]:
    """The columns that the options set: as text, or as a duration from now."""
    values: dict[str, str | timedelta] = {}
    for column in SETTABLE:
        option = column.option
        if option is None:
            continue
        value, from_now = given[column.name], given.get(column.name + FROM_NOW)
        if value is not None and from_now is not None:
            assert option.duration is not None
            raise click.UsageError(f"give either {option.duration.flag} or {option.flag}, not both")
        if isinstance(value, bool):  # the flag turns the column off
            value = "false" if value else None
        chosen = value if from_now is None else from_now
        if chosen is not None:
            values[column.name] = chosen
    return values


def _submit_one(options: GlobalOptions, values: dict[str, str | timedelta], as_json: bool) -> str:
    """Inserts one task and prints its task_id; returns the task_id."""
    from contentq.queue.submission import submit_one

    if not ABOUT & values.keys():
        raise click.UsageError("no task given: describe one, for example with --topic, or name a FILE of tasks")
    if "account_id" not in values:
        raise click.UsageError("no account given: name it with --account")
    check_output("nothing was inserted")
    with open_session(options) as connection:
        _find_account(connection, values)
        task_id = submit_one(connection, values)
    if task_id is None:
        raise ContentQueueError(f"task {values['task_id']} already exists; it was not changed")
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
    """Yields the rows; adds their batch names to batches, in order. default: the batch of rows without one."""
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
        print_line(f"{done.duplicates} skipped, because their task_id already exists:", err=True)
        for line, task_id in done.first_duplicates:
            print_line(f"  line {line}: {task_id}", err=True)
        if done.duplicates > len(done.first_duplicates):
            print_line(f"  and {done.duplicates - len(done.first_duplicates)} more", err=True)


def _find_account(connection: Connection, values: dict[str, str | timedelta]) -> None:
    """Replaces the account's name with its id. Raises InputRefused if the account does not exist."""
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
    """Adds to a refusal that no line was inserted."""
    try:
        yield
    except InputRefused as error:
        raise InputRefused(f"nothing was inserted: {error}") from None


def _format_of(file: Path) -> str:
    found = FORMATS.get(file.suffix.lower())
    if found is None:
        raise click.UsageError("the format of FILE is unknown: give --format csv or --format jsonl")
    return found


def _open(file: Path) -> IO[bytes]:
    return open(0, "rb", closefd=False) if file == STDIN else file.open("rb")


@contextmanager
def _progress(file: IO[bytes]) -> Iterator[Callable[[int], None]]:
    """Shows a progress bar over the bytes of the file, on a terminal."""
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
