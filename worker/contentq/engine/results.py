"""Turns the return value or the error of a handler into an outcome to report."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import os
import re
import sysconfig
import traceback
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from contentq.content import GeneratedContent, count_words
from contentq.engine.usage import usage_in, usage_of, usage_of_outcome
from contentq.errors import (
    MAX_REVISIONS,
    CheckFailed,
    HandlerError,
    NoGateHasRoom,
    PermanentError,
    ProviderUnavailable,
    RateLimited,
    Snooze,
    as_timedelta,
)
from contentq.queue.outcomes import Completed, Failed, Held, LeftGate, Outcome, Revised, Snoozed, Stored
from contentq.storable import as_number, as_text

log = logging.getLogger("contentq.worker")

LARGE_BODY = 20_000
"""Length of content, in characters, from which words are counted in a thread."""

EVERY_GATE = "*"
"""The gate of every worker, which only operators close."""

LONGEST_KEY = 300
"""Characters of a gate's key; the longest name of a host with its port has fewer."""

TITLE_LENGTH = 500
"""Characters that contents.title holds (spec)."""

MOST_REVISIONS = 1_000_000
"""Upper limit of a delay: more is a mistake, and PostgreSQL's range is not exceeded."""

MOST_WORDS = 2_147_483_647
"""Maximum of contents.word_count."""

LARGEST = 256_000_000
"""Bytes of a result or a text; PostgreSQL's own limits: 268 MB for what jsonb can hold, 1 GB for a message."""

LARGEST_STATE = 8192
"""Maximum size, in bytes, of the state for the next attempt; the same as in the constraint of handler_state."""

MESSAGE_LENGTH = 7_500
"""Maximum length of an unexpected error's text, in characters, so that its place in the code is stored too."""

TRACEBACK_LENGTH = 10_000
"""Characters of a traceback that go to the log of a worker, or to the screen."""

_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
"""Folders of code that is not the user's: Python's library and installed packages."""

_CONTENTQ = str(Path(__file__).resolve().parents[1])

_OWN = ("success", "content_id", "word_count")
"""Members of the result of content that contentq sets.

A handler's member of the same name would come later, and ->> takes the last one.
"""

FAILED_CHECKS = "failed_checks"
"""The member, set by contentq, of the result of content that waits for review because its checks failed."""

_SUCCESS = '{"success": true}'
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def outcome_of(held: Held, value: Any) -> Outcome:
    """The outcome of a handler that returned this value; a value that cannot be stored is a failure."""
    try:
        if value is None:
            return Completed(held, _SUCCESS)
        if isinstance(value, GeneratedContent):
            return _outcome_of_content(held, value)
        if isinstance(value, Mapping):
            return Completed(held, _as_json(dict(value)))
    except (TypeError, ValueError, RecursionError) as error:
        message = f"what the handler returned cannot be stored as JSON: {error_text(error)}"
        return refusal(held, message, _usage_in(held, value))
    if inspect.iscoroutine(value):
        value.close()
        return refusal(held, "the handler returned a coroutine; write it as `async def`, so that it is awaited")
    return refusal(
        held,
        f"the handler returned {_article(type(value).__name__)}; it must return a dict (the result), "
        "GeneratedContent (content to store) or None",
    )


async def judge(held: Held, value: Any) -> Outcome:
    """As outcome_of(), but in a thread for long content, which would delay other tasks."""
    if isinstance(value, GeneratedContent) and isinstance(value.body, str) and len(value.body) > LARGE_BODY:
        return await asyncio.to_thread(outcome_of, held, value)
    return outcome_of(held, value)


async def judge_checks(held: Held, error: CheckFailed) -> Outcome:
    """As failure_of(), but in a thread for long content."""
    draft = getattr(error, "draft", None)
    if isinstance(draft, GeneratedContent) and isinstance(draft.body, str) and len(draft.body) > LARGE_BODY:
        return await asyncio.to_thread(failure_of, held, error)
    return failure_of(held, error)


