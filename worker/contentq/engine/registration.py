"""Under which id the worker is registered now, shared between the heartbeat's thread and the event loop."""

from __future__ import annotations

import asyncio


class Registration:
    """The current worker id; there is none between being given up and being registered anew.

    Used on the event loop only: the heartbeat hands its news over with call_soon_threadsafe.
    """

    def __init__(self) -> None:
        self._worker_id: int | None = None
        self._registered = asyncio.Event()

    @property
    def worker_id(self) -> int | None:
        """The id, None while not registered."""
        return self._worker_id

    def begin(self, worker_id: int) -> None:
        """The worker is registered under this id."""
        self._worker_id = worker_id
        self._registered.set()

    def end(self, worker_id: int) -> None:
        """The database has given this id up; nothing happens if there is a newer one already."""
        if self._worker_id == worker_id:
            self._worker_id = None
            self._registered.clear()

    async def wait(self) -> int:
        """The id, as soon as there is one."""
        while self._worker_id is None:
            await self._registered.wait()
        return self._worker_id
