"""Content that a handler returns, which is stored when its task is completed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Without the punctuation in these Unicode ranges.
CJK = (
    r"\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
# Accents and vowel signs that are separate characters, as in decomposed text and in Hindi.
_MARKS = r"\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0966-\u0dff"
# Runs of characters are possessive (++), because they need no backtracking. A group is not, because early
# releases of Python 3.11 (3.11.2 in Debian 12) then match wrongly; its bound limits the stack that this needs.
_LETTERS = rf"[^\W_{CJK}]++(?:[{_MARKS}]++[^\W_{CJK}]*+){{0,1000}}"
_WORD = re.compile(rf"[{CJK}]|{_LETTERS}(?:(?:['’.\-]|(?<=\d),(?=\d)){_LETTERS}){{0,1000}}")
# The same for ASCII text, three times as fast.
_ASCII_WORD = re.compile(r"[a-zA-Z0-9]++(?:(?:['.\-]|(?<=\d),(?=\d))[a-zA-Z0-9]++){0,1000}")


@dataclass(frozen=True)
class GeneratedContent:
    """A piece of content. It becomes a row of contents, and the task's result refers to it.

    title: up to 500 characters; the rest is cut. body: Markdown. word_count: counted if not given.
    result: further members of the task's result; any JSON values.
    """

    title: str
    body: str
    word_count: int | None = None
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PreviousContent:
    """The content of an earlier attempt at the same task, such as a draft that a reviewer has rejected.

    review_status: pending, approved or rejected. body: Markdown.
    """

    id: int
    title: str
    body: str
    word_count: int
    review_status: str


def count_words(text: str) -> int:
    """Counts the words; each Chinese, Japanese or Korean character counts as one word."""
    # A list of all words would take more memory than the text, and block other threads until it is complete.
    return sum(1 for _ in (_ASCII_WORD if text.isascii() else _WORD).finditer(text))
