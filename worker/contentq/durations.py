"""The parameter type of durations: 90s, 10m, 2h, 30d."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    _DurationType = click.ParamType[timedelta]
else:
    _DurationType = click.ParamType

LONGEST = timedelta(days=365_000)
"""A thousand years; a time this far from now still fits into every type of time."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


class Duration(_DurationType):
    """A click parameter type; its values are timedeltas.

    plain_seconds: accept a number without a unit as seconds. at_least: the shortest accepted duration.
    """

    name = "duration"

    def __init__(self, *, plain_seconds: bool = False, at_least: timedelta = timedelta(0)) -> None:
        self._plain_seconds = plain_seconds
        self._at_least = at_least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Parses the text."""
        if isinstance(value, timedelta):
            return value
        given, value = value, f"{value}s" if self._plain_seconds and _NUMBER.fullmatch(value) else value
        parts = _PART.findall(value)
        if not parts or "".join(number + unit for number, unit in parts) != value:
            self.fail(f"{given!r} is not a duration; use for example 90s, 10m, 2h, 30d or 1h30m", param, ctx)
        try:
            duration = sum((timedelta(**{_UNITS[unit]: float(number)}) for number, unit in parts), timedelta(0))
        except OverflowError:
            duration = timedelta.max
        if duration > LONGEST:
            self.fail(f"{given!r} is too long; the maximum is {LONGEST.days}d", param, ctx)
        if duration < self._at_least:
            self.fail(f"{given!r} is too short; the minimum is {self._at_least.total_seconds():g}s", param, ctx)
        return duration


DURATION = Duration()
