"""The length of a draft in words; each Chinese, Japanese or Korean character counts as one."""

from __future__ import annotations

from contentq.checks.check import CheckOfText, Subject
from contentq.content import count_words


class MinWords(CheckOfText):
    """The draft has at least this number of words."""

    name = "min_words"

    def __init__(self, least: int) -> None:
        self.setting = least

    def problem(self, subject: Subject) -> str | None:
        """The problem with the draft, or None."""
        words = count_words(subject.body)
        return None if words >= self.setting else f"it has {_shown(words)}; write at least {self.setting:,}"


class MaxWords(CheckOfText):
    """The draft has at most this number of words."""

    name = "max_words"

    def __init__(self, most: int) -> None:
        self.setting = most

    def problem(self, subject: Subject) -> str | None:
        """The problem with the draft, or None."""
        words = count_words(subject.body)
        return None if words <= self.setting else f"it has {_shown(words)}; write at most {self.setting:,}"


def _shown(words: int) -> str:
    return f"{words:,} word" + ("" if words == 1 else "s")
