"""Title and Markdown out of the text that a model has answered with."""

from __future__ import annotations

import re

_THOUGHT = re.compile(r"\s*<think>.*?</think>", re.DOTALL)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_AROUND = re.compile(r"(`{3,}|~{3,})(?:markdown|md)?[ \t]*\n(.*)\n[ \t]*\1", re.DOTALL | re.IGNORECASE)
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*")
_EMPHASIS = re.compile(r"(\*\*|__|\*|_)(.+)\1")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")


def body_of(text: str) -> str:
    """The Markdown of an answer: without the thoughts of some models before it, and without a fence around it.

    It ends with a newline; it is empty when there is nothing to read in it.
    """
    text = _THOUGHT.sub("", text, count=1) if text.lstrip().startswith("<think>") else text
    text = text.replace("\r\n", "\n").strip()
    around = _AROUND.fullmatch(text)
    if around is not None and not _is_closed_within(around[2], around[1]):
        text = around[2].strip()
    return f"{text}\n" if text else ""


def title_of(body: str, topic: str | None) -> str:
    """The text of the first heading, else the topic in one line, else `Untitled`."""
    fence: str | None = None
    for line in body.splitlines():
        if fence is not None:
            fence = None if line.strip().startswith(fence) else fence
        elif opened := _FENCE.match(line):
            fence = opened[1]
        elif (heading := _HEADING.fullmatch(line)) and (title := _plain(heading[1])):
            return title
    return " ".join((topic or "").split()) or "Untitled"


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


def _plain(heading: str) -> str:
    """A heading without emphasis around all of it, and without backslashes."""
    whole = _EMPHASIS.fullmatch(heading.strip())
    return _ESCAPED.sub(r"\1", whole[2] if whole else heading).strip()
