"""Where commands that run handlers send what is logged."""

from __future__ import annotations

import logging
import sys
from types import TracebackType

from contentq.cli.notes import notes_to_log
from contentq.cli.output import escape

LOG_LEVELS = ("debug", "info", "warning", "error")


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
        lines = [escape(record.getMessage())]
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


def _barred(text: str) -> list[str]:
    return [f"| {escape(line)}" for line in text.split("\n")]
