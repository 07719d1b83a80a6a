"""An event loop with simulated time: time advances only when something waits for it, without delay."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.SelectSelector):
    """Advances the time of its loop instead of waiting."""

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
    """Its time starts at 0. Waiting for something outside the loop, other than a time, is an error."""

    def __init__(self) -> None:
        self._own = _Selector()
        super().__init__(self._own)

    def time(self) -> float:
        """Total seconds waited."""
        return self._own.now


def run(coroutine: Coroutine[Any, Any, T], loop: TimelessLoop) -> tuple[T, float]:
    """The result, and the simulated seconds it took."""
    began = loop.time()
    return loop.run_until_complete(coroutine), loop.time() - began
