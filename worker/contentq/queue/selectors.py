"""Which tasks an operation is about, and operations on all of them, over a plain connection in autocommit mode."""

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
"""Tasks that a dry run names."""


@dataclass(frozen=True)
class Selector:
    """The tasks that fit all that is not None.

    since, until: submitted then or later, before then. error: a part of the error message, in any case, or what
    contentq.error_group() makes of it. worker_id: of the worker that runs it; of a task that is failed or timeout,
    the one whose attempt failed last.
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
        """Whether it selects all tasks for want of anything else."""
        return self == Selector()


EVERYTHING = Selector(since="-infinity")
"""All tasks, on purpose: operations refuse a selector that is empty."""


class Changed(NamedTuple):
    """What a step of an operation has done: tasks that it has changed, and left since others have locked them."""

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
"""The ids, in a FROM clause; its values are those of values_of(), newest_first, beyond and limit."""

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
    """What stands for a selector in statements. topic: how the topic begins. until_id: where to stop looking."""
    return {**asdict(selector), "operation": operation, "topic": topic, "until_id": until_id}


def check(connection: Connection, operation: Operation, selector: Selector) -> None:
    """Raises SelectorRefused for a status to whose tasks the operation cannot be done."""
    try:
        read_value(connection, _STATUSES, values_of(selector, operation))
    except psycopg.errors.InvalidParameterValue as error:
        raise SelectorRefused(error.diag.message_primary or str(error)) from error


def count(connection: Connection, selector: Selector, operation: Operation | None = None) -> dict[str, int]:
    """How many tasks of each status there are; with an operation, how many it would change."""
    rows = read_rows(connection, _COUNT, values_of(selector, operation))
    return {row["task_status"]: row["tasks"] for row in rows}


def count_up_to(
    connection: Connection, selector: Selector, operation: Operation, most: int
) -> tuple[dict[str, int], list[int]]:
    """How many tasks of each status an operation would change, and their ids, of so many of them at most."""
    # What waits is among the newest, what has ended among the oldest: less is read before the first is found.
    page = {"newest_first": operation == "cancel", "beyond": None, "limit": most}
    ids = read_values(connection, _FIRST, {**values_of(selector, operation), **page})
    return {row["status"]: row["tasks"] for row in read_rows(connection, _STATUSES_OF, [ids])}, ids


def examples(
    connection: Connection, selector: Selector, operation: Operation | None = None, number: int = EXAMPLES
) -> list[dict[str, Any]]:
    """The first tasks; with an operation, those that it would change."""
    page = {"newest_first": False, "beyond": None, "limit": number}
    return read_rows(connection, _EXAMPLES, {**values_of(selector, operation), **page})


def change(
    connection: Connection, operation: Operation, selector: Selector, note: str | None = None, step: int = BATCH
) -> Iterator[Changed]:
    """Changes all tasks of a selector, in order of their id, each at most once; yields what each step has done.

    A step is a transaction of its own of up to so many tasks. note: for requeue, what the handler finds as the
    error of the attempt before. The database refuses an empty selector.
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
    """One step of change(): what it has done, and after which id the next one goes on; None when there is none."""
    values = {**asdict(selector), "note": note, "after": after, "limit": step}
    done = read_row(connection, _STEP[operation], values)
    assert done is not None
    return Changed(done["tasks"], done["locked"]), done["last_id"]
