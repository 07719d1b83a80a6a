"""Token counts: those of the server, checked for plausibility, and estimates for missing ones."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from typing import Any

TOKENS_PER_CHARACTER = 4
"""A token has at least one byte, and a character at most four."""

PROMPT_ROOM = 10_000
"""Tokens that a provider may add to a prompt: instructions and marks between messages."""

THOUGHT_ROOM = 200_000
"""Maximum number of unsent reasoning tokens if max_tokens is not set; no current model has more."""

MESSAGE_TOKENS = 4
"""Estimated tokens of the marks around a message."""

KINDS = ("prompt_tokens", "completion_tokens")

_NAMES = {
    "prompt_tokens": KINDS[0],
    "input_tokens": KINDS[0],
    "completion_tokens": KINDS[1],
    "output_tokens": KINDS[1],
}
_TWO_BYTES, _THREE_BYTES, _FOUR_BYTES = (
    bytes(range(0xC0, 0xE0)),
    bytes(range(0xE0, 0xF0)),
    bytes(range(0xF0, 0xF8)),
)
"""The first bytes of UTF-8 characters of each length."""


def estimate(text: str) -> float:
    """Estimates the tokens of a text.

    A token has four characters of ASCII, two of other alphabets, or one of Chinese, Japanese, Korean and the
    scripts after them in Unicode. A character outside the basic plane has two tokens.
    """
    if text.isascii():
        return len(text) / 4
    data = text.encode("utf-8", "replace")
    two, three, four = (
        len(data) - len(data.translate(None, lead)) for lead in (_TWO_BYTES, _THREE_BYTES, _FOUR_BYTES)
    )
    return (len(text) - two - three - four) / 4 + two / 2 + three + 2 * four


class Tokens:
    """The token counts of one call.

    Servers send them once at the end, or the current counts with each piece, in `usage` or next to it. The largest
    count of each kind is used.
    """

    def __init__(self) -> None:
        self.said: dict[str, Any] = {}
        """The server's counts, including invalid ones; at most one value of each kind."""

    def take(self, *places: Any) -> None:
        """Records the counts in these places; ignores values that are not usage."""
        for usage in places:
            if isinstance(usage, Mapping):
                self._take(usage)

    def _take(self, usage: Mapping[str, Any]) -> None:
        found: dict[str, Any] = {}
        for name, kind in _NAMES.items():
            if usage.get(name) is not None:
                found.setdefault(kind, usage[name])
        total = usage.get("total_tokens")
        if all(is_count(found.get(kind)) for kind in KINDS) and is_count(total):
            # Some servers exclude reasoning tokens from the completion, and charge for them.
            found[KINDS[1]] = max(found[KINDS[1]], total - found[KINDS[0]])
        for kind, number in found.items():
            before = self.said.get(kind)
            if not is_count(before) or (is_count(number) and number > before):
                self.said[kind] = number

    def count(self, kind: str) -> int | None:
        """The count of this kind; None if the server sent no valid one."""
        number = self.said.get(kind)
        return number if is_count(number) else None

    @property
    def are_said(self) -> bool:
        """Whether the server sent all counts."""
        return all(self.count(kind) is not None for kind in KINDS)


def is_count(said: Any) -> bool:
    """Whether this is a valid number of tokens."""
    return type(said) is int and said >= 0


def rounded(tokens: float) -> int:
    """An estimate as a number of tokens, rounded up."""
    return math.ceil(tokens)


def shown(said: int) -> int | str:
    """A number as JSON; an absurdly large one as shortened text."""
    return said if said <= 10**18 else reprlib.repr(said)
