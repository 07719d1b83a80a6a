"""Escapes invisible characters, and those that control a terminal, in text from outside.

A task's text, a provider's answer or a program's output may contain control characters, marks that reorder the
text (CVE-2021-42574), and characters without width, which make two names look the same. They are shown as in
Python: \\x1b, \\u202e, \\U000e0041. Backslashes are not escaped, because the output is for people; --json is
exact.
"""

from __future__ import annotations

import re
from functools import cache

LINES = "\n\t"
"""The characters that text with several lines keeps: line breaks and tabs."""

PROSE = f"{LINES}\u200c\u200d\ufe00-\ufe0f"
"""The characters that an article keeps, too: the joiners that Persian, Hindi and many emoji need, and variation
selectors."""

_INVISIBLE = (
    "\x00-\x1f\x7f-\x9f"  # control characters: C0, DEL, C1
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\U00016fe4"  # soft hyphen, joiner, fillers
    "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"  # width, direction, lines, byte order
    "\ufe00-\ufe0f\U000e0000-\U000e0fff"  # variation selectors, tags
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # shorthand and musical controls
    "\ud800-\udfff"  # surrogates
)

_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def escape(text: str, kept: str = "") -> str:
    """Escapes all invisible characters.

    kept: LINES or PROSE, the characters to keep; by default none, so that the result is one line.
    """
    if kept:
        text = text.replace("\r\n", "\n")
    return _pattern(kept).sub(_written, text)


def escape_json(text: str) -> str:
    """Escapes the same characters in JSON text in JSON's way, which does not change its values."""
    return _pattern(LINES).sub(_written_for_json, text)


@cache
def _pattern(kept: str) -> re.Pattern[str]:
    return re.compile(f"(?![{kept}])[{_INVISIBLE}]" if kept else f"[{_INVISIBLE}]")


def _written(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _written_for_json(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
