"""How much a draft is like what its account already has, by trigrams, in PostgreSQL's extension pg_trgm."""

from __future__ import annotations

import inspect

from contentq.checks.check import Check, NotChecked, Subject
from contentq.errors import NoDatabase

EXTENSION = "pg_trgm"
"""What the database must have for it."""

LAST = 50
"""Contents that a draft is compared with, unless something else is set."""


class MaxLikeness(Check):
    """The draft is at most so much like each of the account's last contents: from 0 to 1, which is the same text.

    Rejected contents do not count. last: how many it is compared with.
    """

    name = "max_likeness"

    def __init__(self, most: float, last: int = LAST) -> None:
        self.setting = most
        self._last = last

    async def find_problem(self, subject: Subject) -> str | None:
        """What is wrong with the draft; None when nothing is. Raises NotChecked without a database."""
        try:
            found = subject.context.most_alike(subject.body, self._last)
            alike = await found if inspect.isawaitable(found) else found
        except NoDatabase:
            raise NotChecked("there is no database to compare it with") from None
        if alike is None or alike.likeness <= self.setting:
            return None
        title = " ".join(alike.title[:100].split())
        return (
            f"it is {alike.likeness:.0%} like '{title}' (content {alike.content_id}), which was written before; "
            f"make that {self.setting:.0%} at most, from another angle and in other words"
        )
