"""Forbidden words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from contentq.checks.check import CheckOfText, Subject, quoted
from contentq.content import CJK

_CJK = re.compile(f"[{CJK}]")
_SHOWN = 10
"""Maximum number of words in a message."""


class ForbiddenWords(CheckOfText):
    """None of these words or phrases is in the draft. Case is ignored; only whole words match.

    Chinese, Japanese and Korean words match anywhere, because nothing separates words there. Raises ValueError for
    an empty one.
    """

    name = "forbidden_words"

    def __init__(self, words: Sequence[str]) -> None:
        self.setting = list(words)
        forms: dict[str, str] = {}
        for word in words:
            if not word.split():
                raise ValueError("a word must not be empty")
            for form in ("NFC", "NFD"):
                forms.setdefault(_pattern(unicodedata.normalize(form, word)), word)
        self._words = list(forms.values())
        # Longest first, so that a message names the longest match. One pass: each alternative is a literal.
        order = sorted(range(len(forms)), key=lambda place: -len(self._words[place]))
        self._words = [self._words[place] for place in order]
        patterns = list(forms)
        self._find = re.compile("|".join(f"({patterns[place]})" for place in order) or "(?!)", re.IGNORECASE)

    def problem(self, subject: Subject) -> str | None:
        """The problem with the draft, or None."""
        found: Counter[str] = Counter()
        for match in self._find.finditer(subject.body):
            found[self._words[(match.lastindex or 1) - 1]] += 1
        if not found:
            return None
        named = quoted(sorted(found)[:_SHOWN])
        more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        return f"it contains {named}{more}, which must not be in it; use other words"


def _pattern(word: str) -> str:
    """A word as a regular expression that matches whole words, with any spaces between its parts."""
    parts = word.split()
    # Bounded: the text may consist of spaces only.
    text = r"\s{1,20}".join(re.escape(part) for part in parts)
    before = r"(?<!\w)" if _is_letter(parts[0][0]) else ""
    after = r"(?!\w)" if _is_letter(parts[-1][-1]) else ""
    return f"{before}{text}{after}"


def _is_letter(character: str) -> bool:
    return (character.isalnum() or character == "_") and not _CJK.match(character)
