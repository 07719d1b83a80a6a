"""The category of a task as part of a name: of a template file, of a table of settings."""

from __future__ import annotations

import re


def slug(category: str | None) -> str:
    """A category in lower case, with dashes for all that is no letter or digit: `Slow Food!` is `slow-food`."""
    return re.sub(r"[^\w-]+", "-", category or "").strip("-").lower()
