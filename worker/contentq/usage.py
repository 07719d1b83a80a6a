"""Usage that an attempt reports: the members of a result that count, and which values count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contentq.storable import as_number

MODEL = "model"

AMOUNTS = ("prompt_tokens", "completion_tokens", "cost")

MEMBERS = (MODEL, *AMOUNTS)
"""Their names in results, in errors and in the output of programs."""

MOST = 10**12
"""The largest amount that the database counts (sql/functions/usage_amount.sql)."""


def is_amount(value: object) -> bool:
    """Whether a value counts as an amount, by the rule of contentq.usage_amount(): a number from 0 to 10**12.

    The value may come from JSON or from Python, and be of any class.
    """
    try:
        return 0 <= as_number(value) <= MOST
    except Exception:  # from the methods of a foreign class
        return False


def split_usage(members: Mapping[Any, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the members that count, unchanged, and those with these names that do not count."""
    counted: dict[str, Any] = {}
    ignored: dict[str, Any] = {}
    for name in MEMBERS:
        value = members.get(name)
        if value is None or (name == MODEL and value == ""):
            continue
        counts = isinstance(value, str) if name == MODEL else is_amount(value)
        (counted if counts else ignored)[name] = value
    return counted, ignored


def counted_usage(reported: object) -> dict[str, Any]:
    """Returns the usage that the database counts: model, prompt_tokens, completion_tokens, cost.

    reported: a result or a usage, from its JSON. Members that are not numbers, are negative, or are too large are
    omitted, as contentq.record_usage() does.
    """
    if not isinstance(reported, Mapping):
        return {}
    counted, _ = split_usage(reported)
    return {name: int(value) if name.endswith("_tokens") else value for name, value in counted.items()}
