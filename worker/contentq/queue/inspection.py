"""Looking at the queue: tasks one by one, and the views."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, dict_row
from psycopg.types.datetime import TimestamptzLoader

Connection = psycopg.Connection[TupleRow]

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

_LIST = """
    SELECT id, task_id, account_id, status, priority, topic, keywords, category, requirements, tone, auto_approve,
           retry_count, max_retries, attempt, worker_id, content_id, submitted_at, scheduled_at, started_at,
           completed_at, timeout_at, cancel_requested_at, progress, progress_note, error_message
    FROM public.content_generation_tasks
    WHERE (%(status)s::text IS NULL OR status = %(status)s)
      AND (%(account)s::bigint IS NULL OR account_id = %(account)s)
      AND (%(before)s::bigint IS NULL OR id < %(before)s)
    ORDER BY id DESC
    LIMIT %(limit)s"""

_SHOW = """
    SELECT id, task_id, account_id, status, priority, topic, keywords, category, requirements, tone, auto_approve,
           retry_count, max_retries, attempt, worker_id, content_id, submitted_at, scheduled_at, started_at,
           completed_at, timeout_at, cancel_requested_at, created_at, updated_at, progress, progress_note,
           error_message, result::text AS result, attempt_errors
    FROM public.content_generation_tasks
    WHERE task_id = %s"""

_TASK_ID = "SELECT task_id FROM public.content_generation_tasks WHERE id = %s"

_STATE = """
    SELECT clock_timestamp() AS at, task_id, status, attempt, progress, progress_note AS note, scheduled_at,
           error_message AS error, content_id
    FROM public.content_generation_tasks
    WHERE task_id = %s"""

_CONTENT = "SELECT id, title, body, word_count, review_status FROM public.contents WHERE id = %s"

_SHOW_JSON = """
    SELECT row_to_json(t)::text
    FROM public.content_generation_tasks AS t
    WHERE t.task_id = %s"""

_SHOW_JSON_WITH_CONTENT = """
    SELECT row_to_json(r)::text
    FROM (
        SELECT t.*, (SELECT row_to_json(c)
                     FROM (SELECT id, title, body, word_count, review_status
                           FROM public.contents
                           WHERE id = t.content_id) AS c) AS content
        FROM public.content_generation_tasks AS t
        WHERE t.task_id = %s
    ) AS r"""

_VIEW = sql.SQL("SELECT * FROM contentq.{} LIMIT {}")


def tasks(
    connection: Connection, status: str | None, account: int | None, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """Tasks, newest first, without their results; before: only ids below this one, to page on."""
    return _rows(connection, _LIST, {"status": status, "account": account, "before": before, "limit": limit})


def task(connection: Connection, task_id: str) -> dict[str, Any] | None:
    """All columns of one task, its result as the text that was stored; None when there is no such task."""
    return next(iter(_rows(connection, _SHOW, [task_id])), None)


def task_id_of(connection: Connection, id_: int) -> str | None:
    """The task_id of the task with this id; None when there is no such task."""
    row = connection.execute(_TASK_ID, [id_]).fetchone()
    return None if row is None else str(row[0])


def state(connection: Connection, task_id: str) -> dict[str, Any] | None:
    """What changes of a task while it runs, and the time in the database; None when there is no such task."""
    return next(iter(_rows(connection, _STATE, [task_id])), None)


def explanation(connection: Connection, task_id: str) -> list[str]:
    """Why a task is not running, or what became of it: a line for each reason."""
    rows = _rows(connection, "SELECT line FROM contentq.explain(%s) AS e (line)", [task_id])
    return [row["line"] for row in rows]


def content(connection: Connection, content_id: int | None) -> dict[str, Any] | None:
    """One piece of content; None when there is none."""
    return next(iter(_rows(connection, _CONTENT, [content_id])), None)


def task_as_json(connection: Connection, task_id: str, with_content: bool) -> str | None:
    """A task as PostgreSQL writes it in JSON, its result as it was stored, to the last digit of its numbers."""
    query = _SHOW_JSON_WITH_CONTENT if with_content else _SHOW_JSON
    row = connection.execute(query, [task_id]).fetchone()
    return None if row is None else str(row[0])


def now(connection: Connection) -> datetime:
    """The time by the database's clock."""
    return next(iter(_rows(connection, "SELECT clock_timestamp() AS now")))["now"]  # type: ignore[no-any-return]


def views(connection: Connection, names: Iterable[str], limit: int = 20) -> dict[str, list[dict[str, Any]]]:
    """The first rows of views of schema contentq, all as of one moment; for a connection in autocommit mode."""
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    with connection.transaction():
        return {name: _rows(connection, _VIEW.format(sql.Identifier(name), limit)) for name in names}


def _rows(connection: Connection, query: Any, values: Any = None) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.adapters.register_loader("timestamptz", TimeLoader)
        return cursor.execute(query, values).fetchall()


class TimeLoader(TimestamptzLoader):
    """Takes a time that Python cannot hold, such as infinity, as text."""

    def load(self, data: Any) -> Any:
        """Reads what PostgreSQL sent."""
        try:
            return super().load(data)
        except psycopg.DataError:
            return bytes(data).decode()