def failure_of(held: Held, error: BaseException) -> Outcome:
    """The outcome of a handler that raised this error (spec.md section 5)."""
    name, text = type(error).__name__, error_text(error)
    try:
        state = _state(error) if isinstance(error, HandlerError) else None
    except ValueError as problem:
        said = f"{name} cannot be reported: its state {problem}"
        return refusal(held, f"{said}; its message: {text}" if text else said, _usage(held, error))
    if isinstance(error, CheckFailed):
        return _outcome_of_checks(held, error, text or name)
    if isinstance(error, RateLimited):
        return Snoozed(
            held,
            text or name,
            _delay(error) or None,  # a delay of zero counts as not given
            refused_by=_gate(held, error),
            nothing_left=getattr(error, "nothing_left", False) is True,
            state=state,
            usage=_usage(held, error),
        )
    if isinstance(error, Snooze):
        # This reason is not an error of the attempt; previous_error must not show it.
        said = "" if isinstance(error, NoGateHasRoom) else text
        return Snoozed(held, said, _own_delay(error), is_refusal=False, state=state, usage=_usage(held, error))
    if isinstance(error, HandlerError):
        return Failed(
            held,
            text or name,
            name,
            permanent=isinstance(error, PermanentError),
            retry_after=_delay(error),
            unanswered=isinstance(error, ProviderUnavailable),
            usage=_usage(held, error),
            state=state,
        )
    said = f"{name}: {text[:MESSAGE_LENGTH]}" if text else name
    cut = f" ... (truncated from {len(text)} characters)" if len(text) > MESSAGE_LENGTH else ""
    return Failed(held, f"{said}{cut}{_place(error)}", name)


def left_gate_of(gate: str | None, error: BaseException | None, usage: str | None) -> LeftGate:
    """The outcome of a call, an error or an answer, to report to a gate; the attempt continues."""
    outcome = "answered"
    if isinstance(error, RateLimited):
        outcome = "exhausted" if getattr(error, "nothing_left", False) is True else "refused"
    elif isinstance(error, ProviderUnavailable):
        outcome = "unanswered"
    message, delay = (None, None) if error is None else (error_text(error), _delay(error))
    return LeftGate(gate, outcome, delay or None, message, usage)


def traceback_of(error: BaseException) -> str:
    """The traceback of an unexpected error, for the log. A very long one is cut in the middle."""
    try:
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip()
    except Exception as second:
        text = f"(the traceback cannot be had: {type(second).__name__})"
    half = TRACEBACK_LENGTH // 2
    return text if len(text) <= TRACEBACK_LENGTH else f"{text[:half]}\n…\n{text[-half:]}"


def refusal(held: Held, message: str, usage: str | None = None) -> Failed:
    """The outcome of a task whose handler returned something that cannot be stored: a permanent failure.

    usage: the cost, which counts all the same.
    """
    return Failed(held, message, "ResultRefused", permanent=True, usage=usage)


def refusal_by_database(outcome: Completed | Stored | Revised, said: str) -> Failed:
    """The outcome of a task whose result PostgreSQL refused."""
    return refusal(outcome.held, f"PostgreSQL refused the result: {said}", usage_of_outcome(outcome))


def _gate(held: Held, error: BaseException) -> str | None:
    """The gate that an error names; None for the worker's own gate, also if a handler may not report to the named
    one.
    """
    key = getattr(error, "gate", None)
    if not isinstance(key, str) or not key:
        return None
    if key == EVERY_GATE or len(key) > LONGEST_KEY or key != as_text(key):
        log.warning(
            "gate not reported task=%s attempt=%d key=%r: a handler cannot report to this gate; it "
            "counts for the worker's own",
            held.task_id,
            held.attempt,
            key[:LONGEST_KEY],
        )
        return None
    return key


def _delay(error: BaseException) -> timedelta | None:
    """The retry_after of an error; None if it is missing or invalid."""
    try:
        return as_timedelta(getattr(error, "retry_after", None))
    except (TypeError, ValueError, OverflowError):
        return None


def _state(error: HandlerError) -> str | None:
    """The state that an error stores for the next attempt, as JSON.

    Raises ValueError unless it is a small object.
    """
    state = getattr(error, "state", None)
    if state is None:
        return None
    try:
        kept = _as_json(dict(state))
        size = len(kept.encode())
        if size <= LARGEST_STATE:
            size += _growth(kept)
    except (TypeError, ValueError, RecursionError) as problem:
        raise ValueError(f"cannot be stored as JSON: {error_text(problem)}") from None
    if size > LARGEST_STATE:
        raise ValueError(f"has {size:,} bytes; at most {LARGEST_STATE:,} are kept")
    return kept


def _growth(text: str) -> int:
    """How many bytes a JSON text grows as jsonb, which writes 1e300 with all of its zeros."""
    longer: list[int] = []
    json.loads(text, parse_float=lambda number: longer.append(len(f"{Decimal(number):f}") - len(number)))
    return sum(longer)


