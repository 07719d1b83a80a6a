"""Interprets the standard output of a program: content, or a result."""

from __future__ import annotations

import json
from typing import Any

from contentq.content import GeneratedContent
from contentq.errors import PermanentError
from contentq.titles import title_of
from contentq.usage import MEMBERS

Answer = GeneratedContent | dict[str, Any] | None

_OWN = ("title", "body", "word_count", "result")

_MOST_BRACKETS = 200_000
"""Maximum number of opening brackets in JSON: an object takes far more memory than its text."""


def answer_of(stdout: bytes, topic: str | None) -> Answer:
    """Returns the handler's result for this output of a program that succeeded.

    No output: None. A JSON object with title and body: content; its other members go into the result. Another JSON
    object: the result. Anything else: content in Markdown, with its first heading, or the topic, as the title.
    Raises PermanentError for output that is not UTF-8, or is malformed JSON.
    """
    try:
        text = stdout.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PermanentError(
            f"the program's output is not UTF-8: byte 0x{stdout[error.start]:02x} at position {error.start}"
        ) from None
    stripped = text.strip()
    if not stripped:
        return None
    if stripped.startswith("{"):
        return _answer_of_object(_object(stripped), topic)
    if stripped.startswith("[") and _is_json(stripped):
        raise PermanentError("the program's output is a JSON array; it must be an object, or Markdown")
    return GeneratedContent(title=title_of(stripped, topic), body=text.strip("\r\n") + "\n")


def draft_of(members: dict[str, Any]) -> GeneratedContent | None:
    """The content in these members of a JSON object; None if it lacks title and body. Raises PermanentError."""
    answer = _answer_of_object(members, None)
    return answer if isinstance(answer, GeneratedContent) else None


def object_or_nothing(stdout: bytes) -> dict[str, Any]:
    """The JSON object in this output; empty if the output is something else."""
    try:
        value = _parse(stdout.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def usage_of(members: dict[str, Any]) -> dict[str, Any] | None:
    """The members that report usage; None if there are none."""
    return {name: members[name] for name in MEMBERS if name in members} or None


def _object(text: str) -> dict[str, Any]:
    try:
        value: dict[str, Any] = _parse(text)
    except (ValueError, RecursionError) as error:
        said = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise PermanentError(
            f"the program's output begins with {{ but is not a JSON object: {said}; Markdown must not "
            "begin with {"
        ) from None
    return value


def _parse(text: str) -> Any:
    """Parses JSON. Raises ValueError or RecursionError."""
    if text.count("{") + text.count("[") > _MOST_BRACKETS:
        raise ValueError(f"it has more than {_MOST_BRACKETS:,} brackets")
    return json.loads(text)


def _is_json(text: str) -> bool:
    try:
        _parse(text)
    except ValueError:
        return False
    except RecursionError:
        return True
    return True


def _answer_of_object(members: dict[str, Any], topic: str | None) -> Answer:
    if not ("title" in members and "body" in members):
        return members
    title, body, words, result = (members.get(name) for name in _OWN)
    others = {name: value for name, value in members.items() if name not in _OWN}
    extra = {**others, **(result if isinstance(result, dict) else {})}
    usage = usage_of(extra)
    for name, value, fits, kind in (
        ("title", title, isinstance(title, str), "a string"),
        ("body", body, isinstance(body, str), "a string"),
        ("word_count", words, words is None or type(words) is int, "an integer"),
        ("result", result, result is None or isinstance(result, dict), "an object"),
    ):
        if not fits:
            said = f"member {name} of the program's output is {_kind(value)}; it must be {kind}"
            raise PermanentError(said, usage=usage)
    if not str(body).strip():
        raise PermanentError("member body of the program's output is empty", usage=usage)
    return GeneratedContent(
        title=str(title).strip() or title_of("", topic),
        body=str(body),
        word_count=words,
        result=extra,
    )


def _kind(value: Any) -> str:
    """The type of a JSON value, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    kinds: dict[type, str] = {str: "a string", dict: "an object", list: "an array"}
    return kinds.get(type(value), "a number")
