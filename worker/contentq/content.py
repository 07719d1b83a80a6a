"""Content that a handler returns, to be stored together with the completion of its task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+(?:['’.\-][^\W_{_CJK}]+)*")


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


def count_words(text: str) -> int:
    """The number of words; each Chinese, Japanese or Korean character counts as one, as editors count."""
    return sum(1 for _ in _WORD.finditer(text))
