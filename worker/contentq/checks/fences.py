"""Extracts JSON from the answer of a model."""

from __future__ import annotations

import re

_FENCE = re.compile(r"(`{3,}|~{3,})[ \t]{0,20}(?:json[c5]?)?[ \t]{0,20}\n", re.IGNORECASE)


def without_fence(text: str) -> str:
    """The text without a code fence around all of it, ending with a newline."""
    bare = text.strip()
    opened = _FENCE.match(bare)
    if opened is not None:
        inside, ended, last = bare[opened.end() :].rpartition("\n")
        if ended and last.strip() == opened[1]:
            bare = inside.strip()
    return f"{bare}\n" if bare else ""
