"""Selects tasks, and changes all selected tasks, over a plain connection in autocommit mode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias

import psycopg

from contentq.errors import SelectorRefused
from contentq.queue.operations import BATCH
from contentq.queue.reading import Connection, read_row, read_rows, read_value, read_values

Operation: TypeAlias = Literal["requeue", "cancel", "delete"]

EXAMPLES = 5
"""Number of tasks that a dry run names."""


@dataclass(frozen=True)
class Selector:
    """The tasks that match all values that are not None.

    since: submitted at or after this time. until: submitted before this time. error: a part of the error message,
    ignoring case, or a kind from contentq.error_group(). worker_id: the worker that runs the task; for failed and
    timed-out tasks, the worker of the last failed attempt.
    """

    status: str | None = None
    account_id: int | None = None
    category: str | None = None
    batch: str | None = None
    since: datetime | Literal["-infinity"] | None = None
    until: datetime | None = None
    error: str | None = None
    worker_id: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no value is set; such a selector would match all tasks."""
        return self == Selector()


EVERYTHING = Selector(since="-infinity")
"""All tasks, explicitly: operations refuse an empty selector."""


class Changed(NamedTuple):
    """The result of a step: the number of changed tasks, and of tasks skipped because of others' locks."""

    tasks: int
    locked: int


_TYPES = {
    "status": "text",
    "account_id": "bigint",
    "category": "text",
    "batch": "text",
    "since": "timestamptz",
    "until": "timestamptz",
    "error": "text",
    "worker_id": "bigint",
}

_GIVEN = ", ".join(f"{name} => %({name})s::{kind}" for name, kind in _TYPES.items())

_STATUSES = "SELECT contentq.selected_statuses(%(operation)s, %(status)s)"

_COUNT = f"SELECT task_status, tasks FROM contentq.count_matching({_GIVEN}, operation => %(operation)s)"

SELECTED = f"""contentq.select_tasks(
        contentq.selected_statuses(%(operation)s, %(status)s),
        {", ".join(f"{name} => %({name})s::{kind}" for name, kind in _TYPES.items() if name != "status")},
        only_rejected => coalesce(%(operation)s = 'requeue', false), newest_first => %(newest_first)s,
        beyond_id => %(beyond)s, max_tasks => %(limit)s, topic => %(topic)s, until_id => %(until_id)s)"""
"""The ids, for a FROM clause. Values: values_of(), newest_first, beyond and limit."""

_EXAMPLES = f"""
    SELECT t.id, t.task_id, t.account_id, t.status, t.topic, t.error_message AS error
    FROM {SELECTED} AS s (id)
    JOIN contentq.tasks AS t ON t.id = s.id
    ORDER BY t.id"""

_FIRST = f"SELECT s.id FROM {SELECTED} AS s (id)"

_STATUSES_OF = """
    SELECT t.status, count(*) AS tasks
    FROM contentq.tasks AS t
    WHERE t.id = ANY (%s::bigint[])
    GROUP BY t.status
    ORDER BY array_position('{pending,processing,completed,failed,timeout}', t.status::text)"""

_STEP = {
    operation: f"""
    SELECT *
    FROM contentq.{operation}_matching({_GIVEN}{note}, after_id => %(after)s, max_tasks => %(limit)s)"""
    for operation, note in (("requeue", ", note => %(note)s"), ("cancel", ""), ("delete", ""))
}


def values_of(
    selector: Selector, operation: Operation | None = None, topic: str | None = None, until_id: int | None = None
) -> dict[str, Any]:
    """Returns the values of a selector for statements. topic: how the topic starts. until_id: where to stop."""
    return {**asdict(selector), "operation": operation, "topic": topic, "until_id": until_id}


def check(connection: Connection, operation: Operation, selector: Selector) -> None:
    """Raises SelectorRefused if the operation cannot change tasks of the selector's status."""
    try:
        read_value(connection, _STATUSES, values_of(selector, operation))
    except psycopg.errors.InvalidParameterValue as error:
        raise SelectorRefused(error.diag.message_primary or str(error)) from error


def count(connection: Connection, selector: Selector, operation: Operation | None = None) -> dict[str, int]:
    """Counts the tasks by status; with an operation, those that it would change."""
    rows = read_rows(connection, _COUNT, values_of(selector, operation))
    return {row["task_status"]: row["tasks"] for row in rows}


def count_up_to(
    connection: Connection, selector: Selector, operation: Operation, most: int
) -> tuple[dict[str, int], list[int]]:
    """Counts by status the tasks that an operation would change, up to most of them; also returns their ids."""
    # Pending tasks are among the newest, ended tasks among the oldest; the scan starts where they are.
    page = {"newest_first": operation == "cancel", "beyond": None, "limit": most}
    ids = read_values(connection, _FIRST, {**values_of(selector, operation), **page})
    return {row["status"]: row["tasks"] for row in read_rows(connection, _STATUSES_OF, [ids])}, ids


def examples(
    connection: Connection, selector: Selector, operation: Operation | None = None, number: int = EXAMPLES
) -> list[dict[str, Any]]:
    """Returns the first tasks; with an operation, those that it would change."""
    page = {"newest_first": False, "beyond": None, "limit": number}
    return read_rows(connection, _EXAMPLES, {**values_of(selector, operation), **page})


def change(
    connection: Connection, operation: Operation, selector: Selector, note: str | None = None, step: int = BATCH
) -> Iterator[Changed]:
    """Changes all tasks of a selector, by id, each at most once; yields the result of each step.

    A step is its own transaction of up to step tasks. note: for requeue, what the handler gets as the error of the
    attempt before. The database refuses an empty selector.
    """
    after = None
    while True:
        done, after = change_next(connection, operation, selector, note, after, step)
        yield done
        if after is None:
            return


def change_next(
    connection: Connection,
    operation: Operation,
    selector: Selector,
    note: str | None = None,
    after: int | None = None,
    step: int = BATCH,
) -> tuple[Changed, int | None]:
    """Runs one step of change(); returns its result, and the id after which the next continues, or None."""
    values = {**asdict(selector), "note": note, "after": after, "limit": step}
    done = read_row(connection, _STEP[operation], values)
    assert done is not None
    return Changed(done["tasks"], done["locked"]), done["last_id"]
