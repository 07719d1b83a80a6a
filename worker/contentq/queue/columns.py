"""Checks of the values that a producer may set, for messages about refused ones.

PostgreSQL decides whether a value is accepted. These checks explain a refusal, and check the few values of options
before any file is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from contentq.task import LARGEST_INTEGER, SETTABLE, Column

_TIME_EXAMPLE = "2030-01-31T12:00:00+00:00 (without an offset: UTC)"


def _text(most: int | None, when_empty: str | None = None) -> Callable[[str], str | None]:
    def problem(text: str) -> str | None:
        if not text and when_empty:
            return f"is empty; {when_empty}"
        if most is None or len(text) <= most:
            return None
        return f"has {len(text)} characters; at most {most} fit"

    return problem


def _integer(least: int, most: int) -> Callable[[str], str | None]:
    range_ = f"from {least} to {most}" if most < LARGEST_INTEGER else f"of {least} or more"

    def problem(text: str) -> str | None:
        try:
            fits = least <= int(text) <= most
        except ValueError:
            fits = False
        return None if fits else f"is {_quote(text)}; it must be a whole number {range_}"

    return problem


def _time(text: str) -> str | None:
    try:
        datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)
    except ValueError:
        return f"is {_quote(text)}; it must be a time such as {_TIME_EXAMPLE}"
    return None


def _boolean(text: str) -> str | None:
    if text.strip().lower() in ("true", "t", "yes", "y", "on", "1", "false", "f", "no", "n", "off", "0"):
        return None
    return f"is {_quote(text)}; it must be true or false"


def _quote(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:39]}…")


def _check_of(column: Column) -> Callable[[str], str | None]:
    if column.is_time:
        return _time
    if column.type == "boolean":
        return _boolean
    if column.least is not None and column.most is not None:
        return _integer(column.least, column.most)
    return _text(column.length, column.when_empty)


PROBLEM: dict[str, Callable[[str], str | None]] = {column.name: _check_of(column) for column in SETTABLE}
"""By column: a function that returns the problem with a text as its value, or None."""

NAMES = tuple(PROBLEM)
"""The columns that a producer may set."""

TIMES = tuple(column.name for column in SETTABLE if column.is_time)
"""The columns of times."""

BEGINS_WITH_A_YEAR = re.compile(r"\s*\d{4}").match
"""Cheap check that a time is absolute, not `tomorrow` or `infinity`."""
