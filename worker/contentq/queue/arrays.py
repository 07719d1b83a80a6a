"""Formats PostgreSQL arrays as text; psycopg would dump every element, the largest cost of a report.

https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
"""

from __future__ import annotations

from collections.abc import Iterable


def integers(values: Iterable[int]) -> str:
    """Formats an array of integers."""
    return f"{{{','.join(map(str, values))}}}"


def texts(values: Iterable[str | None]) -> str:
    """Formats an array of texts; None becomes NULL."""
    return f"{{{','.join('NULL' if value is None else _quoted(value) for value in values)}}}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
