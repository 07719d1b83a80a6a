"""Content that a handler returns, to be stored together with the completion of its task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Without the dots and dashes that these ranges of Unicode hold beside the characters.
CJK = (
    r"\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
# Accents and vowel signs that are characters of their own, as in decomposed text and in Hindi.
_MARKS = r"\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0966-\u0dff"
# A run of characters is possessive (++): nothing has to be taken back. A group is not, since early releases of
# Python 3.11 (3.11.2 of Debian 12) match wrongly then; its bound keeps the stack small that this needs.
_LETTERS = rf"[^\W_{CJK}]++(?:[{_MARKS}]++[^\W_{CJK}]*+){{0,1000}}"
_WORD = re.compile(rf"[{CJK}]|{_LETTERS}(?:(?:['’.\-]|(?<=\d),(?=\d)){_LETTERS}){{0,1000}}")
# The same of a text in ASCII, three times as fast.
_ASCII_WORD = re.compile(r"[a-zA-Z0-9]++(?:(?:['.\-]|(?<=\d),(?=\d))[a-zA-Z0-9]++){0,1000}")


@dataclass(frozen=True)
class GeneratedContent:
    """A piece of content: it becomes a row of contents, and the task's result names it.

    title: up to 500 characters, the rest is cut. body: Markdown. word_count: counted when left out.
    result: further members of the task's result; anything that JSON can hold.
    """

    title: str
    body: str
    word_count: int | None = None
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PreviousContent:
    """What an earlier attempt at the same task has produced, such as a draft that a reviewer has rejected.

    review_status: pending, approved or rejected. body: Markdown.
    """

    id: int
    title: str
    body: str
    word_count: int
    review_status: str


def count_words(text: str) -> int:
    """The number of words; each Chinese, Japanese or Korean character counts as one, as editors count."""
    # One by one: a list of all would take more memory than the text, and let no other thread go on meanwhile.
    return sum(1 for _ in (_ASCII_WORD if text.isascii() else _WORD).finditer(text))
