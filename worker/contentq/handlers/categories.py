"""Converts the category of a task to a part of a name: of a template file or a settings table."""

from __future__ import annotations

import re


def slug(category: str | None) -> str:
    """A category in lower case, with dashes for all characters other than letters and digits.

    `Slow Food!` becomes `slow-food`.
    """
    return re.sub(r"[^\w-]+", "-", category or "").strip("-").lower()
