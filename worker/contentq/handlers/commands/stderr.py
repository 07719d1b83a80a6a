"""Reads the standard error of a program: splits it into lines of limited length and number, and keeps the end."""

from __future__ import annotations

import time
from collections.abc import Callable

LINE_LENGTH = 2_000
"""Maximum length of a line, in characters; the rest is dropped."""

TAIL_LENGTH = 2_000
"""Length of the end that goes into an error message, in characters."""

LINES_PER_SECOND = 100
"""Lines logged per second; the rest is only counted."""

LOOKED_AT = 1_000
"""Lines of a piece that are processed, half at its beginning and half at its end; it may have 65,000."""

MARK = b"contentq:"
"""Prefix of a line that is for contentq and not for the log."""

_LINE_BYTES = 4 * LINE_LENGTH
_TAIL_BYTES = 4 * TAIL_LENGTH


class Lines:
    """Joins pieces into lines, and keeps the last lines.

    Drops blank lines, cuts long ones, and replaces control characters by spaces. take: called with each line that
    begins with MARK; returns whether it was for contentq, and so goes neither to the log nor to the tail. write:
    called with each other line to log. leave_out: called with the number of lines that were not logged.
    """

    def __init__(
        self, take: Callable[[str], bool], write: Callable[[str], None], leave_out: Callable[[int], None]
    ) -> None:
        self._take = take
        self._write = write
        self._leave_out = leave_out
        self._begun = bytearray()
        self._tail = b""
        self._second = time.monotonic()
        self._written = 0
        self._left_out = 0

    def feed(self, data: bytes) -> None:
        """Adds the next piece."""
        *complete, rest = data.split(b"\n")
        if len(complete) > LOOKED_AT:
            self._left_out += len(complete) - LOOKED_AT
            complete[LOOKED_AT // 2 : -LOOKED_AT // 2] = []
        for part in complete:
            self._add(part)
            self._end_line()
        self._add(rest)

    def end(self) -> str:
        """Ends an incomplete line, and returns the last lines."""
        self._end_line()
        self._tell_left_out()
        return "\n".join(filter(None, map(_text_of, self._tail.split(b"\n"))))[-TAIL_LENGTH:].strip()

    def _add(self, part: bytes) -> None:
        # One more than is kept, which shows that there was more.
        self._begun += part[: _LINE_BYTES + 1 - len(self._begun)]

    def _end_line(self) -> None:
        line = bytes(self._begun)
        self._begun.clear()
        if not line.strip() or (line.startswith(MARK) and self._take(_text_of(line))):
            return
        self._tail = (self._tail + line + b"\n")[-_TAIL_BYTES:]
        now = time.monotonic()
        if now - self._second >= 1:
            self._tell_left_out()
            self._second, self._written = now, 0
        if self._written < LINES_PER_SECOND:
            self._written += 1
            self._write(_text_of(line))
        else:
            self._left_out += 1

    def _tell_left_out(self) -> None:
        left_out, self._left_out = self._left_out, 0
        if left_out:
            self._leave_out(left_out)


def _text_of(line: bytes) -> str:
    text = line.decode("utf-8", "replace")
    if not text.isprintable():
        text = "".join(each if each.isprintable() else " " for each in text)
    text = text.rstrip()
    return text if len(text) <= LINE_LENGTH else text[:LINE_LENGTH] + " …"
