"""Waits for a condition with a time limit, instead of sleeping."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

INTERVAL = 0.01
"""Seconds between two checks."""


def eventually(condition: Callable[[], T | None], within: float = 10.0) -> T:
    """Calls condition until its result is true, and returns it.

    An AssertionError that it raises counts as "not yet". within: seconds. After them, the test fails with the
    condition's source and its last value or error.
    """
    give_up = time.monotonic() + within
    while True:
        outcome: object
        try:
            value = condition()
            if value:
                return value
            outcome = f"it was {value!r}"
        except AssertionError as error:
            outcome = f"it raised {error!r}"
        if time.monotonic() >= give_up:
            raise AssertionError(f"not within {within:g} seconds: {_source(condition)}; at last {outcome}")
        time.sleep(INTERVAL)


def _source(condition: Callable[..., object]) -> str:
    try:
        return " ".join(inspect.getsource(condition).split())
    except (OSError, TypeError):
        return getattr(condition, "__name__", repr(condition))
