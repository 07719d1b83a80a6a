"""How commands print: tables for people, plain columns for pipes, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")

_CONTROL = {code: "�" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}
"""What would steer a terminal: a task's text comes from anyone."""

_UNESCAPED = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}
"""The part of it that JSON need not escape."""

_LEAST = 4
"""Characters that a column keeps when it gives way."""


def print_json(value: Any) -> None:
    """Prints a value as JSON; times in ISO 8601, durations in seconds."""
    print_json_text(json.dumps(value, ensure_ascii=False, indent=2, default=as_json_value))


def print_json_text(text: str) -> None:
    """Prints what is JSON already."""
    click.echo(text.translate(_UNESCAPED))


def print_table(
    title: str | None, rows: Sequence[Mapping[str, Any]], nothing: str, give_way: Sequence[str] = ()
) -> None:
    """Prints rows as a table with their keys as headings; without rows, what nothing says.

    give_way: the columns that are cut when the terminal is too narrow. Into a pipe nothing is cut.
    """
    if not rows:
        click.echo(nothing)
    elif sys.stdout.isatty():
        _print_for_terminal(title, rows, give_way)
    else:
        _print_plain(title, rows)


def print_fields(fields: Mapping[str, Any]) -> None:
    """Prints names and values, one a line; the further lines of a value are indented."""
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        print_text(f"{name:<{width}}  {format_value(value)}".replace("\n", "\n" + " " * (width + 2)))


def print_text(text: str, err: bool = False) -> None:
    """Prints a text that others have written: to a terminal without what would steer it, else as it is."""
    to_terminal = (sys.stderr if err else sys.stdout).isatty()
    click.echo(text.translate(_CONTROL) if to_terminal else text, err=err, color=True)


def count_of(number: int, noun: str) -> str:
    """A number of things: 1 task, 2 tasks."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def format_value(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone().isoformat(" ", "seconds")
    if isinstance(value, timedelta):
        return str(value).partition(".")[0].replace(" days, ", "d ").replace(" day, ", "d ")
    return str(value)


def _print_for_terminal(title: str | None, rows: Sequence[Mapping[str, Any]], give_way: Sequence[str]) -> None:
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    texts = [{name: _cell(value).translate(_CONTROL) for name, value in row.items()} for row in rows]
    widths = {name: max(cell_len(text) for text in (name, *(row[name] for row in texts))) for name in rows[0]}
    _narrow(widths, console.width, give_way)
    # What is too wide all the same is wrapped by the terminal, so that nothing is lost.
    console.width = max(console.width, _total(widths))
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name, value in rows[-1].items():
        justify: Literal["left", "right"] = "right" if _is_number(value) else "left"
        table.add_column(name, justify=justify, no_wrap=True, overflow="ellipsis", width=widths[name])
    for row in texts:
        table.add_row(*map(Text, row.values()))
    console.print(table)


def _narrow(widths: dict[str, int], available: int, give_way: Sequence[str]) -> None:
    """Takes from the widest of the columns that give way until all fit, or until these are as narrow as can be."""
    while give_way and _total(widths) > available:
        widest = max(give_way, key=lambda name: widths[name])
        if widths[widest] <= _LEAST:
            break
        widths[widest] -= 1


def _total(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + 2 * (len(widths) - 1)


def _print_plain(title: str | None, rows: Sequence[Mapping[str, Any]]) -> None:
    """Columns as wide as they need to be."""
    lines = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    if title:
        click.echo(title)
    for line in lines:
        click.echo("  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    """A value on one line."""
    return " ".join(format_value(value).split()) if isinstance(value, str) else format_value(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def as_json_value(value: Any) -> Any:
    """What JSON has instead of a value that it does not know, for json.dumps. Raises TypeError."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
