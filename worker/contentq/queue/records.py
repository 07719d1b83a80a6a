"""Reads tasks from CSV and JSON Lines in a stream, with their line numbers."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from functools import partial
from typing import IO, Any

from contentq.errors import InputRefused
from contentq.queue.columns import NAMES
from contentq.queue.submission import Row

LONGEST = 10_000_000
"""Maximum bytes of a line and characters of a field: far more than a task needs, far less than memory."""

_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def from_csv(file: IO[bytes]) -> tuple[list[str], Iterator[Row]]:
    """Returns the columns of the header, and the rows. An empty field counts as left out. Raises InputRefused."""
    csv.field_size_limit(LONGEST)
    reader = csv.reader(_lines(file), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise InputRefused(f"line 1: the header is not CSV: {error}") from None
    if not any(header):
        found = "line 1" if reader.line_num else "the file"
        raise InputRefused(
            f"{found} is empty; line 1 must name the columns, for example: account_id,topic,priority"
        )
    _check_header(header)
    return header, _csv_rows(reader, len(header))


def from_json_lines(file: IO[bytes]) -> tuple[list[str], Iterator[Row]]:
    """Returns all columns, and the rows: one JSON object per line. Raises InputRefused."""
    return list(NAMES), _json_rows(file)


def _csv_rows(reader: Any, width: int) -> Iterator[Row]:
    line = reader.line_num + 1
    while True:
        try:
            for row in reader:
                if len(row) == width:
                    row.append(line)
                    yield row
                elif row:
                    raise InputRefused(
                        f"line {line} has {_fields(len(row))}, but the header has {width}; "
                        "enclose fields that contain commas in double quotes"
                    )
                line = reader.line_num + 1
        except csv.Error as error:
            raise InputRefused(f"line {line} is not CSV: {error}") from None
        return


def _json_rows(file: IO[bytes]) -> Iterator[Row]:
    # Numbers stay as they are written; PostgreSQL reads them.
    decode: Callable[[str], Any] = json.JSONDecoder(
        parse_int=str, parse_float=str, parse_constant=_no_constant
    ).decode
    places = {name: place for place, name in enumerate(NAMES)}
    for line, text in enumerate(_lines(file), 1):
        if not text.strip():
            continue
        try:
            task = decode(text)
        except json.JSONDecodeError as error:
            raise InputRefused(f"line {line} is not JSON: {error.msg} at character {error.pos + 1}") from None
        except (ValueError, RecursionError) as error:
            raise InputRefused(f"line {line} is not JSON: {error}") from None
        if not isinstance(task, dict):
            raise InputRefused(f'line {line} is not a JSON object; write for example {{"topic": "…"}}')
        row: Row = [""] * len(places)
        try:
            for name, value in task.items():
                row[places[name]] = value if type(value) is str else _as_text(name, value)
        except KeyError:
            raise InputRefused(f"line {line}: {_unknown_column(name)}") from None
        except ValueError as error:
            raise InputRefused(f"line {line}: {error}") from None
        if "\\u" in text:
            _check_characters(line, row)
        row.append(line)
        yield row


def _lines(file: IO[bytes]) -> Iterator[str]:
    """Yields the lines as text. Raises InputRefused for text that PostgreSQL cannot store."""
    for number, line in enumerate(iter(partial(file.readline, LONGEST), b""), 1):
        if len(line) == LONGEST and not line.endswith(b"\n"):
            raise InputRefused(f"line {number} is longer than {LONGEST:,} bytes; is this a file of tasks?")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputRefused(
                f"line {number} is not UTF-8 (byte {error.start + 1} of the line); save the file as UTF-8"
            ) from None
        if "\x00" in text:
            raise InputRefused(f"line {number} contains a NUL character; remove it, or save the file as UTF-8")
        yield text


def _check_header(header: Sequence[str]) -> None:
    for place, name in enumerate(header):
        if name in header[:place]:
            raise InputRefused(f"line 1 names the column {name} twice; remove one of them")
        if name in NAMES:
            continue
        for separator, called in _OTHER_SEPARATORS.items():
            if len(header) == 1 and separator in name:
                raise InputRefused(f"line 1 is separated by {called}; separate the columns by commas")
        raise InputRefused(f"line 1: {_unknown_column(name)}")


def _unknown_column(name: str) -> str:
    close = get_close_matches(name.lower(), NAMES, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"unknown column {name[:60]!r}{hint} (columns: {', '.join(NAMES)})"


def _as_text(name: str, value: object) -> str:
    """Converts a JSON value that is not a string to text for PostgreSQL; null becomes empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if name == "keywords" and isinstance(value, list) and all(isinstance(word, str) for word in value):
        return ",".join(value)
    shape = "a list" if isinstance(value, list) else "an object"
    raise ValueError(f"{name} is {shape}; it must be a string or a number")


def _check_characters(line: int, row: Row) -> None:
    for name, value in zip(NAMES, row, strict=True):
        if "\x00" in value:
            raise InputRefused(f"line {line}: {name} contains a NUL character; remove it")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputRefused(f"line {line}: {name} contains half of a surrogate pair; remove it") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


def _fields(number: int) -> str:
    return "1 field" if number == 1 else f"{number} fields"
