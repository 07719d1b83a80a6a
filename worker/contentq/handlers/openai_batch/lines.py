"""The lines of a batch's files: requests and answers."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NamedTuple

from contentq.handlers.openai.limits import event_limit
from contentq.handlers.openai.settings import OpenAISettings
from contentq.handlers.openai_batch.caller import MISSING, TOO_LARGE
from contentq.queue.batches import Line

ENDPOINT: Final = "/v1/chat/completions"
"""The endpoint of every request of a batch."""

NOT_DONE = frozenset({"batch_expired", "batch_cancelled"})
"""Codes of lines for requests that were not processed and go into another batch."""

START = 1_000
"""Bytes that are kept of a line that is too large: they name its request."""

_CUSTOM_ID = re.compile(rb'"custom_id"\s{0,10}:\s{0,10}"(\d{1,19}-\d{1,10})"')


class FileLine(NamedTuple):
    """A line of a file. is_whole: false for the start of a line that is too large."""

    text: bytes
    is_whole: bool = True


class Reply(NamedTuple):
    """A line of an answer: the task, the attempt that made the request, the status, and the body."""

    id: int
    attempt: int
    status: int
    body: Mapping[str, Any]


def line_limit(settings: OpenAISettings) -> int:
    """Maximum size of a line, in bytes: that of a direct call's answer that arrives in one piece."""
    return event_limit(settings)


def request_line(line: Line) -> bytes:
    """A request as a line of the uploaded file."""
    head = json.dumps({"custom_id": f"{line.id}-{line.attempt}", "method": "POST", "url": ENDPOINT})
    return f'{head[:-1]}, "body": {line.body}}}\n'.encode("utf-8", "replace")


def names_of(line: FileLine) -> tuple[int, int] | None:
    """The task and the attempt of a line; None if contentq did not create the line."""
    return _names(_object(line.text)) if line.is_whole else _names_at_start(line.text)


def reply_of(line: FileLine) -> Reply | None:
    """The answer in a line; None if there is none, or the request was not processed."""
    if not line.is_whole:
        names = _names_at_start(line.text)
        return None if names is None else Reply(*names, TOO_LARGE, {})
    found = _object(line.text)
    names = _names(found)
    if names is None:
        return None
    response, error = found.get("response"), found.get("error")
    if isinstance(response, dict):
        status, body = response.get("status_code"), response.get("body")
        if type(status) is int and isinstance(body, dict):
            return Reply(*names, status if 100 <= status <= 599 else MISSING, body)
    if isinstance(error, dict) and error.get("code") in NOT_DONE:
        return None
    return Reply(*names, MISSING, {"error": error or "neither an answer nor an error"})


async def lines_of(chunks: AsyncIterator[bytes], largest: int) -> AsyncIterator[FileLine]:
    """The lines of a file that arrives in pieces; only the start of lines of more than `largest` bytes."""
    rest, is_whole = bytearray(), True
    async for chunk in chunks:
        *ended, last = chunk.split(b"\n")
        for piece in ended:
            is_whole = _add(rest, piece, largest) if is_whole else False
            text, was_whole = bytes(rest), is_whole
            rest, is_whole = bytearray(), True
            if text and not text.isspace():
                yield FileLine(text, was_whole)
        is_whole = _add(rest, last, largest) if is_whole else False
    if rest and not rest.isspace():
        yield FileLine(bytes(rest), is_whole)


def _add(line: bytearray, piece: bytes, largest: int) -> bool:
    """Adds to a line. Returns false, and keeps its start, if it is too large."""
    line += piece
    if len(line) <= largest:
        return True
    del line[START:]
    return False


def _object(line: bytes) -> dict[str, Any]:
    """The JSON object in a line; empty if there is none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _names(found: Mapping[str, Any]) -> tuple[int, int] | None:
    named = found.get("custom_id")
    return _read_names(named) if isinstance(named, str) else None


def _names_at_start(start: bytes) -> tuple[int, int] | None:
    found = _CUSTOM_ID.search(start)
    return None if found is None else _read_names(found[1].decode("ascii"))


def _read_names(named: str) -> tuple[int, int] | None:
    before, _, after = named.partition("-")
    try:
        id_, attempt = int(before), int(after)
    except ValueError:
        return None
    return (id_, attempt) if 0 < id_ < 2**63 and 0 < attempt < 2**31 else None
