"""Formats the task as input of a program: one JSON object on one line."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from contentq.task import Task

_LEFT_OUT = ("started_at", "content_id", "error_message", "handler_state", "traceparent")
"""Fields of Task that a program does not get, or gets under another name."""


def line_of(task: Task, context: Any) -> bytes:
    """The line, with its newline; docs/how-to/run-a-program.md lists the members. Unknown values are null.

    Members have the form `"name": value`, with one space after the colon, so that a Bash script can parse them.
    """
    seconds_left = context.seconds_left()
    members = {name: _member(value) for name, value in task._asdict().items() if name not in _LEFT_OUT}
    members |= {
        "keyword_list": task.keyword_list,
        "seconds_left": None if seconds_left is None else round(seconds_left, 3),
        "previous_error": context.previous_error,
        "state": context.state,
        "previous_content": None if context.previous_content is None else asdict(context.previous_content),
    }
    return (json.dumps(members, ensure_ascii=False) + "\n").encode("utf-8", "replace")


def _member(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
