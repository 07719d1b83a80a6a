"""The parameter type of limits: a number, or none."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    _LimitType = click.ParamType[Decimal | None]
else:
    _LimitType = click.ParamType

NONE = "none"
"""The value that removes a limit."""


class Limit(_LimitType):
    """A click parameter type: a number from least to most, or none, which becomes None."""

    def __init__(self, name: str, most: int, *, least: int = 0, whole: bool = True) -> None:
        self.name = name
        self._least = least
        self._most = most
        self._whole = whole

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal | None:
        """Parses the text."""
        if value == NONE:
            return None
        try:
            number = Decimal(value)
            is_one = self._least <= number <= self._most and (not self._whole or number == int(number))
        except InvalidOperation:
            is_one = False
        if not is_one:
            kind = "a whole number" if self._whole else "a number"
            self.fail(f"{value!r} is neither {kind} from {self._least} to {self._most} nor {NONE}", param, ctx)
        return number
