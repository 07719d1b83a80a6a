"""Reading tasks from CSV and JSON lines, one at a time, knowing on which line each begins."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator

from contentq.errors import InputRefused
from contentq.queue.submission import COLUMNS, Record

LONGEST_FIELD = 100_000_000
"""Characters in one CSV field; a requirement can be long."""


def from_csv(lines: Iterable[bytes]) -> tuple[list[str], Iterator[Record]]:
    """The columns of the header line, and the records. An empty field is left out. Raises InputRefused."""
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(_decoded(lines), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise InputRefused(f"line 1: the header is not CSV: {error}") from None
    if not any(header):
        raise InputRefused("the file is empty; its first line must name the columns")

    def records() -> Iterator[Record]:
        line = reader.line_num + 1
        while True:
            try:
                fields = next(reader, None)
            except csv.Error as error:
                raise InputRefused(f"nothing was inserted; line {line} is not CSV: {error}") from None
            if fields is None:
                return
            if fields:
                if len(fields) != len(header):
                    raise InputRefused(
                        f"nothing was inserted; line {line} has {len(fields)} fields, the header {len(header)} "
                        "(a field with a comma in it must be in double quotes)"
                    )
                yield Record(line, [field or None for field in fields])
            line = reader.line_num + 1

    return header, records()


def from_json_lines(lines: Iterable[bytes]) -> tuple[list[str], Iterator[Record]]:
    """All the columns that there are, and the records: one JSON object a line. Raises InputRefused."""
    columns = list(COLUMNS)
    places = {name: position for position, name in enumerate(columns)}

    def records() -> Iterator[Record]:
        for line, text in enumerate(_decoded(lines), 1):
            if not text.strip():
                continue
            try:
                task = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise InputRefused(f"nothing was inserted; line {line} is not JSON: {error}") from None
            if not isinstance(task, dict):
                raise InputRefused(
                    f'nothing was inserted; line {line} is not a JSON object such as {{"topic": "…"}}'
                )
            values: list[str | None] = [None] * len(columns)
            for name, value in task.items():
                if name not in places:
                    raise InputRefused(
                        f"nothing was inserted; line {line}: there is no column {name!r} for a producer; "
                        f"there are {', '.join(columns)}"
                    )
                values[places[name]] = _as_text(line, name, value)
            yield Record(line, values)

    return columns, records()


def _decoded(lines: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputRefused(
                f"nothing was inserted; line {number} is not UTF-8 (byte {error.start + 1} of the line)"
            ) from None
        if "\x00" in text:
            raise InputRefused(f"nothing was inserted; line {number} holds a NUL character")
        yield text


def _as_text(line: int, name: str, value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | str):
        text = str(value)
    elif isinstance(value, list) and name == "keywords":
        text = ",".join(map(str, value))
    else:
        raise InputRefused(
            f"nothing was inserted; line {line}: {name} is {json.dumps(value)[:60]}, not a text or number"
        )
    if "\x00" in text:
        raise InputRefused(f"nothing was inserted; line {line}: {name} holds a NUL character")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InputRefused(f"nothing was inserted; line {line}: {name} holds half of a surrogate pair") from None
    return text