def _own_delay(error: Snooze) -> timedelta | None:
    """The delay of a task; None, so that contentq chooses it, for zero."""
    delay = getattr(error, "delay", None)
    return delay if isinstance(delay, timedelta) and delay > timedelta(0) else None


def _usage(held: Held, error: BaseException) -> str | None:
    """The usage that an error reports."""
    try:
        usage = getattr(error, "usage", None)
    except Exception:
        return None
    return usage_of(held, usage)


def _usage_in(held: Held, value: Any) -> str | None:
    """The usage that a result or content reports which cannot be stored."""
    result = value.result if isinstance(value, GeneratedContent) else value
    try:
        return usage_in(held, result) if isinstance(result, Mapping) else None
    except Exception:
        return None


def error_text(error: object) -> str:
    """The text of an error or a note in a form that PostgreSQL can store. Safe for any __str__."""
    try:
        text = str(error)
    except Exception as second:
        text = f"(the error's own text cannot be had: str() raised {type(second).__name__})"
    return as_text(text)


def _place(error: BaseException) -> str:
    """The place of an error in the user's code, as " (file.py:12, in write)"; empty if unknown."""
    places = [
        (frame.f_code.co_filename, line, frame.f_code.co_name)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.startswith((_CONTENTQ, "<frozen"))
    ]
    if not places:
        return ""
    ours = [place for place in places if not place[0].startswith(_LIBRARIES)]
    file, line, function = ours[-1] if ours else places[0]
    return f" ({os.path.basename(file)}:{line}, in {function})"


def _outcome_of_content(held: Held, content: GeneratedContent) -> Outcome:
    def refuse(message: str) -> Failed:
        return refusal(held, message, _usage_in(held, content))

    texts: list[tuple[str, Any]] = [("title", content.title), ("body", content.body)]
    for name, text in texts:
        if not isinstance(text, str):
            return refuse(f"the {name} of the content is {_article(type(text).__name__)}, not a str")
        problem = _storing_problem(text)
        if problem:
            return refuse(f"the {name} of the content cannot be stored: {problem}")
    extra = {name: value for name, value in dict(content.result or {}).items() if name not in _OWN}
    word_count = count_words(content.body) if content.word_count is None else int(content.word_count)
    if not 0 <= word_count <= MOST_WORDS:
        return refuse(f"the word_count of the content is {word_count}; it must be from 0 to {MOST_WORDS}")
    return Stored(
        held,
        title=content.title[:TITLE_LENGTH],
        body=content.body,
        word_count=word_count,
        extra=_as_json(extra) if extra else None,
    )


def _outcome_of_checks(held: Held, error: CheckFailed, message: str) -> Outcome:
    """The failure of a draft that cannot be stored; None if it can."""
    usage = _usage(held, error)
    draft, extra = getattr(error, "draft", None), usage
    if draft is not None:
        cost = json.loads(usage) if usage else {}
        try:
            result = {name: value for name, value in dict(draft.result or {}).items() if name != FAILED_CHECKS}
            stored = outcome_of(held, replace(draft, result={**result, **cost}))
        except Exception:
            kind = _article(type(draft).__name__)
            return refusal(held, f"the draft of a failed check is {kind}, not GeneratedContent", usage)
        if not isinstance(stored, Stored):
            return stored
        draft, extra = stored, stored.extra
    most = getattr(error, "max_revisions", None)
    if isinstance(most, bool) or not isinstance(most, int) or not 0 <= most <= MOST_REVISIONS:
        most = MAX_REVISIONS
    return Revised(held, message, draft, extra, most, getattr(error, "keep_for_review", False) is True)


def _as_json(value: dict[str, Any]) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=as_number)
    if "\\u0000" in text and _ESCAPED_NUL.search(text):
        raise ValueError(r"it holds the character \u0000, which PostgreSQL cannot store")
    problem = _storing_problem(text)
    if problem:
        raise ValueError(problem)
    return text


def _storing_problem(text: str) -> str | None:
    if "\x00" in text:
        return r"it holds the character \u0000, which PostgreSQL cannot store"
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        return "it holds half of a surrogate pair, which is not a character"
    return f"it has {size:,} bytes; at most {LARGEST:,} can be stored" if size > LARGEST else None


def _article(name: str) -> str:
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"
