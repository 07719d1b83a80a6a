"""The Markdown out of the text that a model has answered with."""

from __future__ import annotations

import re

_THOUGHT, _END_OF_THOUGHT = "<think>", "</think>"
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_MARKDOWN = ("", "markdown", "md")
"""What stands behind the fence that a model puts around the whole of its answer."""


def body_of(text: str) -> str:
    """The Markdown of an answer: without the thoughts of some models before it, and without a fence around it.

    It ends with a newline; it is empty when there is nothing to read in it.
    """
    if text.lstrip().startswith(_THOUGHT):
        thought, end, answer = text.partition(_END_OF_THOUGHT)
        text = answer if end else thought
    text = text.replace("\r\n", "\n").strip()
    inside = _inside_of_fence(text)
    if inside is not None:
        text = inside.strip()
    return f"{text}\n" if text else ""


def _inside_of_fence(text: str) -> str | None:
    """What is in the one block that the whole text is; None when it is none, or one of another language."""
    first, _, rest = text.partition("\n")
    inside, ended, last = rest.rpartition("\n")
    opened = _FENCE.match(first)
    if opened is None or not ended or last.strip(" \t") != opened[1]:
        return None
    if first[opened.end() :].rstrip(" \t").lower() not in _MARKDOWN:
        return None
    return None if _is_closed_within(inside, opened[1]) else inside


def _is_closed_within(inside: str, fence: str) -> bool:
    """Whether what looks like one block are two: its fence is closed before the end."""
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
