"""A TCP proxy on the loopback interface that can cut, stall and refuse connections between worker and database."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from types import TracebackType

from psycopg.conninfo import make_conninfo

CHUNK = 65536


class Proxy:
    """Forwards connections to a local port.

    As a context manager, it runs on a separate event loop in a thread. delay: latency in seconds in each
    direction.
    """

    def __init__(self, target_port: int, *, delay: float = 0.0) -> None:
        self._target_port = target_port
        self._delay = delay
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._passing = asyncio.Event()
        self._passing.set()
        self._connected: list[asyncio.Event] = []
        self._refusing = False
        self.port = 0

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop
        ).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._shut_down(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def dsn(self, direct: str) -> str:
        """The DSN through this proxy to the target of the direct DSN."""
        return make_conninfo(direct, host="127.0.0.1", port=self.port)

    def cut(self) -> None:
        """Closes every connection."""
        self._loop.call_soon_threadsafe(self._cut)

    def stall(self) -> None:
        """Stops forwarding: connections stay open and silent, as if the peer had vanished."""
        self._loop.call_soon_threadsafe(self._passing.clear)

    def strand(self) -> None:
        """Stops forwarding on existing connections forever, without closing them; new connections work."""

        def strand() -> None:
            for alive in self._connected:
                alive.clear()
            self._connected.clear()

        self._loop.call_soon_threadsafe(strand)

    def resume(self) -> None:
        """Resumes forwarding, starting with the stalled data, and accepts connections again."""

        def resume() -> None:
            self._refusing = False
            self._passing.set()

        self._loop.call_soon_threadsafe(resume)

    def refuse(self) -> None:
        """Closes every connection, and each new one immediately."""

        def refuse() -> None:
            self._refusing = True
            self._cut()

        self._loop.call_soon_threadsafe(refuse)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        try:
            alive = asyncio.Event()
            alive.set()
            self._connected.append(alive)
            await asyncio.gather(self._pump(reader, far_writer, alive), self._pump(far_reader, writer, alive))
        except asyncio.CancelledError:
            pass  # at the end of the proxy; asyncio would report a cancelled connection
        finally:
            for each in (writer, far_writer):
                self._writers.discard(each)
                each.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, alive: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await alive.wait()
                await self._passing.wait()
                if self._delay:
                    self._loop.call_later(self._delay, writer.write, data)
                    continue
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    def _cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _shut_down(self) -> None:
        self._server.close()
        self._passing.set()
        self._cut()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
