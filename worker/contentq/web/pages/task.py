"""The page of a task: request, status with reasons, history, content, and actions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response

from contentq.difference import Piece, difference
from contentq.queue import inspection, operations, review
from contentq.queue.reading import Connection
from contentq.task import read_id
from contentq.titles import heading_of
from contentq.usage import counted_usage
from contentq.web.database import Part, read_part
from contentq.web.forms import Form
from contentq.web.page import Page
from contentq.web.routing import get, post

PATH = "/task"
"""The task_id is in the query, because it may contain characters that a path cannot."""

MOST_VERSIONS = 100

LONGEST_TEXT = 20_000
"""Maximum number of characters shown of a result and a handler state."""


@dataclass(frozen=True)
class Event:
    """An event in the history of a task. at: None if its time cannot be parsed."""

    at: datetime | None
    kind: str
    detail: str | None = None
    attempt: Any = None


def show_task(page: Page) -> Response:
    """Shows the task."""
    task_id = page.request.query_params.get("id", "")
    with page.database.reading() as connection:
        task = inspection.task(connection, task_id)
        if task is None:
            raise HTTPException(404, page.gettext("There is no task with this id."))
        reasons = read_part(connection, inspection.explain, task_id)
        versions = read_part(connection, review.list_versions, task_id, MOST_VERSIONS)
        chosen = _chosen(page, versions.value or [])
        content = Part(None) if chosen is None else read_part(connection, review.content, chosen)
        before = Part(None) if chosen is None else read_part(connection, review.version_before, chosen)
        now = inspection.now(connection)
    state = task["handler_state"]
    return page.render(
        "task.html",
        task=task,
        reasons=reasons,
        events=list(timeline(task, versions.value or [])),
        versions=versions,
        content=content,
        heading=content.value and heading_of(content.value["body"]),
        changes=changes(before.value, content.value),
        before=before.value,
        usage=_usage(task["result"]),
        ended=task["status"] in ("completed", "failed", "timeout"),
        running=_since(task["started_at"], now) if task["status"] == "processing" else None,
        state=None if state is None else json.dumps(state, ensure_ascii=False, indent=2),
        LONGEST_TEXT=LONGEST_TEXT,
    )


def find_task(page: Page) -> Response:
    """Redirects from an id or task_id in the path, as people type it, to the page of the task."""
    given: str = page.request.path_params["given"]
    id_ = read_id(given)
    with page.database.reading() as connection:
        found = None if id_ is None else inspection.task_id_of(connection, id_)
    return page.redirect(f"{PATH}?{urlencode({'id': found or given})}")


def changes(before: dict[str, Any] | None, content: dict[str, Any] | None) -> list[Piece] | None:
    """The changes since the previous version; None if there is none."""
    if before is None or content is None:
        return None
    return difference(f"{before['title']}\n\n{before['body']}", f"{content['title']}\n\n{content['body']}")


def timeline(task: dict[str, Any], versions: list[dict[str, Any]]) -> Iterator[Event]:
    """Yields the history of a task in order of time; events without a readable time come last."""
    events = [Event(_moment(task["submitted_at"]), "submitted")]
    events += [_failure(each) for each in task["attempt_errors"]]
    if task["started_at"] is not None:
        events.append(Event(_moment(task["started_at"]), "started", None, task["attempt"]))
    for version in versions:
        name = str(version["content_id"])
        events.append(Event(_moment(version["created_at"]), "stored", name))
        if version["reviewed_at"] is not None:
            review_text = ": ".join(filter(None, (version["reviewed_by"], version["note"])))
            events.append(Event(_moment(version["reviewed_at"]), version["review_status"], review_text))
    if task["cancel_requested_at"] is not None:
        events.append(Event(_moment(task["cancel_requested_at"]), "cancel"))
    if task["status"] == "completed":
        events.append(Event(_moment(task["completed_at"]), "completed"))
    elif task["status"] in ("failed", "timeout"):
        events.append(Event(_moment(task["updated_at"]), task["status"], task["error_message"]))
    if task["status"] == "pending" and isinstance(task["scheduled_at"], datetime):
        events.append(Event(task["scheduled_at"], "due"))
    yield from sorted((each for each in events if each.at is not None), key=lambda each: (each.at, 0))
    yield from (each for each in events if each.at is None)


def requeue(page: Page, form: Form) -> Response:
    """Requeues a task."""
    note = form.text("note")
    return _do(page, form, lambda connection, task_id: operations.requeue(connection, task_id, note))


def cancel(page: Page, form: Form) -> Response:
    """Cancels a task."""
    return _do(page, form, operations.cancel)


def delete(page: Page, form: Form) -> Response:
    """Deletes a task."""
    task_id = form.exact("id")
    with page.database.changing() as connection:
        was = operations.delete(connection, task_id)
        status = None if was is not None else operations.status_of(connection, task_id)
    if was is not None or status is None:
        return page.redirect("/tasks", page.gettext("Task %(id)s is deleted.", id=task_id))
    return _refused(page, task_id, status)


def _do(page: Page, form: Form, do: Callable[[Connection, str], str | None]) -> Response:
    task_id = form.exact("id")
    with page.database.changing() as connection:
        status = do(connection, task_id)
        now = operations.status_of(connection, task_id) if status is None else status
    if status is None:
        return _refused(page, task_id, now)
    messages = {
        "pending": page.gettext("The task is pending again."),
        "failed": page.gettext("The task is cancelled."),
        "processing": page.gettext("The task is being stopped by its worker."),
    }
    return page.redirect(_place(task_id), messages.get(status))


def _refused(page: Page, task_id: str, status: str | None) -> Response:
    if status is None:
        return page.redirect("/tasks", page.gettext("There is no task with this id."), failed=True)
    message = page.gettext("The current status of the task does not allow this.")
    return page.redirect(_place(task_id), message, failed=True)


def _place(task_id: str) -> str:
    return f"{PATH}?{urlencode({'id': task_id})}"


def _chosen(page: Page, versions: list[dict[str, Any]]) -> int | None:
    """The id of the content to show: the requested version, else the latest."""
    ids = [version["content_id"] for version in versions]
    asked = page.query("version")
    return next((id_ for id_ in ids if str(id_) == asked), max(ids, default=None))


def _usage(result: str | None) -> dict[str, Any]:
    """The usage in a result."""
    try:
        return counted_usage(json.loads(result or "null", parse_float=Decimal))
    except (ValueError, RecursionError):
        return {}


def _failure(error: Any) -> Event:
    """Converts an entry of attempt_errors; entries written by hand are shown as JSON."""
    if not isinstance(error, dict):
        return Event(None, "error", json.dumps(error, ensure_ascii=False))
    name, message = error.get("error_class"), str(error.get("message"))
    text = message if not name or message.partition(":")[0] == name else f"{name}: {message}"
    return Event(_read_time(error.get("at")), "error", text, error.get("attempt"))


def _read_time(text: Any) -> datetime | None:
    """Parses a time in PostgreSQL's JSON format, which has a variable number of fractional digits."""
    try:
        time = datetime.fromisoformat(re.sub(r"\.(\d+)", lambda found: f".{found[1]:0<6}", str(text)))
    except ValueError:
        return None
    return time if time.tzinfo is not None else None


def _moment(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else None


def _since(value: Any, now: datetime) -> float | None:
    return (now - value).total_seconds() if isinstance(value, datetime) else None


ROUTES = [
    get(PATH, show_task),
    get("/tasks/{given}", find_task),
    post("/task/requeue", requeue, back="/tasks"),
    post("/task/cancel", cancel, back="/tasks"),
    post("/task/delete", delete, back="/tasks"),
]
