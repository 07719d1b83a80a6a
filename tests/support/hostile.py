"""A malicious server: it answers with certain bytes and repeats the last part endlessly."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

WRITTEN = 65_536
"""Minimum bytes per write."""


@contextmanager
def sending(first: bytes, again: bytes = b"") -> Iterator[str]:
    """Serves until the end of the block; yields the address.

    again: sent repeatedly after `first`. Without it, the connection is closed.
    """
    loop = asyncio.new_event_loop()
    flood = again * (1 + WRITTEN // len(again)) if again else b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            # Closing a connection with unread bytes resets it, and the client may lose the answer.
            await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0))
            writer.write(first)
            await writer.drain()
            while flood:
                writer.write(flood)
                await writer.drain()
        writer.close()

    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, name="hostile")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
