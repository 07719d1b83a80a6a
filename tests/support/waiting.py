"""Waiting for something to become true, with a bound, instead of sleeping and hoping."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

INTERVAL = 0.01
"""Seconds between two looks."""


def eventually(condition: Callable[[], T | None], within: float = 10.0) -> T:
    """Calls condition until what it returns is true, and returns that.

    An AssertionError that it raises counts as "not yet". within: seconds; after them the test fails with the
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
