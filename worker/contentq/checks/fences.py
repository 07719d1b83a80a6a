"""The JSON out of the text that a model has answered with."""

from __future__ import annotations

import re

_FENCE = re.compile(r"(`{3,}|~{3,})[ \t]{0,20}(?:json[c5]?)?[ \t]{0,20}\n", re.IGNORECASE)


def without_fence(text: str) -> str:
    """A text without the code fence that a model has put around all of it; it ends with a newline."""
    bare = text.strip()
    opened = _FENCE.match(bare)
    if opened is not None:
        inside, ended, last = bare[opened.end() :].rpartition("\n")
        if ended and last.strip() == opened[1]:
            bare = inside.strip()
    return f"{bare}\n" if bare else ""
