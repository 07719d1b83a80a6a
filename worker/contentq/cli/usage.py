"""What an attempt has cost, as far as the database counts it, and in words."""

from __future__ import annotations

import json
from decimal import Decimal

from contentq.usage import counted_usage

_LEAST_SHOWN = Decimal("1e-12")
"""Costs below this are shown as 0; written out, 1e-100000 would fill the screen."""


def usage_in_words(result: str | None) -> str | None:
    """Model, tokens and cost that a result names, on one line; None when it names neither tokens nor a cost.

    result: JSON as it was stored.
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
