"""The task as a program reads it: one JSON object on one line."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from contentq.queue.task import Task


def line_of(task: Task, context: Any) -> bytes:
    """The line, with its end; docs/handlers.md lists the members. What is not known is null.

    Members are written as `"name": value`, one space after the colon, which a Bash script may count on.
    """
    seconds_left = context.seconds_left()
    members = {
        "id": task.id,
        "task_id": task.task_id,
        "attempt": task.attempt,
        "account_id": task.account_id,
        "topic": task.topic,
        "keywords": task.keywords,
        "keyword_list": task.keyword_list,
        "category": task.category,
        "requirements": task.requirements,
        "tone": task.tone,
        "priority": task.priority,
        "retry_count": task.retry_count,
        "max_retries": task.max_retries,
        "submitted_at": _iso(task.submitted_at),
        "timeout_at": _iso(task.timeout_at),
        "seconds_left": None if seconds_left is None else round(seconds_left, 3),
        "auto_approve": task.auto_approve,
        "previous_error": context.previous_error,
        "previous_content": None if context.previous_content is None else asdict(context.previous_content),
    }
    return (json.dumps(members, ensure_ascii=False) + "\n").encode("utf-8", "replace")


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()
