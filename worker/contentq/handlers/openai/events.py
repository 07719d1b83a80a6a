"""Server-sent events out of the bytes of a stream, in time proportional to them, and each of a bounded size."""

from __future__ import annotations

from typing import NamedTuple

_MARK_OF_UTF_8 = b"\xef\xbb\xbf"
_SPACES = b" \t\r\n"


class EventTooLarge(Exception):
    """A single event, or a line, has more bytes than an event may have."""


class Event(NamedTuple):
    """What a server has sent as one."""

    data: bytes

    kind: str = "message"
    """`message`, or what the field `event` has said; `error` also for a line of its own that begins with `error:`;
    `whole` for a body that is no stream of events, but JSON."""


class Events:
    """Finds events (https://html.spec.whatwg.org/multipage/server-sent-events.html); comments are dropped.

    Beyond that standard it takes what servers send in its place: `error: …` as a line, a line that is JSON without
    a field before it, and a body that is JSON from its first byte. most: bytes of an event.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._line = bytearray()
        self._data: bytearray | None = None
        self._kind = ""
        self._is_after_return = False
        self._is_whole: bool | None = None  # None until it is known

    def feed(self, piece: bytes) -> list[Event]:
        """The events that end in the next piece of the stream. Raises EventTooLarge."""
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
        """What is left at the end of the stream: an event without a blank line after it, or all that there was."""
        if self._is_whole:
            return Event(bytes(self._line), "whole")
        event = self._end_line() if self._line else None
        return event or self._end_event()

    def _add(self, part: bytes) -> None:
        self._line += part
        if len(self._line) + len(self._data or b"") > self._most:
            raise EventTooLarge

    def _end_line(self) -> Event | None:
        """Takes a line; the event that it is, or the end of one when it is blank."""
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
