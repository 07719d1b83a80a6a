"""Answers of the test provider as a stream of events."""

from __future__ import annotations

import asyncio
import json
import time
from email.utils import formatdate
from typing import Any

REPEAT = "repeat:"
"""The prefix of Rule.spoiled for a repeated line."""

REPEAT_INTERVAL = 0.05
"""Seconds between two repetitions."""


class Chunks:
    """Writes the chunks of one answer."""

    def __init__(self, writer: asyncio.StreamWriter, model: str) -> None:
        self._writer = writer
        self._model = model

    def begin(self, headers: dict[str, str]) -> None:
        """The head, and the piece with the role."""
        sent = {"content-type": "text/event-stream", "transfer-encoding": "chunked", **headers}
        self._writer.write(head(200, sent))
        self.say({"role": "assistant", "content": ""})

    def say(self, delta: dict[str, Any], finish_reason: str | None = None) -> None:
        """A piece of the answer."""
        self._event([{"index": 0, "delta": delta, "finish_reason": finish_reason}])

    def count(self, prompt: int, completion: int) -> None:
        """The last piece, with the token counts."""
        total = prompt + completion
        usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
        self._event([], usage)

    def end(self) -> None:
        """The end of the stream."""
        self._data("[DONE]")
        self._writer.write(b"0\r\n\r\n")

    async def spoil(self, how: str) -> None:
        """Continues as Rule.spoiled specifies."""
        if how == "cut":
            await self._writer.drain()
            raise ConnectionAbortedError
        if how == "hang":
            await asyncio.Event().wait()
        if how.startswith(REPEAT):
            await repeat(self._writer, how)
        if how != "end":
            self._data(how)
        self._writer.write(b"0\r\n\r\n")

    def _event(self, choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> None:
        chunk = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": self._model,
            "choices": choices,
            "usage": usage,
        }
        self._data(json.dumps(chunk))

    def _data(self, text: str) -> None:
        event = f"data: {text}\n\n".encode()
        self._writer.write(b"%x\r\n%s\r\n" % (len(event), event))


async def repeat(writer: asyncio.StreamWriter, how: str) -> None:
    """Repeats the line until the caller closes the connection."""
    line = f"{how.removeprefix(REPEAT)}\n\n".encode()
    while True:
        writer.write(b"%x\r\n%s\r\n" % (len(line), line))
        await writer.drain()
        await asyncio.sleep(REPEAT_INTERVAL)


def head(status: int, headers: dict[str, str]) -> bytes:
    """The status line and the headers of an answer."""
    lines = {"date": formatdate(usegmt=True), **headers}
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Said\r\n{text}\r\n".encode("latin-1")
