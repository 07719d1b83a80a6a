"""How commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def print_json(value: Any) -> None:
    """Prints a value as JSON; times in ISO 8601, durations in seconds."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=_as_json))


def print_table(title: str | None, rows: Sequence[Mapping[str, Any]], nothing: str) -> None:
    """Prints rows as a table with their keys as headings; without rows, what nothing says."""
    if not rows:
        click.echo(nothing)
        return
    if not sys.stdout.isatty():
        _print_plain(title, rows)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name, value in rows[0].items():
        table.add_column(name, justify="right" if isinstance(value, int | float | Decimal) else "left")
    for row in rows:
        table.add_row(*(Text(shown(value)) for value in row.values()))
    Console().print(table)


def print_fields(fields: Mapping[str, Any]) -> None:
    """Prints names and values, one a line."""
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        click.echo(f"{name:<{width}}  {shown(value)}")


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
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _print_plain(title: str | None, rows: Sequence[Mapping[str, Any]]) -> None:
    """Columns of plain text, as wide as they need to be, for pipes and files."""
    lines: list[list[str]] = [list(rows[0]), *([shown(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    if title:
        click.echo(title)
    for line in lines:
        click.echo("  ".join(_padded(line, widths)).rstrip())


def _padded(line: Iterable[str], widths: Iterable[int]) -> list[str]:
    return [f"{text:<{width}}" for text, width in zip(line, widths, strict=True)]


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
