"""What an attempt says that it has cost: the members of a result that are counted, and which values count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contentq.storable import as_number

MODEL = "model"

AMOUNTS = ("prompt_tokens", "completion_tokens", "cost")

MEMBERS = (MODEL, *AMOUNTS)
"""The names of all of them, in results, in errors and in what programs print."""

MOST = 10**12
"""The largest amount that the database counts (sql/functions/usage_amount.sql)."""


def is_amount(value: object) -> bool:
    """Whether a value counts as an amount, as contentq.usage_amount() judges: a number from 0 to a trillion.

    It may come from JSON or from Python, whatever its class.
    """
    try:
        return 0 <= as_number(value) <= MOST
    except Exception:  # of a class that is not ours
        return False


def split_usage(members: Mapping[Any, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The members that count, as they are, and those that were meant to and do not."""
    counted: dict[str, Any] = {}
    ignored: dict[str, Any] = {}
    for name in MEMBERS:
        value = members.get(name)
        if value is None or (name == MODEL and value == ""):
            continue
        counts = isinstance(value, str) if name == MODEL else is_amount(value)
        (counted if counts else ignored)[name] = value
    return counted, ignored


def counted_usage(said: object) -> dict[str, Any]:
    """What the database counts of what was said of tokens and cost: model, prompt_tokens, completion_tokens, cost.

    said: a result or a usage, from its JSON. Members that are no numbers, negative or too large are left out, as
    contentq.record_usage() does when it counts.
    """
    if not isinstance(said, Mapping):
        return {}
    counted, _ = split_usage(said)
    return {name: int(value) if name.endswith("_tokens") else value for name, value in counted.items()}
