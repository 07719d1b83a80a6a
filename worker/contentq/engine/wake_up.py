"""Puts an idle worker to sleep, and wakes it."""

from __future__ import annotations

import asyncio


class WakeUp:
    """Lets one coroutine sleep until there may be something to claim. Used on one event loop."""

    def __init__(self) -> None:
        self._is_signalled = False
        self._sleeping: asyncio.Future[None] | None = None

    @property
    def is_signalled(self) -> bool:
        """Whether there was a signal since clear()."""
        return self._is_signalled

    @property
    def is_sleeping(self) -> bool:
        """Whether a coroutine sleeps."""
        return self._sleeping is not None

    def signal(self) -> None:
        """Ends the sleep in progress, or the next one."""
        self._is_signalled = True
        self._end_sleep()

    def clear(self) -> None:
        """Clears the signals so far, before the claim that covers them."""
        self._is_signalled = False

    async def sleep(self, seconds: float) -> None:
        """Sleeps this long or until there is a signal, without further asyncio tasks."""
        if self._is_signalled:
            return
        self._sleeping = sleeping = asyncio.get_running_loop().create_future()
        timer = sleeping.get_loop().call_later(seconds, self._end_sleep)
        try:
            await sleeping
        finally:
            timer.cancel()
            self._sleeping = None

    def _end_sleep(self) -> None:
        if self._sleeping is not None and not self._sleeping.done():
            self._sleeping.set_result(None)
