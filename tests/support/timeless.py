"""An event loop on which time passes only where something waits for it: waiting takes no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.SelectSelector):
    """Moves the time of its loop forward in place of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("nothing will ever happen")
        ready = super().select(0)
        if not ready:
            self.now += timeout
        return ready


class TimelessLoop(asyncio.SelectorEventLoop):
    """Its time begins at 0. What waits for something outside of the loop, and not for a time, is an error."""

    def __init__(self) -> None:
        self._own = _Selector()
        super().__init__(self._own)

    def time(self) -> float:
        """Seconds that were waited for."""
        return self._own.now


def run(coroutine: Coroutine[Any, Any, T], loop: TimelessLoop) -> tuple[T, float]:
    """What it returns, and how many seconds that took."""
    began = loop.time()
    return loop.run_until_complete(coroutine), loop.time() - began
