"""Looking at the queue: tasks one by one, and the views."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import DictRow, TupleRow, dict_row

Connection = psycopg.Connection[TupleRow]

VIEWS = ("queue_overview", "running_tasks", "backlog_by_account", "recent_failures", "worker_status", "throughput")

_LIST = """
    SELECT id, task_id, account_id, status, priority, retry_count, submitted_at, topic
    FROM public.content_generation_tasks
    WHERE (%(status)s::text IS NULL OR status = %(status)s)
      AND (%(account)s::bigint IS NULL OR account_id = %(account)s)
      AND (%(before)s::bigint IS NULL OR id < %(before)s)
    ORDER BY id DESC
    LIMIT %(limit)s"""

_SHOW = "SELECT * FROM public.content_generation_tasks WHERE task_id = %s"

_CONTENT = "SELECT id, title, body, word_count, review_status, created_at FROM public.contents WHERE id = %s"


def tasks(
    connection: Connection, status: str | None, account: int | None, before: int | None, limit: int
) -> list[DictRow]:
    """Tasks, newest first, without their results; before: only ids below this one, to page on."""
    values = {"status": status, "account": account, "before": before, "limit": limit}
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_LIST, values).fetchall()


def task(connection: Connection, task_id: str) -> DictRow | None:
    """All columns of one task, None when there is no such task."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_SHOW, [task_id]).fetchone()


def content(connection: Connection, content_id: int) -> DictRow | None:
    """One piece of content."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_CONTENT, [content_id]).fetchone()


def view(connection: Connection, name: str, limit: int = 20) -> list[dict[str, Any]]:
    """The first rows of one of the views of schema contentq."""
    query = sql.SQL("SELECT * FROM contentq.{} LIMIT {}").format(sql.Identifier(name), limit)
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query).fetchall()
