"""The cost of an attempt, in words."""

from __future__ import annotations

import json
from decimal import Decimal

from contentq.usage import counted_usage

_LEAST_SHOWN = Decimal("1e-12")
"""Smaller costs are shown as 0; written out, 1e-100000 would fill the screen."""


def usage_in_words(result: str | None) -> str | None:
    """Formats the model, tokens and cost in a result on one line; None if it has neither tokens nor a cost.

    result: the stored JSON.
    """
    try:
        found = counted_usage(json.loads(result or "null", parse_float=Decimal))
    except (ValueError, RecursionError):
        return None
    counts = [
        f"{_number(found[name])} {noun}"
        for name, noun in (("prompt_tokens", "tokens in"), ("completion_tokens", "tokens out"))
        if name in found
    ]
    if "cost" in found:
        counts.append(f"cost {_number(found['cost'])}")
    if not counts:
        return None
    return ", ".join([found["model"], *counts] if "model" in found else counts)


def _number(value: int | Decimal) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,f}" if value >= _LEAST_SHOWN else "0"
