"""Parses server-sent events from the bytes of a stream, in linear time; the size of each event is limited."""

from __future__ import annotations

from typing import NamedTuple

_MARK_OF_UTF_8 = b"\xef\xbb\xbf"
_SPACES = b" \t\r\n"


class EventTooLarge(Exception):
    """An event, or a line of it, exceeds the maximum size."""


class Event(NamedTuple):
    """One event of a server."""

    data: bytes

    kind: str = "message"
    """`message`, or the value of the field `event`.

    `error` also for a separate line that begins with `error:`; `whole` for a body that is JSON and not a stream of
    events.
    """


class Events:
    """Parses events (https://html.spec.whatwg.org/multipage/server-sent-events.html); drops comments.

    Also accepts what some servers send instead: `error: …` as a line, a JSON line without a field name, and a body
    that is JSON from its first byte. most: the maximum size of an event, in bytes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._line = bytearray()
        self._data: bytearray | None = None
        self._kind = ""
        self._is_after_return = False
        self._is_whole: bool | None = None  # None until known

    def feed(self, piece: bytes) -> list[Event]:
        """Returns the events that end in the next piece of the stream. Raises EventTooLarge."""
        if self._is_whole is None:
            piece = piece.removeprefix(_MARK_OF_UTF_8).lstrip(_SPACES)
            self._is_whole = piece[:1] in (b"{", b"[") if piece else None
        if not piece:
            return []
        if self._is_whole:
            self._add(piece)
            return []
        if self._is_after_return:
            piece = piece.removeprefix(b"\n")
        self._is_after_return = piece.endswith(b"\r")
        *ended, rest = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        complete = []
        for part in ended:
            self._add(part)
            event = self._end_line()
            if event is not None:
                complete.append(event)
        self._add(rest)
        return complete

    def end(self) -> Event | None:
        """Returns the rest at the end of the stream: an event without a blank line after it, or a whole body."""
        if self._is_whole:
            return Event(bytes(self._line), "whole")
        event = self._end_line() if self._line else None
        return event or self._end_event()

    def _add(self, part: bytes) -> None:
        self._line += part
        if len(self._line) + len(self._data or b"") > self._most:
            raise EventTooLarge

    def _end_line(self) -> Event | None:
        """Adds a line; returns the event that it completes, if any."""
        line = bytes(self._line)
        self._line.clear()
        if not line:
            return self._end_event()
        if line.startswith(b"{"):
            return Event(line)
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"error":
            return Event(value, "error")
        if field == b"event":
            self._kind = value[:20].decode("ascii", "replace").strip()
        if field == b"data":
            if self._data is None:
                self._data = bytearray()
            else:
                self._data += b"\n"
            self._data += value
        return None

    def _end_event(self) -> Event | None:
        data, kind = self._data, self._kind
        self._data, self._kind = None, ""
        return None if data is None else Event(bytes(data), kind or "message")
