"""How much waits."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg.rows import TupleRow

_COUNT = """
    SELECT count(*)
    FROM public.content_generation_tasks
    WHERE status = 'pending' AND (scheduled_at IS NULL OR scheduled_at <= clock_timestamp())
      AND (%(categories)s::text[] IS NULL OR category = ANY (%(categories)s))"""


def count_waiting(connection: psycopg.Connection[TupleRow], categories: Sequence[str] | None) -> int:
    """The number of tasks that could be claimed now."""
    row = connection.execute(_COUNT, {"categories": list(categories) if categories else None}).fetchone()
    return 0 if row is None else int(row[0])
