"""Comparing what a document shows with what really came out."""

from __future__ import annotations

import re

_CHANGING = [
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?([+-]\d\d)?"), "<time>"),
    (re.compile(r"\d\d:\d\d:\d\d\.\d+"), "<duration>"),
    (re.compile(r"\btook \d+\.\d\d s\b"), "took <seconds>"),
    (re.compile(r"task-[0-9a-f]{32}"), "<task id>"),
    # The width of a column follows its values.
    (re.compile(r"-{2,}"), "-"),
    (re.compile(r" {2,}"), " "),
    (re.compile(r"^ | $", re.MULTILINE), ""),
]


def comparable(text: str) -> str:
    """The text without what is different each time: ids, times, and the widths of columns."""
    for pattern, replacement in _CHANGING:
        text = pattern.sub(replacement, text)
    return text.strip()
