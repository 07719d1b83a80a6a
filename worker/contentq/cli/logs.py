"""Where commands that run handlers send what is logged."""

from __future__ import annotations

import logging
import re
import sys
from types import TracebackType

from contentq.cli.notes import notes_to_log
from contentq.cli.output import escape

LOG_LEVELS = ("debug", "info", "warning", "error")

_PLACE = re.compile(r"%%|%[-#0 +]*\d*(?:\.\d+)?[a-z]")
"""What the message of a record has in the place of a value."""

_ONE_WORD = re.compile(r'[^\s"=]+')


def log_to_stderr(level: str) -> None:
    """Logs to standard error, one line an event, from this level on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine())
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


def _barred(text: str) -> list[str]:
    return [f"| {escape(line)}" for line in text.split("\n")]
