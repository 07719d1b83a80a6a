"""Logging of commands that run until they are stopped."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TypeVar

import click

from contentq import escaping
from contentq.cli.notes import notes_to_log
from contentq.cli.output import escape

LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")

F = TypeVar("F", bound=Callable[..., Any])

_PLACE = re.compile(r"%%|%[-#0 +]*\d*(?:\.\d+)?[a-z]")
"""A placeholder in the message of a log record."""

_ONE_WORD = re.compile(r'[^\s"=]+')

_FIELD = re.compile(r"(\w+)=$")
"""The name before the value of a field."""


def log_options(command: F) -> F:
    """Adds --log-level and --log-format; their values arrive as log_level and log_format."""
    command = click.option(
        "--log-format",
        type=click.Choice(LOG_FORMATS),
        default="text",
        show_default=True,
        help="Format of the log; json: one object per line.",
    )(command)
    return click.option(
        "--log-level",
        type=click.Choice(LOG_LEVELS),
        default="info",
        show_default=True,
        help="The lowest level to log.",
    )(command)


def log_to_stderr(level: str, form: str = "text") -> None:
    """Logs to standard error from this level on, one line per event. form: one of LOG_FORMATS."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneObject() if form == "json" else OneLine())
    logging.basicConfig(handlers=[handler], level=level.upper())
    notes_to_log()
    # At lower levels they log every step.
    logging.getLogger("asyncio").setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # the worker reports cancelled calls itself


class OneLine(logging.Formatter):
    """Formats an event as one line; escapes line breaks and invisible characters.

    Each line of a traceback becomes a line of the log, with its time and a bar.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s level=%(levelname)s logger=%(name)s ")

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line, and the lines of a traceback."""
        record.asctime = self.formatTime(record)
        begin = self.formatMessage(record)
        lines = [escape(_message(record))]
        if record.exc_info:
            lines += _barred(self.formatException(record.exc_info))
        if record.stack_info:
            lines += _barred(record.stack_info)
        return "\n".join(escape(begin) + line for line in lines)

    def formatException(
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        """Formats a traceback; omits the middle of a very long one."""
        from contentq.engine.results import traceback_of

        return super().formatException(ei) if ei[1] is None else traceback_of(ei[1])


class OneObject(OneLine):
    """Formats an event as a JSON object on one line: time (UTC), level, logger, message, and its fields.

    message is the message of the text format. Fields of contentq's own messages become members: task="a" attempt=2
    is {"task": "a", "attempt": 2}. A traceback is the member traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        members: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        members = {**dict(_fields(record)), **members}
        if record.exc_info:
            members["traceback"] = self.formatException(record.exc_info)
        if record.stack_info:
            members["stack"] = record.stack_info
        return escaping.escape_json(json.dumps(members, ensure_ascii=False))


def _message(record: logging.LogRecord) -> str:
    """Formats the message; in contentq's own, quotes values that look like fields: task="a status=done".

    The value at the end needs no quotes, because nothing follows it.
    """
    if not record.name.startswith("contentq") or not isinstance(record.args, tuple) or not record.args:
        return record.getMessage()
    values = list(record.args)
    places = [found for found in _PLACE.finditer(record.msg) if found[0] != "%%"]
    for number, (place, value) in enumerate(zip(places, values, strict=False)):
        is_field = place[0] == "%s" and record.msg[: place.start()].endswith("=") and place.end() < len(record.msg)
        if is_field and isinstance(value, str) and not _ONE_WORD.fullmatch(value):
            quoted = value.replace('"', r"\"")
            values[number] = f'"{quoted}"'
    return str(record.msg % tuple(values))


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    """Yields the fields of contentq's own messages: everything written as name=value."""
    if not record.name.startswith("contentq") or not isinstance(record.args, tuple):
        return
    places = [found for found in _PLACE.finditer(record.msg) if found[0] != "%%"]
    for place, value in zip(places, record.args, strict=False):
        field = _FIELD.search(record.msg[: place.start()])
        if field is not None:
            yield field[1], _as_member(place[0], value)
        elif is_dataclass(value) and not isinstance(value, type):
            yield from asdict(value).items()  # in the message it formats itself as several fields


def _as_member(place: str, value: object) -> Any:
    """A number as a number, with the digits of the message; any other value as the text of the message."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return place % (value,)
    shown = place % (value,)
    try:
        return int(shown) if isinstance(value, int) else json.loads(shown)
    except ValueError:
        return shown


def _barred(text: str) -> list[str]:
    return [f"| {escape(line)}" for line in text.split("\n")]
