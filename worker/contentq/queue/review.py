"""Reviews of content, over a plain connection in autocommit mode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

import psycopg

from contentq.errors import ReviewRefused
from contentq.queue.calls import REVIEW_REFUSED
from contentq.queue.operations import BATCH
from contentq.queue.reading import Connection, read_row, read_rows, read_value, read_values
from contentq.task import ReviewStatus

Verdict: TypeAlias = Literal["approve", "reject"]

SELECTORS = {
    "account_id": "bigint",
    "category": "text",
    "batch": "text",
    "since": "timestamptz",
    "until": "timestamptz",
}
"""Selectors of waiting content: its account, and the category, batch and submission time of its task."""

_SELECTED = ", ".join(f"%({name})s::{kind}" for name, kind in SELECTORS.items())

_WAITING = f"""
    SELECT r.*
    FROM contentq.matching_contents({_SELECTED}, %(after_id)s::bigint, %(limit)s::integer) AS m (id)
    CROSS JOIN LATERAL (SELECT * FROM contentq.review_queue AS q WHERE q.content_id = m.id LIMIT 1) AS r
    ORDER BY m.id"""

_COUNT = f"""
    SELECT count(*)
    FROM contentq.matching_contents({_SELECTED}, 0, %(limit)s::integer)"""

_SHOW = """
    SELECT c.id AS content_id, v.task_id, v.version, c.account_id, a.name AS account, c.title, c.word_count,
           c.review_status, c.reviewed_by, c.reviewed_at, c.review_note, c.created_at, t.attempt, t.category,
           t.batch, t.topic, t.keywords, t.tone, t.requirements, c.body
    FROM contentq.contents AS c
    JOIN contentq.accounts AS a ON a.id = c.account_id
    LEFT JOIN contentq.content_versions AS v ON v.content_id = c.id
    LEFT JOIN contentq.tasks AS t ON t.task_id = v.task_id
    WHERE c.id = %s"""

_BEFORE = """
    SELECT o.id AS content_id, o.title, o.body, o.review_status, o.reviewed_by, o.review_note
    FROM contentq.contents AS c
    JOIN contentq.contents AS o ON o.generation_task_id = c.generation_task_id AND o.id + 0 < c.id
    WHERE c.id = %s
    ORDER BY o.id + 0 DESC
    LIMIT 1"""

_WAITING_BEFORE = """
    SELECT c.id
    FROM contentq.contents AS c
    WHERE c.review_status = 'pending'
      AND c.id + 0 < %(before_id)s::bigint
      AND (%(account_id)s::bigint IS NULL OR c.account_id + 0 = %(account_id)s)
      AND (%(category)s::text IS NULL AND %(batch)s::text IS NULL
           OR EXISTS (SELECT
                      FROM contentq.tasks AS t
                      WHERE t.id = c.generation_task_id
                        AND t.account_id + 0 = c.account_id
                        AND (%(category)s::text IS NULL OR t.category = %(category)s)
                        AND (%(batch)s::text IS NULL OR t.batch = %(batch)s)))
    ORDER BY c.id + 0 DESC
    LIMIT 1"""

_VERSIONS = """
    SELECT v.version, v.content_id, v.word_count, v.review_status, v.reviewed_by, v.reviewed_at, v.note,
           v.created_at
    FROM contentq.content_versions AS v
    WHERE v.task_id = %s
    ORDER BY v.content_id DESC
    LIMIT %s"""

_APPROVE = "SELECT contentq.approve(%s, %s, %s, %s)"
_REJECT = "SELECT contentq.reject(%s, %s, %s, %s, %s)"

_STEP = {
    name: f"""
    SELECT contents, last_id
    FROM contentq.{name}_matching(
        {_SELECTED}, %(reviewer)s::text, %(note)s::text, {revise}
        after_id => %(after_id)s, max_contents => %(limit)s)"""
    for name, revise in (("approve", ""), ("reject", "%(revise)s,"))
}

EVERYTHING: Mapping[str, Any] = {"since": "-infinity"}
"""Selectors for all waiting content; the functions refuse an empty selection."""


def waiting(
    connection: Connection, selectors: Mapping[str, Any], after_id: int, limit: int
) -> list[dict[str, Any]]:
    """Returns content that waits for a review, oldest first. after_id: only larger ids, for the next page."""
    return read_rows(connection, _WAITING, {**_all_of(selectors), "after_id": after_id, "limit": limit})


def count(connection: Connection, selectors: Mapping[str, Any], most: int) -> int:
    """Counts content that waits for a review, up to most."""
    return int(read_value(connection, _COUNT, {**_all_of(selectors), "limit": most}) or 0)


def content(connection: Connection, content_id: int) -> dict[str, Any] | None:
    """Returns a content with the parameters of its task; None if it does not exist."""
    return read_row(connection, _SHOW, [content_id])


def version_before(connection: Connection, content_id: int) -> dict[str, Any] | None:
    """Returns the previous version of this content; None if this is the first."""
    return read_row(connection, _BEFORE, [content_id])


def waiting_before(connection: Connection, selectors: Mapping[str, Any], before_id: int) -> int | None:
    """Returns the waiting content before this one; account_id, category and batch select it."""
    found: int | None = read_value(connection, _WAITING_BEFORE, {**_all_of(selectors), "before_id": before_id})
    return found


def list_versions(connection: Connection, task_id: str, limit: int) -> list[dict[str, Any]]:
    """Returns the versions of a task's content, latest first, without the text."""
    return read_rows(connection, _VERSIONS, [task_id, limit])


def versions(connection: Connection, task_id: str) -> list[int]:
    """Returns the ids of the contents of a task, first version first."""
    return read_values(
        connection,
        "SELECT content_id FROM contentq.content_versions WHERE task_id = %s ORDER BY version",
        [task_id],
    )


def approve(
    connection: Connection, content_id: int, reviewer: str | None, note: str | None, review_status: ReviewStatus
) -> str:
    """Approves content; returns approved. Raises ReviewRefused."""
    return _decide(connection, _APPROVE, [content_id, reviewer, note, review_status])


def reject(
    connection: Connection,
    content_id: int,
    reviewer: str | None,
    note: str | None,
    revise: bool,
    review_status: ReviewStatus,
) -> str:
    """Rejects content; returns rejected, or pending if its task was requeued. Raises ReviewRefused."""
    return _decide(connection, _REJECT, [content_id, reviewer, note, revise, review_status])


def decide_matching(
    connection: Connection,
    verdict: Verdict,
    selectors: Mapping[str, Any],
    reviewer: str | None,
    note: str | None,
    revise: bool = False,
    step: int = BATCH,
) -> Iterator[int]:
    """Decides about all selected content that waits, oldest first; yields the number after each transaction.

    verdict: approve or reject. Content on which others decide meanwhile is not changed. With revise, content whose
    task cannot be requeued is not changed either.
    """
    after_id: int | None = 0
    while after_id is not None:
        values = {
            **_all_of(selectors),
            "reviewer": reviewer,
            "note": note,
            "revise": revise,
            "after_id": after_id,
            "limit": step,
        }
        row = read_row(connection, _STEP[verdict], values)
        assert row is not None
        yield row["contents"]
        after_id = row["last_id"]


def _all_of(selectors: Mapping[str, Any]) -> dict[str, Any]:
    return {name: selectors.get(name) for name in SELECTORS}


def _decide(connection: Connection, statement: str, values: list[Any]) -> str:
    try:
        return str(read_value(connection, statement, values))
    except psycopg.Error as error:
        if error.sqlstate != REVIEW_REFUSED:
            raise
        raise ReviewRefused(error.diag.message_primary or str(error)) from None
