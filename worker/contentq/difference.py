"""The differences between two versions of a text, word by word.

Articles have one paragraph per line, so that a comparison by lines would show two long paragraphs for one changed
word. Therefore lines are compared first, then the words of changed lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, TypeAlias

from contentq.content import CJK

Kind: TypeAlias = Literal["same", "removed", "added"]

MOST_LINES = 2000
"""Maximum number of lines to compare, without common lines at start and end; the time grows by the square."""

MOST_WORDS = 2000
"""Maximum number of words to compare on either side of a change."""

MOST_WORDS_OF_ALL = 40_000
"""Maximum number of words to compare in all changes; later changes are shown as removed and added as a whole."""

_WORDS = re.compile(rf"\s+|[{CJK}]|[^\W{CJK}]+|\W")


@dataclass(frozen=True)
class Piece:
    """A part of both texts, only of the earlier one, or only of the later one."""

    kind: Kind
    text: str


def difference(before: str, after: str) -> list[Piece]:
    """Returns the pieces in order: same and removed ones form the earlier text, same and added ones the later."""
    pieces: list[Piece] = []
    left = MOST_WORDS_OF_ALL
    for removed, added in _changes(before.splitlines(keepends=True), after.splitlines(keepends=True), MOST_LINES):
        if removed == added:
            pieces.append(Piece("same", "".join(added)))
            continue
        old, new = _words(removed), _words(added)
        left -= len(old) + len(new)
        for was, is_ in _changes(old, new, MOST_WORDS if left > 0 else 0):
            kinds: list[tuple[Kind, Sequence[str]]] = [("removed", was), ("added", is_)]
            if was == is_:
                kinds = [("same", is_)]
            pieces += [Piece(kind, "".join(words)) for kind, words in kinds if words]
    return pieces


def _words(lines: Sequence[str]) -> list[str]:
    return _WORDS.findall("".join(lines))


def _changes(
    before: Sequence[str], after: Sequence[str], most: int
) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """Yields pairs of a replaced and a replacing part, in order; they are equal where nothing has changed."""
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    if start:
        yield before[:start], after[:start]
    was, is_ = before[start : len(before) - end], after[start : len(after) - end]
    if max(len(was), len(is_)) > most:
        yield was, is_
    else:
        for _, i1, i2, j1, j2 in SequenceMatcher(None, was, is_).get_opcodes():
            yield was[i1:i2], is_[j1:j2]
    if end:
        yield before[len(before) - end :], after[len(after) - end :]
