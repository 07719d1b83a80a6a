"""Reads tasks and views."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from contentq.queue.reading import Connection, read_row, read_rows, read_value, read_values
from contentq.queue.selectors import SELECTED, Selector, values_of
from contentq.task import COLUMNS, Column

VIEWS = (
    "queue_overview",
    "running_tasks",
    "backlog_by_account",
    "recent_failures",
    "worker_status",
    "gate_status",
    "paused_accounts",
    "throughput",
    "usage_by_account",
    "usage_by_model",
    "usage_by_day",
)

_EXPRESSIONS = {"result": "result::text AS result"}
"""Columns that psycopg would not return as they are stored."""


def _select_list(columns: Iterable[Column]) -> str:
    return ", ".join(_EXPRESSIONS.get(column.name, column.name) for column in columns)


_LIST = f"""
    SELECT {_select_list(column for column in COLUMNS if column.is_listed)}
    FROM contentq.tasks
    WHERE id = ANY (ARRAY(SELECT s.id FROM {SELECTED} AS s (id)))
    ORDER BY id DESC"""

_SHOW = f"""
    SELECT {_select_list(COLUMNS)}
    FROM contentq.tasks
    WHERE task_id = %s"""

_TASK_ID = "SELECT task_id FROM contentq.tasks WHERE id = %s"

_STATE = """
    SELECT clock_timestamp() AS at, task_id, status, attempt, progress, progress_note AS note, scheduled_at,
           error_message AS error, content_id
    FROM contentq.tasks
    WHERE task_id = %s"""

_CONTENT = """
    SELECT c.id, c.title, c.body, c.word_count, c.review_status
    FROM contentq.tasks AS t
    JOIN contentq.contents AS c ON c.id = t.content_id AND c.account_id + 0 = t.account_id
    WHERE t.task_id = %s"""

_SHOW_JSON = """
    SELECT row_to_json(t)::text
    FROM contentq.tasks AS t
    WHERE t.task_id = %s"""

_SHOW_JSON_WITH_CONTENT = """
    SELECT row_to_json(r)::text
    FROM (
        SELECT t.*, (SELECT row_to_json(c)
                     FROM (SELECT id, title, body, word_count, review_status
                           FROM contentq.contents
                           WHERE id = t.content_id
                             AND account_id + 0 = t.account_id) AS c) AS content
        FROM contentq.tasks AS t
        WHERE t.task_id = %s
    ) AS r"""

_ERRORS = "SELECT * FROM contentq.group_errors(%s, %s) LIMIT %s"

_BATCHES = """
    SELECT *
    FROM contentq.batches
    WHERE batch = ANY (coalesce(%s::text[], ARRAY(SELECT contentq.latest_batches(%s))))
    ORDER BY submitted_at DESC, batch"""

_LATENCY = "SELECT * FROM contentq.latency(%s, %s)"

_VIEW = sql.SQL("SELECT * FROM contentq.{} LIMIT {}")


def tasks(
    connection: Connection, selector: Selector, before: int | None = None, limit: int = 20
) -> list[dict[str, Any]]:
    """Lists tasks, newest first, without their results. before: only ids below this one, for the next page."""
    page = {"newest_first": True, "beyond": before, "limit": limit}
    return read_rows(connection, _LIST, {**values_of(selector), **page})


def task(connection: Connection, task_id: str) -> dict[str, Any] | None:
    """Returns all columns of a task, its result as the stored text; None if the task does not exist."""
    return read_row(connection, _SHOW, [task_id])


def task_id_of(connection: Connection, id_: int) -> str | None:
    """Returns the task_id of the task with this id; None if the task does not exist."""
    found: str | None = read_value(connection, _TASK_ID, [id_])
    return found


def state(connection: Connection, task_id: str) -> dict[str, Any] | None:
    """Returns the columns that change while a task runs, and the database's time; None for an unknown task."""
    return read_row(connection, _STATE, [task_id])


def explain(connection: Connection, task_id: str) -> list[str]:
    """Returns why a task is not running, or how it ended: one line for each reason."""
    return read_values(connection, "SELECT line FROM contentq.explain(%s) AS e (line)", [task_id])


def content(connection: Connection, task_id: str) -> dict[str, Any] | None:
    """Returns the content of a task; None if it has none, or refers to content of another account."""
    return read_row(connection, _CONTENT, [task_id])


def task_as_json(connection: Connection, task_id: str, with_content: bool) -> str | None:
    """Returns a task as PostgreSQL formats it in JSON; its result keeps every digit of its numbers."""
    found: str | None = read_value(connection, _SHOW_JSON_WITH_CONTENT if with_content else _SHOW_JSON, [task_id])
    return found


def error_groups(
    connection: Connection, since: datetime | None, limit: int, newest: int | None = None
) -> list[dict[str, Any]]:
    """Groups the errors of tasks since a time by kind, most frequent first.

    newest: only this many tasks with an error, those with the highest ids.
    """
    return read_rows(connection, _ERRORS, [since, newest, limit])


def batches(connection: Connection, names: list[str] | None, limit: int) -> list[dict[str, Any]]:
    """Returns these batches, or the latest ones, latest first."""
    return read_rows(connection, _BATCHES, [names, limit])


def latest_batches(connection: Connection, limit: int) -> list[str]:
    """Returns the names of the latest batches, latest first."""
    return read_values(connection, "SELECT contentq.latest_batches(%s)", [limit])


def latency(connection: Connection, period: timedelta, by: str | None = None) -> list[dict[str, Any]]:
    """Returns waiting and running times of tasks completed in this period, by account, category or priority."""
    return read_rows(connection, _LATENCY, [period, by])


def now(connection: Connection) -> datetime:
    """Returns the time by the database's clock."""
    found: datetime = read_value(connection, "SELECT clock_timestamp()")
    return found


def view(connection: Connection, name: str, limit: int = 20) -> list[dict[str, Any]]:
    """Returns the first rows of a view in schema contentq."""
    return read_rows(connection, _VIEW.format(sql.Identifier(name), limit))


def views(connection: Connection, names: Iterable[str], limit: int = 20) -> dict[str, list[dict[str, Any]]]:
    """Returns the first rows of views as of one moment. connection: in autocommit mode."""
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    with connection.transaction():
        return {name: view(connection, name, limit) for name in names}
