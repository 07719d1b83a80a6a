"""The usage of an attempt that failed, for contentq.record_usage().

Each member is checked on its own, so that one invalid value does not lose the others.
"""

from __future__ import annotations

import json
import logging
import reprlib
from collections.abc import Mapping
from typing import Any

from contentq.queue.outcomes import Completed, Held, Revised, Stored
from contentq.storable import as_number, as_text
from contentq.usage import AMOUNTS, MEMBERS, MODEL, split_usage

log = logging.getLogger("contentq.worker")


def usage_of(held: Held, said: object) -> str | None:
    """The valid part of the usage that a handler reports, as JSON; None if there is none.

    Values that are ignored are logged.
    """
    try:
        if not said:
            return None
        members = dict(said)  # type: ignore[call-overload]
    except Exception:
        _warn(held, [f"{_short_repr(said)} is no mapping"])
        return None
    usage, dropped = _pick_countable(members)
    if not usage and not dropped:
        dropped = [f"there is none of {', '.join(AMOUNTS)}"]
    if dropped:
        _warn(held, dropped)
    return json.dumps(usage) if any(name in usage for name in AMOUNTS) else None


def usage_in(held: Held, result: Mapping[Any, Any]) -> str | None:
    """The same for a result that cannot be stored. Most results report no usage."""
    if not any(name in result for name in AMOUNTS):
        return None
    return usage_of(held, {name: result[name] for name in MEMBERS if name in result})


def usage_of_outcome(outcome: Completed | Stored | Revised) -> str | None:
    """The same for a result that PostgreSQL refused."""
    text = outcome.result if isinstance(outcome, Completed) else outcome.extra
    try:
        return usage_in(outcome.held, json.loads(text)) if text else None
    except (ValueError, RecursionError):
        return None


def _pick_countable(members: Mapping[Any, Any]) -> tuple[dict[str, str | int | float], list[str]]:
    """The members that can be counted, and a description of each of the others."""
    counted, ignored = split_usage(members)
    usage = {name: as_text(value) if name == MODEL else as_number(value) for name, value in counted.items()}
    return usage, [f"{name}={_short_repr(value)}" for name, value in ignored.items()]


def _short_repr(value: object) -> str:
    """A value in a few characters; safe for any __repr__."""
    try:
        return reprlib.repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _warn(held: Held, dropped: list[str]) -> None:
    log.warning("usage not counted task=%s attempt=%d: %s", held.task_id, held.attempt, "; ".join(dropped))
