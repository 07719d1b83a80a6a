"""Threads for plain handlers: one for each slot, as daemons.

concurrent.futures joins its threads when the interpreter exits, so a handler that never returns would keep a
stopped worker alive.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

log = logging.getLogger("contentq.worker")

_Call = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class HandlerThreads:
    """Runs functions in threads, at most `size` at once. Used from one event loop."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._started = 0
        self._unfinished = 0
        self._loop = asyncio.get_running_loop()

    def run(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        """Starts the function as soon as a thread is free. The future gets its result or error."""
        if self._started < min(self._size, self._unfinished + 1):
            thread = threading.Thread(target=self._work, name=f"contentq-handler-{self._started + 1}", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                # The system starts no more threads; the existing ones will run it.
                if self._started == 0:
                    raise
                log.warning("cannot start more threads running=%d slots=%d", self._started, self._size)
            else:
                self._started += 1
        future: asyncio.Future[Any] = self._loop.create_future()
        self._unfinished += 1
        future.add_done_callback(self._count_down)
        self._calls.put((function, future))
        return future

    def close(self) -> None:
        """Ends the threads when they have no more work."""
        for _ in range(self._started):
            self._calls.put(None)

    def _count_down(self, _future: asyncio.Future[Any]) -> None:
        self._unfinished -= 1

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            function, future = call
            try:
                settle, value = future.set_result, function()
            except BaseException as error:
                settle, value = future.set_exception, _without_stop_iteration(error)
            try:
                self._loop.call_soon_threadsafe(_settle, future, settle, value)
            except RuntimeError:
                return  # the worker did not wait for this thread


def _settle(future: asyncio.Future[Any], settle: Callable[[Any], None], value: Any) -> None:
    if not future.done():
        settle(value)


def _without_stop_iteration(error: BaseException) -> BaseException:
    """Wraps StopIteration, which a function may raise but a future refuses."""
    if isinstance(error, StopIteration):
        replaced = RuntimeError(f"StopIteration: {error.value!r}")
        replaced.__cause__ = error
        return replaced
    return error
