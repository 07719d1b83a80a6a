"""`contentq show --follow`: prints the changes of a task until it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from time import sleep
from typing import TYPE_CHECKING, Any

from contentq.cli.output import as_json_value, print_json_text, print_line
from contentq.cli.unknown import unknown_task
from contentq.errors import ContentQueueError

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

INTERVAL = 1.0
"""Seconds between two polls."""

ENDED = ("completed", "failed", "timeout")

_WATCHED = ("status", "attempt", "scheduled_at", "progress", "note")


def follow(connection: psycopg.Connection[TupleRow], task_id: str, as_json: bool) -> dict[str, Any]:
    """Prints each change of a task until it ends; returns its last state.

    Raises ContentQueueError if the task does not exist or is deleted meanwhile.
    """
    before: dict[str, Any] = {}
    for state in _states(connection, task_id):
        if as_json:
            print_json_text(json.dumps(state, ensure_ascii=False, default=as_json_value))
        else:
            print_line(f"{clock(state['at'])}  {_line(state, before)}")
        before = state
    return before


def _states(connection: psycopg.Connection[TupleRow], task_id: str) -> Iterator[dict[str, Any]]:
    """Yields the states of a task that differ from the one before, including the last."""
    from contentq.queue import inspection

    seen: tuple[Any, ...] | None = None
    while True:
        state = inspection.state(connection, task_id)
        if state is None:
            if seen is None:
                raise unknown_task(connection, task_id)
            raise ContentQueueError(f"task {task_id} was deleted")
        watched = tuple(state[name] for name in _WATCHED)
        if watched != seen:
            yield state
        if state["status"] in ENDED:
            return
        seen = watched
        sleep(INTERVAL)


def _line(state: dict[str, Any], before: dict[str, Any]) -> str:
    """Describes what has changed since the state before."""
    status, attempt = state["status"], state["attempt"]
    if status == "processing":
        progress = _progress(state)
        if (status, attempt) == (before.get("status"), before.get("attempt")):
            return progress or "…"
        return f"processing, attempt {attempt}{f': {progress}' if progress else ''}"
    if status == "pending":
        line = "pending" if state["scheduled_at"] is None else f"pending until {clock(state['scheduled_at'])}"
        return f"{line}: {state['error']}" if attempt and state["error"] else line
    return f"{status}: {state['error']}" if state["error"] else str(status)


def _progress(state: dict[str, Any]) -> str:
    parts = []
    if state["progress"] is not None:
        parts.append(percent(state["progress"]))
    if state["note"] is not None:
        parts.append(" ".join(state["note"].split()))
    return ", ".join(parts)


def percent(fraction: float) -> str:
    """Formats a fraction from 0 to 1, for example `40 %`."""
    return f"{fraction:.0%}".replace("%", " %")


def clock(at: datetime | str) -> str:
    """Formats a time as local time of day, with the date if that is not today."""
    if isinstance(at, str):
        return at
    local = at.astimezone()
    today = local.date() == datetime.now().astimezone().date()
    return local.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")
