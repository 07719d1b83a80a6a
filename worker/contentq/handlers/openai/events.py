"""Server-sent events out of the bytes of a stream, in time proportional to them, and each of a bounded size."""

from __future__ import annotations


class EventTooLarge(Exception):
    """A single event, or a line, has more bytes than an event may have."""


class Events:
    """Finds the data of events (https://html.spec.whatwg.org/multipage/server-sent-events.html), which is all that
    answers of models have; other fields, and comments, are dropped. most: bytes of an event.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._line = bytearray()
        self._data: bytearray | None = None
        self._is_after_return = False

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of the events that end in the next piece of the stream. Raises EventTooLarge."""
        if not piece:
            return []
        if self._is_after_return:
            piece = piece.removeprefix(b"\n")
        self._is_after_return = piece.endswith(b"\r")
        *ended, rest = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        complete = []
        for part in ended:
            self._add(part)
            data = self._end_line()
            if data is not None:
                complete.append(data)
        self._add(rest)
        return complete

    def _add(self, part: bytes) -> None:
        self._line += part
        if len(self._line) + len(self._data or b"") > self._most:
            raise EventTooLarge

    def _end_line(self) -> bytes | None:
        """Takes a line; the data of an event when the line is blank, and so the end of one."""
        line = bytes(self._line)
        self._line.clear()
        if not line:
            data, self._data = self._data, None
            return None if data is None else bytes(data)
        field, _, value = line.partition(b":")
        if field == b"data":
            if self._data is None:
                self._data = bytearray()
            else:
                self._data += b"\n"
            self._data += value.removeprefix(b" ")
        return None
