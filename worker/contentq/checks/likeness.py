"""How much a draft is like what its account already has, by trigrams, in PostgreSQL's extension pg_trgm."""

from __future__ import annotations

import inspect
from typing import Any

import psycopg

from contentq.checks.check import Check, NotChecked, Subject
from contentq.errors import NoDatabase, PermanentError

EXTENSION = "pg_trgm"
"""What the database must have for it."""

_MOST_ALIKE = "SELECT content_id, title, likeness FROM contentq.most_alike(%s, %s::pg_catalog.text, %s)"

LAST = 50
"""Contents that a draft is compared with, unless something else is set."""


class MaxLikeness(Check):
    """The draft is at most so much like each of the account's last contents: from 0 to 1, which is the same text.

    Rejected contents do not count. last: how many it is compared with.
    """

    name = "max_likeness"
    is_costly = True

    def __init__(self, most: float, last: int = LAST) -> None:
        self.setting = most
        self._last = last

    async def find_problem(self, subject: Subject) -> str | None:
        """What is wrong with the draft; None when nothing is. Raises NotChecked without a database."""
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
        """The row; None when there is nothing to compare it with.

        The connection is the one in whose transaction the task is completed, if the draft passes.
        """
        values = [subject.task.id, subject.body, self._last]
        connection = subject.context.connection()
        if inspect.isawaitable(connection):
            connection = await connection
        cursor = connection.execute(_MOST_ALIKE, values)
        if inspect.isawaitable(cursor):
            return await (await cursor).fetchone()
        return cursor.fetchone()
