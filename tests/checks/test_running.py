"""All checks run and every failure is reported; also for user functions of any kind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from contentq.checks import (
    Function,
    Headings,
    MaxLikeness,
    MinWords,
    NoLeftovers,
    Subject,
    check,
    check_in_thread,
    run_checks,
)
from contentq.checks.settings import make_checks
from contentq.content import GeneratedContent
from contentq.errors import CheckFailed, HandlerError, HandlerUnusable, PermanentError, TemporaryError
from contentq.testing import make_context, make_task, make_thread_context

DRAFT = GeneratedContent("Tea", "# Tea\n\nTwo words")


def test_draft_that_passes_is_returned_as_it_is() -> None:
    context = make_context(make_task())

    assert asyncio.run(check(DRAFT, [MinWords(2), NoLeftovers()], context)) is DRAFT
    assert [each.outcome for each in context.checked] == ["passed", "passed"]


def test_every_failure_is_told_on_a_line_of_its_own() -> None:
    context = make_context(make_task())

    with pytest.raises(CheckFailed) as caught:
        asyncio.run(
            check(
                DRAFT,
                [MaxLikeness(0.5), MinWords(300), NoLeftovers(), Headings(["Sources"])],
                context,
                max_revisions=5,
                keep_for_review=True,
            )
        )

    assert str(caught.value) == "it has 3 words; write at least 300\nthere is no heading 'Sources'; add it"
    assert (caught.value.draft, caught.value.max_revisions, caught.value.keep_for_review) == (DRAFT, 5, True)
    assert [(each.name, each.outcome) for each in context.checked] == [
        ("min_words", "failed"),
        ("no_leftovers", "passed"),
        ("headings", "failed"),
        ("max_likeness", "skipped"),
    ]


def test_plain_function_may_check_as_well() -> None:
    context = make_thread_context(make_task())

    with pytest.raises(CheckFailed, match="write at least 300"):
        check_in_thread(DRAFT, [MinWords(300), MaxLikeness(0.5)], context)


def plain(draft: GeneratedContent, _task: Any) -> str | None:
    return f"it says\n'{draft.title}' in {threading.current_thread().name[:6]}"


async def async_(draft: GeneratedContent, task: Any) -> str | None:
    await asyncio.sleep(0)
    return f"it is about {task.topic}" if draft.title == "Tea" else None


def content(_draft: Any, _task: Any) -> str | None:
    return None


@pytest.mark.parametrize(
    ("function", "said"),
    [(plain, "it says 'Tea' in asynci"), (async_, "it is about Storage"), (content, None), (lambda *_: "", None)],
)
def test_function_says_what_is_wrong(function: Callable[..., Any], said: str | None) -> None:
    async def find() -> str | None:
        context = make_context(make_task("Storage"))
        return await Function(function).find_problem(Subject(DRAFT, context.task, context))

    assert asyncio.run(find()) == said


def test_function_that_returns_something_else_is_the_users_mistake() -> None:
    with pytest.raises(TemporaryError, match="returned a bool; it must return a text or None"):
        asyncio.run(run_checks(DRAFT, [Function(lambda *_: False)], make_context(make_task())))


def broken(_draft: Any, _task: Any) -> str | None:
    raise KeyError("choices")


def forbidden(_draft: Any, _task: Any) -> str | None:
    raise PermanentError("no such house style")


@pytest.mark.parametrize(
    ("function", "kind", "said"),
    [
        (broken, TemporaryError, r"the check function .*:broken raised KeyError: 'choices'"),
        (forbidden, PermanentError, "no such house style"),
    ],
)
def test_check_that_raises_does_not_cost_what_was_paid(
    function: Callable[..., Any], kind: type[HandlerError], said: str
) -> None:
    draft = GeneratedContent("Tea", "Tea", result={"model": "m", "cost": 0.5, "seconds": 3})

    with pytest.raises(kind, match=said) as caught:
        asyncio.run(check(draft, [Function(function)], make_context(make_task())))

    assert caught.value.usage == {"model": "m", "cost": 0.5}


def test_function_that_cannot_be_called_is_refused() -> None:
    function: Any = len

    with pytest.raises(ValueError, match=r"cannot be called with \(draft, task\)"):
        Function(function)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"language": "xx"}, "language: must be one of: ar"),
        ({"headings": [" "]}, "headings: a heading must not be empty"),
        ({"forbidden_words": [""]}, "forbidden_words: a word must not be empty"),
        ({"links": ["example.com"]}, "links: a link must be an address"),
        ({"min_words": 300, "max_words": 200}, "max_words: must be min_words, 300, or more"),
        ({"function": "nothing"}, "function: 'nothing' names no function; write module:function"),
        ({"function": "no_such_module:f"}, "function: function 'no_such_module:f': there is no module"),
        ({"function": "json:nothing"}, "function: function 'json:nothing': module json"),
        ({"function": "json:JSONDecoder.decode.x"}, "has no 'JSONDecoder.decode.x'"),
        ({"json_schema": "missing.json"}, "json_schema: the file '"),
    ],
)
def test_setting_that_is_of_no_use_is_refused_with_its_key(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(HandlerUnusable) as caught:
        make_checks(settings, tmp_path)

    assert message in str(caught.value)


def test_settings_make_the_checks_that_they_name(tmp_path: Path) -> None:
    made = make_checks(
        {"min_words": 3, "no_leftovers": True, "max_likeness": 0.7, "likeness_last": 10, "headings": ["A"]},
        tmp_path,
    )

    assert [(each.name, each.setting) for each in made] == [
        ("min_words", 3),
        ("no_leftovers", True),
        ("max_likeness", 0.7),
        ("headings", ["A"]),
    ]
    assert make_checks({"no_leftovers": False}, tmp_path) == []
