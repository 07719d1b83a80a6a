"""What a task has cost, from its result, in words."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

LARGEST = 10**15
"""What is larger is no count of tokens, and too long for a line."""


def usage_in_words(result: str | None) -> str | None:
    """Model, tokens and cost that a result names, on one line; None when it names neither tokens nor a cost.

    result: JSON as it was stored. Members that are no numbers are left out, as the database does when it counts.
    """
    try:
        found = json.loads(result or "null", parse_float=Decimal)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    counts = [
        f"{_number(found[name])} {noun}"
        for name, noun in (("prompt_tokens", "tokens in"), ("completion_tokens", "tokens out"))
        if _is_number(found.get(name))
    ]
    if _is_number(found.get("cost")):
        counts.append(f"cost {_number(found['cost'])}")
    if not counts:
        return None
    model = found.get("model")
    return ", ".join([model, *counts] if isinstance(model, str) and model else counts)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool) and -LARGEST < value < LARGEST


def _number(value: int | Decimal) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,f}"
