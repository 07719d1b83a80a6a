"""Compares the output in a document with the real output."""

from __future__ import annotations

import re

_CHANGING = [
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?([+-]\d\d)?"), "<time>"),
    (re.compile(r"\d\d:\d\d:\d\d(\.\d+)?"), "<duration>"),
    (re.compile(r"\btook \d+\.\d\d s\b"), "took <seconds>"),
    (re.compile(r"\b\d+ seconds? ago\b"), "<age>"),
    (re.compile(r"(?<=  )\d+[smhd](?=  )"), "<age>"),  # a column of a table
    (re.compile(r"\bworker \d+ \(.+?, pid \d+\)"), "worker <worker>"),
    (re.compile(r"task-[0-9a-f]{32}"), "<task id>"),
    (re.compile(r'"seconds": [\d.]+'), '"seconds": <seconds>'),
    # The test provider replaces OpenAI.
    (re.compile(r"http://127\.0\.0\.1:\d+/v1|https://api\.openai\.com/v1"), "<address of the provider>"),
    (re.compile(r"127\.0\.0\.1:\d+|api\.openai\.com"), "<host of the provider>"),
    # Column widths depend on the values.
    (re.compile(r"-{2,}"), "-"),
    (re.compile(r" {2,}"), " "),
    (re.compile(r"^ | $", re.MULTILINE), ""),
]


def is_output(printed: str, documented: str) -> bool:
    """Whether a document shows what was printed; if it ends with a line `…`, the first lines of it."""
    actual, expected = comparable(printed).splitlines(), comparable(documented).splitlines()
    if expected[-1:] == ["…"]:
        return actual[: len(expected) - 1] == expected[:-1] and len(actual) >= len(expected)
    return actual == expected


def comparable(text: str) -> str:
    """The text without variable parts: ids, times, addresses, and the widths of columns."""
    for pattern, replacement in _CHANGING:
        text = pattern.sub(replacement, text)
    return text.strip()
