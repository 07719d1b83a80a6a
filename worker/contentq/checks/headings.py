"""Required headings, at any level."""

from __future__ import annotations

import re
from collections.abc import Sequence

from contentq.checks.check import CheckOfText, Subject, quoted
from contentq.titles import headings_of

_NUMBER = re.compile(r"\d[\d.)]*\s+")
_MARKS = " \t.:!?…。：！？"
_LONGEST = 500
"""Maximum length of a heading that is compared, in characters."""


class Headings(CheckOfText):
    """The draft has each of these headings. Case, a leading number and trailing punctuation are ignored.

    Raises ValueError for an empty one.
    """

    name = "headings"

    def __init__(self, headings: Sequence[str]) -> None:
        self.setting = list(headings)
        if any(not _comparable(heading) for heading in headings):
            raise ValueError("a heading must not be empty")

    def problem(self, subject: Subject) -> str | None:
        """The problem with the draft, or None."""
        there = {_comparable(heading) for heading in headings_of(subject.body)}
        missing = [heading for heading in self.setting if _comparable(heading) not in there]
        if not missing:
            return None
        return f"there is no heading {quoted(missing)}; add {'it' if len(missing) == 1 else 'them'}"


def _comparable(heading: str) -> str:
    text = " ".join(heading[:_LONGEST].split())
    return (_NUMBER.sub("", text, count=1) if _NUMBER.match(text) else text).rstrip(_MARKS).casefold()
