"""The statements of the Python API and the meaning of their errors, independent of the database library."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from contentq.errors import ContentQueueError, InputRefused, ReviewRefused, SchemaMismatch
from contentq.queue.accounts import NO_ACCOUNT
from contentq.queue.columns import PROBLEM, TIMES
from contentq.task import NewTask, ReviewStatus
from contentq.tracing import current_traceparent

TASKS = "contentq.tasks"
"""The view of all tasks, in a fixed schema."""

MAX_ROWS = 500
"""Tasks per statement: PostgreSQL accepts at most 65,535 values."""


@dataclass(frozen=True)
class Call:
    """A statement with its values; {name} stands for the value with this name."""

    statement: str
    values: Mapping[str, Any]

    def written(self, form: str) -> str:
        """Returns the statement with placeholders in this form, such as %({})s or :{}."""
        return self.statement.format_map({name: form.format(name) for name in self.values})


def cancel(task_id: str) -> Call:
    """Returns one row: the new status or NULL."""
    return Call("SELECT contentq.cancel({task_id})", {"task_id": task_id})


def requeue(task_id: str, note: str | None) -> Call:
    """Returns one row: the new status or NULL."""
    return Call("SELECT contentq.requeue({task_id}, {note})", {"task_id": task_id, "note": note})


def approve(content_id: int, reviewer: str | None, note: str | None, review_status: ReviewStatus) -> Call:
    """Returns one row: approved."""
    return Call(
        "SELECT contentq.approve({content_id}, {reviewer}, {note}, {review_status})",
        {"content_id": content_id, "reviewer": reviewer, "note": note, "review_status": review_status},
    )


def reject(
    content_id: int, reviewer: str | None, note: str | None, revise: bool, review_status: ReviewStatus
) -> Call:
    """Returns one row: rejected or pending."""
    return Call(
        "SELECT contentq.reject({content_id}, {reviewer}, {note}, {revise}, {review_status})",
        {
            "content_id": content_id,
            "reviewer": reviewer,
            "note": note,
            "revise": revise,
            "review_status": review_status,
        },
    )


def explain(task_id: str) -> Call:
    """Returns one row for each line."""
    return Call("SELECT line FROM contentq.explain({task_id}) AS e (line)", {"task_id": task_id})


class Submission:
    """Tasks to insert: yields the calls to make, then returns the task_ids."""

    def __init__(self, tasks: Iterable[NewTask]) -> None:
        """Raises InputRefused for problems that need no database to detect.

        Tasks without a traceparent get that of the active span, if there is one.
        """
        self._tasks = [
            _given(task, f"task {number}: " if number > 1 else "") for number, task in enumerate(tasks, 1)
        ]
        if traceparent := current_traceparent():
            for task in self._tasks:
                task.setdefault("traceparent", traceparent)
        self._returned: list[str] = []

    def calls(self) -> Iterator[Call]:
        """Yields the statements; each returns the task_ids that it inserted, in the order of the tasks."""
        for start in range(0, len(self._tasks), MAX_ROWS):
            yield _insert(self._tasks[start : start + MAX_ROWS])

    def add_returned(self, rows: Iterable[Any]) -> None:
        """Takes the rows that a call returned."""
        self._returned += [row[0] for row in rows]

    def task_ids(self) -> list[str]:
        """Returns the task_id of each task; tasks that already existed keep their own."""
        named = {task["task_id"] for task in self._tasks if "task_id" in task}
        made = (task_id for task_id in self._returned if task_id not in named)
        return [task["task_id"] if "task_id" in task else next(made) for task in self._tasks]


def _given(task: NewTask, where: str) -> dict[str, Any]:
    given = {name: value for name, value in task.items() if value is not None}
    if unknown := given.keys() - PROBLEM.keys():
        names = ", ".join(sorted(unknown))
        raise InputRefused(f"{where}a producer cannot set {names}; these can be set: {', '.join(PROBLEM)}")
    if "account_id" not in given:
        raise InputRefused(f"{where}account_id is missing; a new account gets one when its session is flushed")
    for name, value in given.items():
        problem = _problem(name, value)
        if problem:
            raise InputRefused(f"{where}{name} {problem}")
    return given


def _problem(name: str, value: Any) -> str | None:
    if name not in TIMES:
        return PROBLEM[name](str(value))
    if isinstance(value, timedelta):
        return None
    if not isinstance(value, datetime):
        return f"is {value!r}; it must be a datetime, or a timedelta from now"
    if value.tzinfo is None:
        return f"is {value!r}, which has no time zone; for UTC: datetime.now(UTC)"
    return None


def _insert(tasks: list[dict[str, Any]]) -> Call:
    columns = [name for name in PROBLEM if any(name in task for task in tasks)]
    values: dict[str, Any] = {}
    numbers = count()

    def written(task: dict[str, Any], name: str) -> str:
        if name not in task:
            return "DEFAULT"
        key = f"v{next(numbers)}"
        values[key] = task[name]
        if isinstance(task[name], timedelta):
            # In the caller's session, whose search_path may lead to anyone's operators.
            return f"pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) CAST({{{key}}} AS pg_catalog.interval)"
        return f"{{{key}}}"

    rows = [f"({', '.join(written(task, name) for name in columns)})" for task in tasks]
    statement = (
        f"INSERT INTO {TASKS} ({', '.join(columns)}) VALUES {', '.join(rows)} "
        "ON CONFLICT (task_id) DO NOTHING RETURNING task_id"
    )
    return Call(statement, values)


_NOT_MIGRATED = {"3F000", "42P01", "42883"}
"""SQLSTATEs of a missing schema, table or function."""

_NO_REFERENCE = "23503"
_ACCOUNT = re.compile(r"\(account_id\)=\((\d+)\)")
"""How the detail of that error names an account, in any language."""

_NO_DATA = "P0002"
_LOCKED = "55P03"
_FORBIDDEN = "42501"

REVIEW_REFUSED = "CQ005"
"""The error of approve() and reject() if another reviewer has decided, or the task cannot be requeued."""


def is_of_sqlalchemy(connection: object) -> bool:
    """Whether this is SQLAlchemy's, or of a subclass, such as SQLModel's; does not import SQLAlchemy."""
    return any(each.__module__.partition(".")[0] == "sqlalchemy" for each in type(connection).__mro__)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Converts database errors about the call into contentq's.

    Other errors, such as a lost connection, a deadlock or a serialization failure, are not changed: the caller's
    own retry logic handles them.
    """
    try:
        yield
    except Exception as error:
        meaning = _meaning(getattr(error, "orig", None) or error)
        if meaning is None:
            raise
        raise meaning from error


def _meaning(error: BaseException) -> ContentQueueError | None:
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if not isinstance(state, str):
        return None
    message = _message_of(error)
    if state in _NOT_MIGRATED:
        return SchemaMismatch(
            f"the database is not migrated, or was migrated by another version ({message}); run: contentq migrate"
        )
    if state == REVIEW_REFUSED:
        return ReviewRefused(message)
    if state == _NO_DATA:
        return ContentQueueError(message)
    if state == _LOCKED:
        return ContentQueueError("another session has locked the task; try again when its transaction has ended")
    if state == _FORBIDDEN:
        return ContentQueueError(
            f"the database refused the call: {message}; docs/how-to/set-up-the-database.md lists the roles "
            "and their rights"
        )
    if state == _NO_REFERENCE and (account := _ACCOUNT.search(str(error))):
        return InputRefused(NO_ACCOUNT.format(account[1]))
    if state[:2] in ("22", "23"):
        return InputRefused(f"the database refused a task: {message}")
    return None


def _message_of(error: BaseException) -> str:
    diagnostics = getattr(error, "diag", None)
    parts = [getattr(diagnostics, "message_primary", None), getattr(diagnostics, "message_detail", None)]
    return "; ".join(filter(None, parts)) or str(error).partition("\n")[0]
