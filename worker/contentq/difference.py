"""What has changed from one version of a text to the next, word by word.

Articles have a paragraph on each line: a difference by lines would show two long paragraphs for one word. So lines
are compared first, and in those that were replaced, words.
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
"""Lines of either text that are compared, beside those that both begin and end with: time grows by the square."""

MOST_WORDS = 2000
"""Words of either side of one change that are compared."""

MOST_WORDS_OF_ALL = 40_000
"""Words of all changes that are compared; later ones are shown as they were and as they are."""

_WORDS = re.compile(rf"\s+|[{CJK}]|[^\W{CJK}]+|\W")


@dataclass(frozen=True)
class Piece:
    """A part of the two texts: in both, only in the earlier one, or only in the later one."""

    kind: Kind
    text: str


def difference(before: str, after: str) -> list[Piece]:
    """The pieces in order: what is not added makes up the earlier text, what is not removed the later."""
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
    """What stands in place of what, in order; equal on both sides where nothing has changed."""
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
