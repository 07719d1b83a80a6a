"""Similarity of a draft to earlier content of its account, by trigrams (PostgreSQL's extension pg_trgm)."""

from __future__ import annotations

import inspect
from typing import Any

import psycopg

from contentq.checks.check import Check, NotChecked, Subject
from contentq.errors import NoDatabase, PermanentError

EXTENSION = "pg_trgm"
"""The extension that it needs."""

_MOST_ALIKE = "SELECT content_id, title, likeness FROM contentq.most_alike(%s, %s::pg_catalog.text, %s)"

LAST = 50
"""Default number of contents to compare a draft with."""


class MaxLikeness(Check):
    """The similarity of the draft to each of the account's last contents is at most this, from 0 to 1 (equal).

    Rejected contents do not count. last: the number of contents to compare.
    """

    name = "max_likeness"
    is_costly = True

    def __init__(self, most: float, last: int = LAST) -> None:
        self.setting = most
        self._last = last

    async def find_problem(self, subject: Subject) -> str | None:
        """The problem with the draft, or None. Raises NotChecked without a database."""
        try:
            row = await self._most_alike(subject)
        except NoDatabase:
            raise NotChecked("there is no database to compare it with") from None
        except psycopg.errors.FeatureNotSupported as error:
            said = f"{error.diag.message_primary}; {error.diag.message_hint}"
            raise PermanentError(f"the check {self.name} cannot run: {said}") from None
        if row is None or row[2] <= self.setting:
            return None
        content_id, title, likeness = row
        which = f"'{' '.join(title[:100].split())}' (content {content_id})"
        most = f"{self.setting:.0%}"
        return (
            f"it is {likeness:.0%} like {which}; make that {most} at most, from another angle and in other words"
        )

    async def _most_alike(self, subject: Subject) -> Any:
        """The most similar row; None if there is no content to compare with.

        The connection is the one in whose transaction the task is completed if the draft passes.
        """
        values = [subject.task.id, subject.body, self._last]
        connection = subject.context.connection()
        if inspect.isawaitable(connection):
            connection = await connection
        cursor = connection.execute(_MOST_ALIKE, values)
        if inspect.isawaitable(cursor):
            return await (await cursor).fetchone()
        return cursor.fetchone()
