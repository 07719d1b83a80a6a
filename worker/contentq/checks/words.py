"""How long a draft is, as contentq counts words: each Chinese, Japanese or Korean character is one."""

from __future__ import annotations

from contentq.checks.check import CheckOfText, Subject
from contentq.content import count_words


class MinWords(CheckOfText):
    """The draft has at least so many words."""

    name = "min_words"

    def __init__(self, least: int) -> None:
        self.setting = least

    def problem(self, subject: Subject) -> str | None:
        """What is wrong with the draft; None when nothing is."""
        words = count_words(subject.body)
        return None if words >= self.setting else f"it has {_shown(words)}; write at least {self.setting:,}"


class MaxWords(CheckOfText):
    """The draft has at most so many words."""

    name = "max_words"

    def __init__(self, most: int) -> None:
        self.setting = most

    def problem(self, subject: Subject) -> str | None:
        """What is wrong with the draft; None when nothing is."""
        words = count_words(subject.body)
        return None if words <= self.setting else f"it has {_shown(words)}; write at most {self.setting:,}"


def _shown(words: int) -> str:
    return f"{words:,} word" + ("" if words == 1 else "s")
