"""Drafts to check, as in a handler."""

from __future__ import annotations

import asyncio
from typing import Any

from contentq.checks import Check, Subject
from contentq.content import GeneratedContent, PreviousContent

from tests.support.tasks import context, task


def problem(
    check: Check, body: str, *, prompt: str = "", previous: PreviousContent | None = None, **columns: Any
) -> str | None:
    """The message of a check about a draft with this body."""
    given = task(**columns)
    subject = Subject(GeneratedContent("Title", body), given, context(given, previous), prompt)
    return asyncio.run(check.find_problem(subject))
