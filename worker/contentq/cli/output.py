"""How commands print: tables for people, plain columns for pipes, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")

_CONTROL = {code: "�" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}
"""What would steer a terminal: a task's text comes from anyone."""


def print_json(value: Any) -> None:
    """Prints a value as JSON; times in ISO 8601, durations in seconds."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=_as_json))


def print_table(
    title: str | None, rows: Sequence[Mapping[str, Any]], nothing: str, gives_way: str | None = None
) -> None:
    """Prints rows as a table with their keys as headings; without rows, what nothing says.

    gives_way: the column that is cut when the terminal is too narrow. Into a pipe nothing is cut.
    """
    if not rows:
        click.echo(nothing)
    elif sys.stdout.isatty():
        _print_for_terminal(title, rows, gives_way)
    else:
        _print_plain(title, rows)


def print_fields(fields: Mapping[str, Any]) -> None:
    """Prints names and values, one a line; the further lines of a value are indented."""
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        print_text(f"{name:<{width}}  {shown(value)}".replace("\n", "\n" + " " * (width + 2)))


def print_text(text: str) -> None:
    """Prints a text that others have written; to a terminal, without what would steer it."""
    click.echo(text.translate(_CONTROL) if sys.stdout.isatty() else text)


def shown(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, timedelta):
        return str(value).partition(".")[0]
    return str(value)


def _print_for_terminal(title: str | None, rows: Sequence[Mapping[str, Any]], gives_way: str | None) -> None:
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        column = [name, *(row[name] for row in rows)]
        table.add_column(
            name,
            justify="right" if _is_number(column[-1]) else "left",
            no_wrap=True,
            overflow="ellipsis",
            # Columns that must be whole ask for their width; what is left goes to the one that gives way.
            min_width=None if name == gives_way else max(cell_len(_cell(each)) for each in column),
        )
    for row in rows:
        table.add_row(*(Text(_cell(value).translate(_CONTROL)) for value in row.values()))
    Console().print(table)


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
    return " ".join(shown(value).split()) if isinstance(value, str) else shown(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
