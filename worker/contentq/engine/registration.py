"""The id under which the worker is registered, shared by the heartbeat's thread and the event loop."""

from __future__ import annotations

import asyncio


class Registration:
    """The current worker id; None between losing a registration and the next one.

    Used on the event loop only: the heartbeat passes changes with call_soon_threadsafe.
    """

    def __init__(self) -> None:
        self._worker_id: int | None = None
        self._registered = asyncio.Event()

    @property
    def worker_id(self) -> int | None:
        """The id, None while not registered."""
        return self._worker_id

    def begin(self, worker_id: int) -> None:
        """Sets the id."""
        self._worker_id = worker_id
        self._registered.set()

    def end(self, worker_id: int) -> None:
        """Removes this id, unless there is a newer one."""
        if self._worker_id == worker_id:
            self._worker_id = None
            self._registered.clear()

    async def wait(self) -> int:
        """Waits for an id, and returns it."""
        while self._worker_id is None:
            await self._registered.wait()
        return self._worker_id
