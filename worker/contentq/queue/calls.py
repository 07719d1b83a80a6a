"""The statements of the Python API, and what their errors mean, for whichever library runs them."""

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
"""The view of the queue, whatever schema its table is in."""

MAX_ROWS = 500
"""Tasks in one statement: PostgreSQL takes 65,535 values at most."""


@dataclass(frozen=True)
class Call:
    """A statement with its values, in which {name} stands for the value of this name."""

    statement: str
    values: Mapping[str, Any]

    def written(self, form: str) -> str:
        """The statement for a library that writes a value in this form, such as %({})s or :{}."""
        return self.statement.format_map({name: form.format(name) for name in self.values})


def cancel(task_id: str) -> Call:
    """Gives one row: the new status or NULL."""
    return Call("SELECT contentq.cancel({task_id})", {"task_id": task_id})


def requeue(task_id: str, note: str | None) -> Call:
    """Gives one row: the new status or NULL."""
    return Call("SELECT contentq.requeue({task_id}, {note})", {"task_id": task_id, "note": note})


def approve(content_id: int, reviewer: str | None, note: str | None, review_status: ReviewStatus) -> Call:
    """Gives one row: approved."""
    return Call(
        "SELECT contentq.approve({content_id}, {reviewer}, {note}, {review_status})",
        {"content_id": content_id, "reviewer": reviewer, "note": note, "review_status": review_status},
    )


def reject(
    content_id: int, reviewer: str | None, note: str | None, revise: bool, review_status: ReviewStatus
) -> Call:
    """Gives one row: rejected, or pending."""
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
    """Gives a row for each line."""
    return Call("SELECT line FROM contentq.explain({task_id}) AS e (line)", {"task_id": task_id})


class Submission:
    """Tasks on their way into the queue: calls to make, and then the task_ids."""

    def __init__(self, tasks: Iterable[NewTask]) -> None:
        """Raises InputRefused for what can be told without the database.

        Tasks that name no traceparent have that of the active span, when there is one.
        """
        self._tasks = [
            _given(task, f"task {number}: " if number > 1 else "") for number, task in enumerate(tasks, 1)
        ]
        if traceparent := current_traceparent():
            for task in self._tasks:
                task.setdefault("traceparent", traceparent)
        self._returned: list[str] = []

    def calls(self) -> Iterator[Call]:
        """The statements; each gives the task_ids that it has inserted, in the order of the tasks."""
        for start in range(0, len(self._tasks), MAX_ROWS):
            yield _insert(self._tasks[start : start + MAX_ROWS])

    def took(self, rows: Iterable[Any]) -> None:
        """Takes the rows that a call has given."""
        self._returned += [row[0] for row in rows]

    def task_ids(self) -> list[str]:
        """The task_id of each task; those that were there already were not inserted, and have their own."""
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
"""Names in schema contentq that do not exist: schema, table, function."""

_NO_REFERENCE = "23503"
_ACCOUNT = re.compile(r"\(account_id\)=\((\d+)\)")
"""How the detail of that error names an account, in any language."""

_NO_DATA = "P0002"
_LOCKED = "55P03"
_FORBIDDEN = "42501"

REVIEW_REFUSED = "CQ005"
"""What approve() and reject() raise when somebody else has decided, or the task cannot go back."""


def is_of_sqlalchemy(connection: object) -> bool:
    """Whether it may be one of SQLAlchemy's, which is imported only then; also a subclass, such as SQLModel's."""
    return any(each.__module__.partition(".")[0] == "sqlalchemy" for each in type(connection).__mro__)


@contextmanager
def understood() -> Iterator[None]:
    """Turns errors of the database that say something about the call into contentq's.

    Others, such as a lost connection, a deadlock or a serialization failure, stay as they are: the caller's own
    way to run its transaction again looks for them.
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
    said = _said(error)
    if state in _NOT_MIGRATED:
        return SchemaMismatch(
            f"the database is not migrated, or by another version ({said}); run: contentq migrate"
        )
    if state == REVIEW_REFUSED:
        return ReviewRefused(said)
    if state == _NO_DATA:
        return ContentQueueError(said)
    if state == _LOCKED:
        return ContentQueueError("another session has the task locked; try again when its transaction has ended")
    if state == _FORBIDDEN:
        return ContentQueueError(
            f"the database refuses it to this role: {said}; docs/how-to/set-up-the-database.md lists the roles"
        )
    if state == _NO_REFERENCE and (account := _ACCOUNT.search(str(error))):
        return InputRefused(NO_ACCOUNT.format(account[1]))
    if state[:2] in ("22", "23"):
        return InputRefused(f"the database refused a task: {said}")
    return None


def _said(error: BaseException) -> str:
    diagnostics = getattr(error, "diag", None)
    parts = [getattr(diagnostics, "message_primary", None), getattr(diagnostics, "message_detail", None)]
    return "; ".join(filter(None, parts)) or str(error).partition("\n")[0]
