"""Counts waiting tasks."""

from __future__ import annotations

from collections.abc import Sequence

from contentq.queue.reading import Connection, read_value

_COUNT = """
    SELECT count(*)
    FROM contentq.tasks
    WHERE status = 'pending' AND (scheduled_at IS NULL OR scheduled_at <= clock_timestamp())
      AND (%(categories)s::text[] IS NULL OR category = ANY (%(categories)s))"""


def count_waiting(connection: Connection, categories: Sequence[str] | None) -> int:
    """Returns the number of tasks that could be claimed now."""
    return int(read_value(connection, _COUNT, {"categories": list(categories) if categories else None}))
