"""Durations as people write them: 90s, 10m, 2h, 30d."""

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
"""A thousand years: what is so far from now is a time that everything can hold."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


class Duration(_DurationType):
    """A click parameter type; its values are timedeltas."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Parses the text."""
        if isinstance(value, timedelta):
            return value
        parts = _PART.findall(value)
        if not parts or "".join(number + unit for number, unit in parts) != value:
            self.fail(f"{value!r} is not a duration; write for instance 90s, 10m, 2h, 30d or 1h30m", param, ctx)
        try:
            duration = sum((timedelta(**{_UNITS[unit]: float(number)}) for number, unit in parts), timedelta(0))
        except OverflowError:
            duration = timedelta.max
        if duration > LONGEST:
            self.fail(f"{value!r} is too long; at most {LONGEST.days}d", param, ctx)
        return duration


DURATION = Duration()
