"""Converts a claimed row to a task."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from contentq.task import COLUMNS, Task

_TIMES = {column.name for column in COLUMNS if column.is_time}
_PLACES = tuple(place for place, name in enumerate(Task._fields) if name in _TIMES)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_COMPUTED = {
    "seconds_left": "CASE WHEN isfinite(timeout_at) THEN "
    "extract(epoch FROM timeout_at - clock_timestamp())::float8 END",
    "handler_state": "handler_state::text",  # if psycopg could not parse it, the whole claim would fail
}

CLAIMED = ", ".join(
    f"extract(epoch FROM {name})::float8" if name in _TIMES else _COMPUTED.get(name, name) for name in Task._fields
)
"""The columns of a claim, in the order of the fields of Task.

Times are seconds since 1970, which can always be read: neither the stored value nor DateStyle nor the time zone of
the database matters.
"""


def task_of(row: Sequence[Any]) -> Task:
    """Converts a row of CLAIMED to a task."""
    values = list(row)
    for place in _PLACES:
        if values[place] is not None:
            values[place] = _time(values[place])
    return Task._make(values)


def _time(seconds: float) -> datetime:
    """Converts a time; the limits of datetime replace times beyond them, such as infinity."""
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return (datetime.max if seconds > 0 else datetime.min).replace(tzinfo=UTC)
