"""Checks a draft: runs every check and reports every failure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from contentq.checks.check import Check, Checked, NotChecked, Subject
from contentq.content import GeneratedContent
from contentq.errors import MAX_REVISIONS, CheckFailed, HandlerError, TemporaryError
from contentq.usage import MEMBERS

log = logging.getLogger("contentq.checks")


async def run_checks(
    draft: GeneratedContent, checks: Iterable[Check], context: Any, *, prompt: str = ""
) -> list[Checked]:
    """Runs these checks of a draft and returns the result of each, cheap checks first.

    context: of the attempt. prompt: the prompt, for the check no_leftovers. Raises TemporaryError if a check
    raises an exception.
    """
    subject = Subject(draft, context.task, context, prompt)
    # Likeness last: it holds one of the few connections.
    return [await _run(each, subject) for each in sorted(checks, key=lambda each: each.is_costly)]


async def check(
    draft: GeneratedContent,
    checks: Iterable[Check],
    context: Any,
    *,
    prompt: str = "",
    max_revisions: int = MAX_REVISIONS,
    keep_for_review: bool = False,
) -> GeneratedContent:
    """Returns the draft if its checks pass. Raises CheckFailed with one line for each failure.

    `contentq try` shows each result, from context.checked.
    """
    context.checked = await run_checks(draft, checks, context, prompt=prompt)
    problems = [each.problem for each in context.checked if each.problem]
    if problems:
        raise CheckFailed(
            "\n".join(problems), draft=draft, max_revisions=max_revisions, keep_for_review=keep_for_review
        )
    return draft


def check_in_thread(
    draft: GeneratedContent,
    checks: Iterable[Check],
    context: Any,
    *,
    prompt: str = "",
    max_revisions: int = MAX_REVISIONS,
    keep_for_review: bool = False,
) -> GeneratedContent:
    """As check(), for handlers that are plain functions."""
    return asyncio.run(
        check(draft, checks, context, prompt=prompt, max_revisions=max_revisions, keep_for_review=keep_for_review)
    )


async def _run(each: Check, subject: Subject) -> Checked:
    """The result of a check. A check that raises fails the attempt; its cost is counted."""
    try:
        return Checked(each.name, each.setting, await each.find_problem(subject))
    except NotChecked as reason:
        return Checked(each.name, each.setting, skipped=str(reason))
    except HandlerError as error:
        error.usage = error.usage or _cost_of(subject)
        raise
    except Exception as error:
        log.warning("check raised task=%s check=%s", subject.task.task_id, each.name, exc_info=error)
        said = " ".join(f"{type(error).__name__}: {error}".split())
        message = f"the check {each.name} {each.setting} raised {said}"
        raise TemporaryError(message, usage=_cost_of(subject)) from error


def _cost_of(subject: Subject) -> dict[str, Any] | None:
    """The usage that the draft reports."""
    return {name: subject.draft.result[name] for name in MEMBERS if name in subject.draft.result} or None
