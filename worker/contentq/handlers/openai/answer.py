"""Extracts the Markdown from a model's answer."""

from __future__ import annotations

import re

from contentq.handlers.openai.thoughts import Separated, separate

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_MARKDOWN = ("", "markdown", "md")
"""Info strings of a fence around a whole answer."""


def body_of(text: str) -> Separated:
    """Returns the Markdown of an answer without a fence around it, and the thoughts found in the text.

    The Markdown ends with a newline; it is empty if the answer has no visible text.
    """
    found = separate(text.replace("\r\n", "\n"))
    body = found.answer.strip()
    inside = _inside_of_fence(body)
    if inside is not None:
        within = separate(inside)
        thoughts = "\n\n".join(filter(None, (found.thoughts, within.thoughts)))
        found = Separated(within.answer, thoughts, found.is_unfinished or within.is_unfinished)
        body = within.answer.strip()
    return Separated(f"{body}\n" if body else "", found.thoughts, found.is_unfinished)


def _inside_of_fence(text: str) -> str | None:
    """The content of the one block that makes up the whole text.

    None if there is no such block, or it has another language.
    """
    first, _, rest = text.partition("\n")
    inside, ended, last = rest.rpartition("\n")
    opened = _FENCE.match(first)
    if opened is None or not ended or last.strip(" \t") != opened[1]:
        return None
    if first[opened.end() :].rstrip(" \t").lower() not in _MARKDOWN:
        return None
    return None if _is_closed_within(inside, opened[1]) else inside


def _is_closed_within(inside: str, fence: str) -> bool:
    """Whether an apparent single block is in fact two: its fence is closed before the end."""
    inner: str | None = None
    for line in inside.splitlines():
        bare = line.strip()
        if inner is not None:
            inner = None if bare.startswith(inner) and not bare.strip(inner[0]) else inner
        elif opened := _FENCE.match(line):
            if not bare.strip(fence[0]) and bare.startswith(fence):
                return True
            inner = opened[1]
    return inner is not None
