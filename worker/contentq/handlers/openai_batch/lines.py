"""The lines of a batch's files: requests and answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NamedTuple

from contentq.handlers.openai_batch.caller import MISSING
from contentq.queue.batches import Line

ENDPOINT: Final = "/v1/chat/completions"
"""The endpoint of every request of a batch."""

NOT_DONE = frozenset({"batch_expired", "batch_cancelled"})
"""Codes of lines for requests that were not processed and go into another batch."""

LARGEST_LINE = 16_000_000
"""Maximum size of a line, in bytes."""


class Reply(NamedTuple):
    """A line of an answer: the task, the attempt that made the request, the status, and the body."""

    id: int
    attempt: int
    status: int
    body: Mapping[str, Any]


def request_line(line: Line) -> bytes:
    """A request as a line of the uploaded file."""
    head = json.dumps({"custom_id": f"{line.id}-{line.attempt}", "method": "POST", "url": ENDPOINT})
    return f'{head[:-1]}, "body": {line.body}}}\n'.encode("utf-8", "replace")


def names_of(line: bytes) -> tuple[int, int] | None:
    """The task and the attempt of a line; None if contentq did not create the line."""
    try:
        before, _, after = str(json.loads(line)["custom_id"]).partition("-")
        id_, attempt = int(before), int(after)
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return (id_, attempt) if 0 < id_ < 2**63 and 0 < attempt < 2**31 else None


def reply_of(line: bytes) -> Reply | None:
    """The answer in a line; None if there is none, or the request was not processed."""
    names = names_of(line)
    if names is None:
        return None
    found = json.loads(line)
    response, error = found.get("response"), found.get("error")
    if isinstance(response, dict):
        status, body = response.get("status_code"), response.get("body")
        if type(status) is int and isinstance(body, dict):
            return Reply(*names, status if 100 <= status <= 599 else MISSING, body)
    if isinstance(error, dict) and error.get("code") in NOT_DONE:
        return None
    return Reply(*names, MISSING, {"error": error or "neither an answer nor an error"})


async def lines_of(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The lines of a file that arrives in pieces; lines that are too large are skipped."""
    rest, is_too_large = bytearray(), False
    async for chunk in chunks:
        *ended, last = chunk.split(b"\n")
        for piece in ended:
            rest += piece
            if rest.strip() and not is_too_large and len(rest) <= LARGEST_LINE:
                yield bytes(rest)
            rest, is_too_large = bytearray(), False
        rest += last
        if len(rest) > LARGEST_LINE:
            rest, is_too_large = bytearray(), True
    if rest.strip() and not is_too_large:
        yield bytes(rest)
