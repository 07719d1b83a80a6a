"""Converts numbers and texts of handlers to values that PostgreSQL and its JSON can store."""

from __future__ import annotations

from decimal import Decimal
from numbers import Integral, Real

_DIGITS = 40
"""Whole Decimals up to this number of digits become an int; longer ones become a float."""


def as_number(value: object) -> int | float:
    """Converts a number of Python or numpy, such as a Decimal, to a JSON number: whole numbers exactly, others to
    a float. Can be the default of json.dumps. Raises TypeError if it is not a number, ValueError if it does not
    fit into a float.
    """
    try:
        if isinstance(value, bool):
            raise TypeError("a truth value is not a number")
        if isinstance(value, Decimal):
            if value.is_finite() and value.adjusted() < _DIGITS and value == value.to_integral_value():
                return int(value)
            return float(value)
        if isinstance(value, Integral):
            return int(value)
        if isinstance(value, Real):
            return float(value)
    except ArithmeticError as error:
        raise ValueError(f"the number does not fit into a float: {error}") from None
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def as_text(text: str) -> str:
    """Escapes the characters of a text that PostgreSQL cannot store."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")
