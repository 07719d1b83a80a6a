"""A claimed task, as a handler sees it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple


class Task(NamedTuple):
    """One row of the queue at the moment of its claim. Times are the database's."""

    id: int
    attempt: int
    task_id: str
    account_id: int
    topic: str | None
    keywords: str | None
    category: str | None
    requirements: str | None
    tone: str | None
    priority: int
    retry_count: int
    max_retries: int
    submitted_at: datetime
    started_at: datetime
    timeout_at: datetime | None
    auto_approve: bool
    content_id: int | None
    error_message: str | None
    seconds_left: float | None
    """Seconds from the claim to the deadline, by the database's clock; None without a deadline."""

    @property
    def keyword_list(self) -> list[str]:
        """The keywords, trimmed; they may be separated by Chinese commas as well."""
        return [word.strip() for word in re.split("[,，、]", self.keywords or "") if word.strip()]

    @property
    def is_last_attempt(self) -> bool:
        """Whether a temporary error would end it: no retry is left."""
        return self.retry_count >= self.max_retries


COLUMNS = (
    "id, attempt, task_id, account_id, topic, keywords, category, requirements, tone, priority, retry_count, "
    "max_retries, extract(epoch FROM submitted_at)::float8, extract(epoch FROM started_at)::float8, "
    "extract(epoch FROM timeout_at)::float8, auto_approve, content_id, error_message, "
    "CASE WHEN isfinite(timeout_at) THEN extract(epoch FROM timeout_at - clock_timestamp())::float8 END"
)
"""What a claim selects, in the order of the fields of Task; times in seconds since 1970, which can always be read:
whatever a producer has put there, and whatever the database's DateStyle and time zone are."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_TIMES = tuple(Task._fields.index(name) for name in ("submitted_at", "started_at", "timeout_at"))


def from_row(row: Sequence[Any]) -> Task:
    """The task of a row of these columns."""
    values = list(row)
    for place in _TIMES:
        if values[place] is not None:
            values[place] = _time(values[place])
    return Task._make(values)


def _time(seconds: float) -> datetime:
    """A time; one that Python cannot hold, such as infinity, becomes the last or the first that it can."""
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return (datetime.max if seconds > 0 else datetime.min).replace(tzinfo=timezone.utc)
