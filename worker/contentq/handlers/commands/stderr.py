"""What a program writes to standard error: line by line, however long, and the last of it."""

from __future__ import annotations

from collections.abc import Callable

LINE_LENGTH = 2_000
"""Characters of a line that are kept; the rest of it is left out."""

TAIL_LENGTH = 2_000
"""Characters of the end that go into the message of an error."""

_LINE_BYTES = 4 * LINE_LENGTH


class Lines:
    """Puts lines together from pieces, and keeps the last of them; a long one is cut, so that memory is bounded.

    heard: called with each line that is not blank, without control characters; whether it is for the tail, too.
    """

    def __init__(self, heard: Callable[[str], bool]) -> None:
        self._heard = heard
        self._begun = bytearray()
        self._tail = ""

    def feed(self, data: bytes) -> None:
        """Takes the next piece."""
        *complete, rest = data.split(b"\n")
        for part in complete:
            self._add(part)
            self._end_line()
        self._add(rest)

    def tail(self) -> str:
        """The last that was written; ends a line that has no end yet."""
        self._end_line()
        return self._tail.strip()

    def _add(self, part: bytes) -> None:
        # One more than is kept, which shows that there was more.
        self._begun += part[: _LINE_BYTES + 1 - len(self._begun)]

    def _end_line(self) -> None:
        text = self._begun.decode("utf-8", "replace")
        self._begun.clear()
        text = "".join(each if each.isprintable() else " " for each in text).rstrip()
        if len(text) > LINE_LENGTH:
            text = text[:LINE_LENGTH] + " …"
        if text and self._heard(text):
            self._tail = f"{self._tail}{text}\n"[-TAIL_LENGTH:]
