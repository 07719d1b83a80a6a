"""Where commands that run handlers send what is logged."""

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
"""What the message of a record has in the place of a value."""

_ONE_WORD = re.compile(r'[^\s"=]+')

_FIELD = re.compile(r"(\w+)=$")
"""What stands before the value of a field."""


def log_options(command: F) -> F:
    """Adds --log-level and --log-format, which arrive as log_level and log_format."""
    command = click.option(
        "--log-format",
        type=click.Choice(LOG_FORMATS),
        default="text",
        show_default=True,
        help="json: one object a line.",
    )(command)
    return click.option("--log-level", type=click.Choice(LOG_LEVELS), default="info", show_default=True)(command)


def log_to_stderr(level: str, form: str = "text") -> None:
    """Logs to standard error, one line an event, from this level on. form: one of LOG_FORMATS."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneObject() if form == "json" else OneLine())
    logging.basicConfig(handlers=[handler], level=level.upper())
    notes_to_log()
    # They tell at length what they do; handlers, and the libraries that they call, log as they like.
    logging.getLogger("asyncio").setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # that a call was cut short, the worker says itself


class OneLine(logging.Formatter):
    """One line an event, whatever is in it: a line break is escaped, and so is what cannot be seen.

    Each line of a traceback is a line of the log, with its time and a bar before it.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s level=%(levelname)s logger=%(name)s ")

    def format(self, record: logging.LogRecord) -> str:
        """The line, and those of a traceback."""
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
        """A traceback; the middle of a very long one is left out."""
        from contentq.engine.results import traceback_of

        return super().formatException(ei) if ei[1] is None else traceback_of(ei[1])


class OneObject(OneLine):
    """One JSON object a line: time (UTC), level, logger, message as the text format has it, and its fields.

    The fields of contentq's own messages are members as well: task="a" attempt=2 is {"task": "a", "attempt": 2}.
    A traceback is the member traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        said = {**dict(_fields(record)), **said}
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        if record.stack_info:
            said["stack"] = record.stack_info
        return escaping.escape_json(json.dumps(said, ensure_ascii=False))


def _message(record: logging.LogRecord) -> str:
    """The message. In contentq's own, a text that could pass for further fields is quoted: task="a status=done".

    The text at the end needs no quotes: nothing comes after it.
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
    """The fields of a message of contentq's own: what it has as name=value."""
    if not record.name.startswith("contentq") or not isinstance(record.args, tuple):
        return
    places = [found for found in _PLACE.finditer(record.msg) if found[0] != "%%"]
    for place, value in zip(places, record.args, strict=False):
        field = _FIELD.search(record.msg[: place.start()])
        if field is not None:
            yield field[1], _as_member(place[0], value)
        elif is_dataclass(value) and not isinstance(value, type):
            yield from asdict(value).items()  # what it writes as several fields


def _as_member(place: str, value: object) -> Any:
    """A number as a number, with the digits that the message shows; anything else as the message shows it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return place % (value,)
    shown = place % (value,)
    try:
        return int(shown) if isinstance(value, int) else json.loads(shown)
    except ValueError:
        return shown


def _barred(text: str) -> list[str]:
    return [f"| {escape(line)}" for line in text.split("\n")]
