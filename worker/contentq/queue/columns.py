"""What a producer may set of a task, and what each value must be; for messages about those that are refused.

PostgreSQL itself decides whether a value is accepted. These checks say what is wrong with one that was not, and
check the few values that options give before anything is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

LARGEST_INTEGER = 2_147_483_647

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
        return None if fits else f"is {_quoted(text)}; it must be a whole number {range_}"

    return problem


def _time(text: str) -> str | None:
    try:
        datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)
    except ValueError:
        return f"is {_quoted(text)}; it must be a time such as {_TIME_EXAMPLE}"
    return None


def _boolean(text: str) -> str | None:
    if text.strip().lower() in ("true", "t", "yes", "y", "on", "1", "false", "f", "no", "n", "off", "0"):
        return None
    return f"is {_quoted(text)}; it must be true or false"


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:39]}…")


PROBLEM: dict[str, Callable[[str], str | None]] = {
    "account_id": _integer(1, LARGEST_INTEGER),
    "topic": _text(500, "say what the task is about"),
    "keywords": _text(500),
    "category": _text(100),
    "requirements": _text(None),
    "tone": _text(50),
    "priority": _integer(1, 10),
    "max_retries": _integer(0, LARGEST_INTEGER),
    "submitted_at": _time,
    "scheduled_at": _time,
    "timeout_at": _time,
    "task_id": _text(100, "leave it out, and one is made"),
    "auto_approve": _boolean,
}
"""By column: what is wrong with a text as its value, None when nothing is (spec.md section 1)."""

COLUMNS = tuple(PROBLEM)
"""The columns that a producer may set."""

TIMES = tuple(name for name, problem in PROBLEM.items() if problem is _time)
"""Those that hold a time."""

BEGINS_WITH_A_YEAR = re.compile(r"\s*\d{4}").match
"""Quick to say of a time that it is none that depends on when it is read, such as tomorrow, or infinite."""
