"""Finds the title of a Markdown text in linear time, because a model's answer may be any text."""

from __future__ import annotations

import re
from collections.abc import Iterator

UNTITLED = "Untitled"

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_EMPHASIS = ("**", "__", "*", "_")
_MOST_HASHES = 6
_MOST_INDENT = 3


def title_of(markdown: str, topic: str | None = None) -> str:
    """Returns the first heading as plain text, else the topic on one line, else `Untitled`."""
    return heading_of(markdown) or " ".join((topic or "").split()) or UNTITLED


def heading_of(markdown: str) -> str | None:
    """Returns the first non-empty heading as plain text: without emphasis of the whole heading and backslashes.

    A heading starts with one to six #, or is underlined with =. None if there is no heading outside of code.
    """
    return next(_headings(markdown, "="), None)


def headings_of(markdown: str) -> Iterator[str]:
    """Yields all headings, including those underlined with -, as plain text like heading_of()."""
    return _headings(markdown, "=-")


def outside_code(markdown: str) -> Iterator[str]:
    """Yields the lines outside of fenced blocks."""
    fence: str | None = None
    for line in markdown.splitlines():
        if fence is not None:
            bare = line.strip()
            if bare.startswith(fence) and not bare.strip(fence[0]):
                fence = None
        elif opened := _FENCE.match(line):
            fence = opened[1]
        else:
            yield line


def _headings(markdown: str, underlines: str) -> Iterator[str]:
    before = ""
    for line in outside_code(markdown):
        heading = _heading_text(line)
        if heading is None and before and _is_underline(line, underlines):
            heading = before
        title = _plain(heading) if heading else ""
        if title:
            yield title
        before = line.strip()


def _heading_text(line: str) -> str | None:
    """Returns the text of a heading with #; None for any other line."""
    text = line.lstrip(" ")
    hashes = len(text) - len(text.lstrip("#"))
    after = text[hashes:]
    if len(line) - len(text) > _MOST_INDENT or not 1 <= hashes <= _MOST_HASHES or after[:1] not in ("", " ", "\t"):
        return None
    after = after.strip()
    closed = after.rstrip("#")
    return closed.rstrip() if closed[-1:] in ("", " ", "\t") else after


def _is_underline(line: str, marks: str) -> bool:
    text = line.strip()
    is_one = text[:1] in marks and not text.strip(text[:1])
    return bool(text) and is_one and len(line) - len(line.lstrip(" ")) <= _MOST_INDENT


def _plain(heading: str) -> str:
    text = heading.strip()
    for mark in _EMPHASIS:
        inside = text[len(mark) : -len(mark)]
        if inside and text == f"{mark}{inside}{mark}" and mark not in inside:
            text = inside
    return _ESCAPED.sub(r"\1", text).strip()
