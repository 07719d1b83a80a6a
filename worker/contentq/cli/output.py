"""Output of commands: tables for people, plain columns for pipes, JSON for programs.

All output goes through this module. It escapes invisible characters and terminal control sequences, because a
task's text comes from anyone, and the content of a pipe or file may end on a terminal, too. --raw turns escaping
off, except for JSON, whose escapes do not change its meaning.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import click

from contentq import escaping

if TYPE_CHECKING:
    from rich.console import Console  # noqa: TID251 - the only place
    from rich.table import Table

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")

_LEAST = 4
"""Minimum width of a column that is cut, in characters."""

_READABLE = 18
"""The width to which columns are cut before others are omitted, in characters."""

_NOT_INDENTED = re.compile(r"\n(?! {2})")


def print_json(value: Any) -> None:
    """Prints a value as JSON: times in ISO 8601, durations in seconds."""
    print_json_text(json.dumps(value, ensure_ascii=False, indent=2, default=as_json_value))


def print_json_text(text: str) -> None:
    """Prints a JSON text."""
    print_as_it_is(escaping.escape_json(text) + "\n")


def print_table(
    title: str | None,
    rows: Sequence[Mapping[str, Any]],
    nothing: str,
    give_way: Sequence[str] = (),
    may_go: Sequence[str] = (),
) -> None:
    """Prints rows as a table with their keys as headings; without rows, prints nothing.

    nothing: a sentence. give_way: columns that are cut if the terminal is too narrow. may_go: columns that are
    omitted, first one first, before the others become too narrow to read. A pipe gets all columns in full.
    """
    if not rows:
        print_line(nothing)
    elif sys.stdout.isatty():
        _print_for_terminal(title, rows, give_way, may_go)
    else:
        _print_plain(title, rows)


def print_fields(fields: Mapping[str, Any]) -> None:
    """Prints names and values, one per line; further lines of a value are indented."""
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        text = escape(format_value(value), escaping.LINES)
        print_as_it_is(f"{name:<{width}}  {text}\n".replace("\n", "\n" + " " * (width + 2)).rstrip(" "))


def print_line(text: str = "", err: bool = False) -> None:
    """Prints one line; escapes line breaks."""
    print_as_it_is(escape(text) + "\n", err)


def print_message(text: str, err: bool = False) -> None:
    """Prints a message. Further lines are indented, so that none of them can pass for another message."""
    print_as_it_is(_NOT_INDENTED.sub("\n  ", escape(text, escaping.LINES)) + "\n", err)


def print_text(text: str, err: bool = False) -> None:
    """Prints a text with several lines."""
    print_as_it_is(escape(text, escaping.LINES) + "\n", err)


def print_prose(text: str) -> None:
    """Prints a title or an article."""
    print_as_it_is(escape(text, escaping.PROSE) + "\n")


def print_as_it_is(text: str, err: bool = False) -> None:
    """Prints a text that is already escaped or contains only contentq's own characters."""
    click.echo(text, nl=False, err=err, color=True)  # noqa: TID251 - the only place


def console(err: bool = False) -> Console:
    """Returns a rich console, which does not escape: the caller must escape all text."""
    from rich.console import Console  # noqa: TID251 - the only place

    return Console(stderr=err)


def escape(text: str, kept: str = "") -> str:
    """Escapes the text; with --raw, returns it unchanged. kept: characters to keep, such as line breaks."""
    return text if _Raw.on else escaping.escape(text, kept)


def set_raw(on: bool) -> None:
    """Turns escaping off or on."""
    _Raw.on = on


class _Raw:
    on = False


def count_of(number: int, noun: str) -> str:
    """Formats a count: 1 task, 2 tasks."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def format_value(value: Any) -> str:
    """Formats a value for people."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone().isoformat(" ", "seconds")
    if isinstance(value, timedelta):
        return str(value).partition(".")[0].replace(" days, ", "d ").replace(" day, ", "d ")
    return str(value)


def build_table(
    rows: Sequence[Mapping[str, Any]],
    available: int,
    give_way: Sequence[str] = (),
    title: str | None = None,
    whole: str = "",
    least: int = _LEAST,
) -> tuple[Table, int]:
    """Builds a table for a terminal of this width; returns it with its own width, which may be larger.

    whole: a heading that is not cut, even if its column is. least: the minimum width of columns that are cut.
    """
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    texts = [{name: _cell(value) for name, value in row.items()} for row in rows]
    widths = {name: max(cell_len(text) for text in (name, *(row[name] for row in texts))) for name in rows[0]}
    _narrow(
        widths,
        available,
        {name: max(least, cell_len(name) * (name == whole)) for name in give_way if name in widths},
    )
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        justify: Literal["left", "right"] = "right" if any(_is_number(row[name]) for row in rows) else "left"
        table.add_column(name, justify=justify, no_wrap=True, overflow="ellipsis", width=widths[name])
    for row in texts:
        table.add_row(*map(Text, row.values()))
    return table, _total(widths)


def _print_for_terminal(
    title: str | None, rows: Sequence[Mapping[str, Any]], give_way: Sequence[str], may_go: Sequence[str]
) -> None:
    screen = console()
    for left_out in range(len(may_go) + 1):
        gone = may_go[:left_out]
        shown = [{name: value for name, value in row.items() if name not in gone} for row in rows]
        least = _READABLE if left_out < len(may_go) else _LEAST
        table, width = build_table(shown, screen.width, give_way, title, least=least)
        if width <= screen.width:
            break
    # The terminal wraps a table that is still too wide, so that nothing is lost.
    screen.width = max(screen.width, width)
    screen.print(table)
    if left_out:
        print_line(
            f"{count_of(left_out, 'column')} omitted; use --json, a pipe or a wider terminal to see all", err=True
        )


def _narrow(widths: dict[str, int], available: int, least: Mapping[str, int]) -> None:
    """Narrows the widest of the columns in least until the table fits or all of them have their minimum width."""
    while _total(widths) > available:
        wider = [name for name in least if widths[name] > least[name]]
        if not wider:
            break
        widths[max(wider, key=lambda name: widths[name])] -= 1


def _total(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + 2 * (len(widths) - 1)


def _print_plain(title: str | None, rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints aligned columns; a Chinese character is two columns of a terminal wide."""
    from rich.cells import cell_len

    lines = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    if title:
        print_line(title)
    for line in lines:
        padded = [text + " " * (width - cell_len(text)) for text, width in zip(line, widths, strict=True)]
        print_as_it_is("  ".join(padded).rstrip() + "\n")


def _cell(value: Any) -> str:
    """Formats a value on one line."""
    return escape(format_value(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def as_json_value(value: Any) -> Any:
    """The default function for json.dumps. Raises TypeError."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        number = float(value)
        return number if math.isfinite(number) else str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
