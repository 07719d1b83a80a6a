"""Limits the bytes read of an answer: protects from endless bodies and from compressed ones.

The client reads the whole body of an error and decompresses it, up to a thousand times its size. Therefore the
bytes are counted before the client processes them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from contentq.handlers.openai.settings import OpenAISettings

ERROR_BYTES = 64_000
"""Bytes read of the body of an error; the rest is dropped."""

EVENT_ROOM = 100_000
"""Bytes of one event in addition to the text of the answer, which may arrive in one event."""

STREAM_ROOM = 64_000_000
"""Bytes of a stream in addition to the text of the answer: for reasoning."""

SHORTEST_PIECE = 500
"""Minimum number of bytes that a piece counts for, because its framing and processing cost more than its text."""

BYTES_PER_CHARACTER = 250
"""Bytes that a server may use for one character: many send each token as a separate event."""


class StreamTooLarge(Exception):
    """A stream exceeds its limit."""


class Compressed(Exception):
    """An answer is compressed although this was not requested."""


def event_limit(settings: OpenAISettings) -> int:
    """Maximum size of one event, in bytes."""
    return EVENT_ROOM + 2 * settings.max_characters


def stream_limit(settings: OpenAISettings) -> int:
    """Maximum size of an answer, in bytes."""
    return STREAM_ROOM + BYTES_PER_CHARACTER * settings.max_characters


def bounding(http: Any, most: int) -> Callable[[Any], Awaitable[None]]:
    """Returns a hook for the answers of a client of this library (httpx or httpx2).

    Of an error, ERROR_BYTES are read; then the body ends. Any other body raises StreamTooLarge after `most` bytes.
    A compressed body is not read: it raises Compressed. If it is an error, whose status matters, a note replaces
    it.
    """

    class Bounded(http.AsyncByteStream):  # type: ignore[misc]  # from a library chosen at run time
        """A body that ends, or raises, at its limit."""

        def __init__(self, body: Any, *, is_error: bool, encoding: str) -> None:
            self._body = body
            self._is_error = is_error
            self._encoding = encoding

        async def __aiter__(self) -> AsyncIterator[bytes]:
            if self._encoding and self._is_error:
                yield f"its message is compressed ({self._encoding}), and was not read".encode()
                return
            if self._encoding:
                raise Compressed(f"it is compressed ({self._encoding}), although it was asked not to be")
            left = ERROR_BYTES if self._is_error else most
            async for piece in self._body:
                if max(len(piece), SHORTEST_PIECE) > left and not self._is_error:
                    raise StreamTooLarge(f"more than {most:,} bytes, and no end")
                yield piece[:left]
                left -= max(len(piece), SHORTEST_PIECE)
                if left <= 0 and self._is_error:
                    return

        async def aclose(self) -> None:
            await self._body.aclose()

    async def bound(response: Any) -> None:
        encoding = ", ".join(response.headers.get_list("content-encoding", split_commas=True)).lower()
        response.stream = Bounded(
            response.stream,
            is_error=not response.is_success,
            encoding="" if encoding == "identity" else encoding[:50],
        )
        response.headers.pop("content-encoding", None)
        # Python's codecs for a charset also decompress (charset=bz2); all expected bodies are UTF-8.
        response.headers["content-type"] = response.headers.get("content-type", "").partition(";")[0].strip()

    return bound
