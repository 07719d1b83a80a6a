"""A claimed task, as a handler sees it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple


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
    "max_retries, submitted_at, started_at, timeout_at, auto_approve, content_id, error_message, "
    "extract(epoch FROM timeout_at - clock_timestamp())::float8"
)
"""What a claim selects, in the order of the fields of Task."""
