"""Separates the reasoning of a model from its answer if a server sends both in one text.

Some servers send reasoning in a separate field (stream.py). Others leave it in the text, between marks that depend
on the model, or with only the closing mark if the prompt has opened it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CLOSING_OF = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<seed:think>": "</seed:think>",
    "<|start_thinking|>": "<|end_thinking|>",
    "<|channel|>analysis<|message|>": "<|channel|>final<|message|>",
    "◁think▷": "◁/think▷",
    "[think]": "[/think]",
}
"""The marks around reasoning, in lower case."""

_CHANNEL_MARK = "<|channel|>analysis<|message|>"
"""Several of these marks share one closing mark."""

_BRACKETS = ("[think]", "[/think]")
_ALL = [mark for both in _CLOSING_OF.items() for mark in both if mark not in _BRACKETS]
# The last counts in upper case only, and not as a link, which `[Think](…)` is in Markdown.
_MARK = re.compile(rf"(?i:{'|'.join(map(re.escape, _ALL))})|\[/?THINK\](?!\()")
_CHANNEL = re.compile(r"<\|start\|>assistant|<\|(?:end|return)\|>")
"""Marks left between the channels of an answer."""

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_SOLID = re.compile(r"\S")
_QUOTED = re.compile(r"(?<!\w)([`'\"“‘])(?=[<\[◁])")
"""An opening quote before a mark."""


@dataclass(frozen=True)
class Separated:
    """The parts of a text."""

    answer: str
    thoughts: str

    is_unfinished: bool
    """Whether reasoning was opened and not closed, so that the answer is unknown."""


def separate(text: str) -> Separated:
    """Separates the reasoning from a text, in linear time.

    A mark counts where an answer may begin, and at the beginning of a line outside code blocks. Nested reasoning
    is part of the outer reasoning. Without an opening mark, a closing mark turns all text before it into
    reasoning. Marks in quotes or backticks are text.
    """
    if _MARK.search(text) is None:
        return Separated(text, "", is_unfinished=False)
    kept: list[str] = []
    thoughts: list[str] = []
    fence, begin, first = _Fence(text), 0, _first_of(text, 0)
    opened: tuple[str, int, int | None] | None = None
    ends = _ends(text)
    skipped: dict[str, tuple[int, bool]] = {}  # positions of the closing marks of pairs that are text
    for found in _MARK.finditer(text):
        mark, start, end = found[0].lower(), found.start(), found.end()
        if opened is not None:
            if mark == opened[0] and opened[2] in (None, start):
                thoughts.append(text[opened[1] : start])
                fence.restart(end)
                opened, begin, first = None, end, _first_of(text, end)
            continue
        closing = _CLOSING_OF.get(mark)
        if closing is not None:
            if start <= first or (_begins_line(text, start) and not fence.holds(start)):
                kept.append(text[begin:start])
                opened = (closing, end, ends.get(start))
            else:
                skipped[closing] = start, fence.holds(start)
        elif _closes(text, start, end, mark, skipped, fence, is_known=bool(thoughts)):
            thoughts.extend((*kept, text[begin:start]))
            kept.clear()
            fence.restart(end)
            begin, first = end, _first_of(text, end)
    if opened is not None:
        thoughts.append(text[opened[1] :])
    else:
        kept.append(text[begin:])
    answer, thought = "".join(kept), "\n\n".join(filter(None, map(str.strip, thoughts)))
    if "<|channel|>" in text:
        answer, thought = _CHANNEL.sub("", answer), _CHANNEL.sub("", thought)
    return Separated(answer, thought, opened is not None)


def _ends(text: str) -> dict[int, int]:
    """The position of its closing mark, for each opening mark.

    Marks without a closing mark are omitted: a model that mentions `<think>` in its reasoning does not open
    another level.
    """
    ends: dict[int, int] = {}
    waiting: dict[str, list[int]] = {}
    for found in _MARK.finditer(text):
        mark, start = found[0].lower(), found.start()
        closing = _CLOSING_OF.get(mark)
        begun = waiting.setdefault(closing or mark, [])
        is_inside = bool(begun) and _is_quoted(text, start, found.end())
        if closing is not None and mark != _CHANNEL_MARK and not is_inside:
            begun.append(start)
        elif closing is None and begun and not is_inside:
            ends[begun.pop()] = start
    return ends


def _is_quoted(text: str, start: int, end: int) -> bool:
    return start > 0 and bool(_QUOTED.match(text, start - 1)) and text[end : end + 1] in tuple("`'\"”’")


def _closes(
    text: str,
    start: int,
    end: int,
    mark: str,
    skipped: dict[str, tuple[int, bool]],
    fence: _Fence,
    *,
    is_known: bool,
) -> bool:
    """Whether an unmatched closing mark ends reasoning. is_known: there was reasoning before it."""
    if _is_quoted(text, start, end):
        return False
    begins, ends = _begins_line(text, start), _ends_line(text, end)
    if is_known:
        return begins and ends and not fence.holds(start)
    if mark not in skipped:
        return True
    opening, was_code = skipped.pop(mark)
    is_same_line = text.find("\n", opening, start) < 0
    return (begins or ends) and not is_same_line and not (was_code and fence.holds(start))


def _first_of(text: str, begin: int) -> int:
    """The position of the first character that is not a space."""
    found = _SOLID.search(text, begin)
    return found.start() if found else len(text)


def _begins_line(text: str, start: int) -> bool:
    line = text.rfind("\n", max(0, start - 4), start) + 1
    return (line > 0 or start <= 3) and not text[line:start].strip(" ")


def _ends_line(text: str, end: int) -> bool:
    return text[end : end + 1] in ("", "\n", "\r")


class _Fence:
    """Tells which positions of a text are in a code block; query them in ascending order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._line = 0
        self._opened: str | None = None

    def restart(self, at: int) -> None:
        """Restarts the search: an answer begins here."""
        self._line, self._opened = at, None

    def holds(self, place: int) -> bool:
        """Whether this position is in a block that was opened on an earlier line."""
        while (end := self._text.find("\n", self._line, place)) >= 0:
            found = _FENCE.match(self._text, self._line, end)
            if found is not None and self._opened is None:
                self._opened = found[1]
            elif found is not None and self._opened is not None:
                rest = self._text[self._line : end].strip()
                if rest.startswith(self._opened) and not rest.strip(self._opened[0]):
                    self._opened = None
            self._line = end + 1
        return self._opened is not None
