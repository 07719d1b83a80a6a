"""Numbers and texts of handlers, as PostgreSQL and its JSON can hold them."""

from __future__ import annotations

from decimal import Decimal
from numbers import Integral, Real

_DIGITS = 40
"""Digits up to which a whole Decimal becomes an int; beyond them a float will do."""


def as_number(value: object) -> int | float:
    """A number that JSON has for one of Python's or numpy's, such as a Decimal: a whole one exactly, others as
    floats. For json.dumps as its default, too. Raises TypeError for what is no number, ValueError for one that no
    float holds.
    """
    try:
        if isinstance(value, bool):
            raise TypeError("a truth value is no number")
        if isinstance(value, Decimal):
            if value.is_finite() and value.adjusted() < _DIGITS and value == value.to_integral_value():
                return int(value)
            return float(value)
        if isinstance(value, Integral):
            return int(value)
        if isinstance(value, Real):
            return float(value)
    except ArithmeticError as error:
        raise ValueError(f"no float holds a number of it: {error}") from None
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def as_text(text: str) -> str:
    """A text without what PostgreSQL cannot store, which is escaped instead."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")
