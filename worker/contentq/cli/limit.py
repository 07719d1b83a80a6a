"""A limit on the command line: a number, or none."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    _LimitType = click.ParamType[Decimal | None]
else:
    _LimitType = click.ParamType

NONE = "none"
"""How a limit is taken away."""


class Limit(_LimitType):
    """A click parameter type: a number from least to most, or none, whose value is None."""

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


def given_of(ctx: click.Context, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the options that were given, also as none."""
    unsaid = click.core.ParameterSource.DEFAULT
    return {name: value for name, value in values.items() if ctx.get_parameter_source(name) is not unsaid}


def limits_text(limits: Mapping[str, Any]) -> str:
    """Limits in a sentence."""
    return ", ".join(f"{name} {NONE if value is None else value}" for name, value in limits.items())
