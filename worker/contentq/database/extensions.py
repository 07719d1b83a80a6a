"""Checks for PostgreSQL extensions that handlers need."""

from __future__ import annotations

from collections.abc import Sequence

from contentq.database.database import Database
from contentq.errors import ContentQueueError

_MISSING = (
    "SELECT n.name FROM unnest(%s::text[]) AS n (name) WHERE n.name NOT IN (SELECT extname FROM pg_extension)"
)


def require_extensions(database: Database, names: Sequence[str], application: str) -> None:
    """Raises ContentQueueError if one of these extensions is not installed in the database."""
    if not names:
        return
    with database.connect(application) as connection:
        missing = [row[0] for row in connection.execute(_MISSING, [list(names)]).fetchall()]
    if missing:
        raise ContentQueueError(
            f"the handler needs the extension {missing[0]} in the database (for the check max_likeness); have a "
            f"user with the right to create extensions run: CREATE EXTENSION {missing[0]}"
        )
