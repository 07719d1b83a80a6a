"""Text that came from outside, as it is shown: what cannot be seen, or steers a terminal, is written as an escape.

A task's text, a provider's answer or a program's output may hold control characters, which a terminal obeys, marks
that reorder what is read (CVE-2021-42574), and characters that take no room, so that two names look the same. All
of them are shown as Python writes them: \\x1b, \\u202e, \\U000e0041. Backslashes stay: this is for people, and
--json has the text itself.
"""

from __future__ import annotations

import re
from functools import cache

LINES = "\n\t"
"""What the text of a whole screen keeps: line breaks and tabs."""

PROSE = f"{LINES}\u200c\u200d\ufe00-\ufe0f"
"""What an article keeps as well: the joiners without which Persian, Hindi and many emoji are misspelled, and the
choice between a character's forms."""

_INVISIBLE = (
    "\x00-\x1f\x7f-\x9f"  # control characters: C0, DEL, C1
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\U00016fe4"  # soft hyphen, joiner, fillers
    "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"  # width, direction, lines, byte order
    "\ufe00-\ufe0f\U000e0000-\U000e0fff"  # variation selectors, tags
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # shorthand and musical controls
    "\ud800-\udfff"  # what is no character
)

_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def escape(text: str, kept: str = "") -> str:
    """The text with every character that cannot be seen written as an escape.

    kept: LINES or PROSE for what stays; by default nothing does, so that the result is one line.
    """
    if kept:
        text = text.replace("\r\n", "\n")
    return _pattern(kept).sub(_written, text)


def escape_json(text: str) -> str:
    """JSON with the same characters as JSON escapes them: it is valid, and stands for the same values."""
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
