"""Reads an answer from the bytes of a body: a stream of events with pieces, or JSON as a whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from contentq.handlers.openai.events import Event, Events
from contentq.handlers.openai.limits import event_limit
from contentq.handlers.openai.settings import OpenAISettings
from contentq.handlers.openai.stream import MalformedAnswer, Received

DONE = b"[DONE]"
"""The data of the event that ends a stream."""


class ErrorInAnswer(Exception):
    """The server sent an error in place of a piece of the answer. said: the error as sent."""

    def __init__(self, said: Any) -> None:
        super().__init__("an error in place of a piece")
        self.said = said


class Reader:
    """Parses the bytes of a body as they arrive, and adds their content to `received`.

    feed() and end() raise EventTooLarge, MalformedAnswer, AnswerTooLarge and ErrorInAnswer; ValueError for invalid
    JSON, and RecursionError for JSON that is nested too deeply.
    """

    def __init__(self, settings: OpenAISettings, received: Received) -> None:
        self._events = Events(event_limit(settings))
        self._received = received
        self.is_done = False
        """Whether the server marked the end."""

    def feed(self, piece: bytes) -> None:
        """Parses the next piece of the body."""
        for event in self._events.feed(piece):
            if self.is_done:
                return
            self._take(event)

    def end(self, content_type: str = "") -> None:
        """Handles the end of the body. Raises MalformedAnswer if the answer has not ended."""
        last = None if self.is_done else self._events.end()
        if last is not None and last.kind == "whole":
            self.take_whole(_json_of_whole(last.data))
        elif last is not None:
            try:
                json.loads(last.data)
            except (ValueError, RecursionError):
                # A truncated piece, unless it is the end mark: some servers omit the blank line after it.
                self.is_done = self.is_done or last.data.startswith(DONE)
            else:
                self._take(last)
        if self.is_done:
            self._received.end()
        if not self._received.is_complete:
            raise MalformedAnswer(self._describe_unfinished(content_type), is_cut=self._received.progress > 0)

    def _take(self, event: Event) -> None:
        data = event.data.strip()
        # Some servers send comments as data, or events without data, to keep the connection open.
        if not data or data.startswith(b":"):
            return
        if data.startswith(DONE):
            self.is_done = True
            self._received.end()
            return
        if event.kind == "error":
            raise ErrorInAnswer(_json_or_text(data))
        self._take_json(json.loads(data.decode()))

    def _take_json(self, chunk: Any) -> None:
        error = _error_in(chunk)
        if error is not None:
            self._received.count(chunk)
            raise ErrorInAnswer(error)
        self._received.take(chunk)

    def take_whole(self, said: Any) -> None:
        """Handles a JSON body: an answer, an error, or a list of them. Raises as feed()."""
        several = said if isinstance(said, list) else [said]
        for each in several:
            error = _error_in(each)
            if error is None and isinstance(each, Mapping) and "choices" not in each:
                error = each
            if error is not None:
                self._received.count(each)
                raise ErrorInAnswer(error)
            self._received.take(each)
        if not isinstance(said, list) and _is_message(said):
            self._received.end()

    def _describe_unfinished(self, content_type: str) -> str:
        if self._received.characters:
            return f"the stream ended after {self._received.characters:,} characters, before the answer did"
        if content_type and not content_type.startswith("text/event-stream"):
            return f"{content_type} instead of a stream; the base URL usually ends with /v1"
        return "the stream ended before any text came"


def _error_in(chunk: Any) -> Any:
    """The error in place of a piece; None if there is none."""
    if not isinstance(chunk, Mapping):
        return None
    if chunk.get("error"):
        return chunk["error"]
    return chunk if "error" in (chunk.get("object"), chunk.get("type")) else None


def _json_of_whole(body: bytes) -> Any:
    """The JSON of a body: one value, or one per line."""
    try:
        return json.loads(body.decode())
    except ValueError:
        lines = body.split(b"\n")
        if not lines[1:]:
            raise
        return [json.loads(line.decode()) for line in lines if line.strip()]


def _is_message(said: Mapping[str, Any]) -> bool:
    """Whether this is a whole answer, not a single piece of one."""
    choices = said.get("choices")
    return isinstance(choices, list) and bool(choices) and "message" in choices[0]


def _json_or_text(data: bytes) -> Any:
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return data.decode("utf-8", "replace")
    return _error_in(said) or said
