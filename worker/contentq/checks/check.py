"""The interface of a check: it examines a draft and describes problems in words that a model can act on."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from contentq.content import GeneratedContent
from contentq.task import Task

LARGE = 20_000
"""Length, in characters, from which a draft is checked in a thread, so that it does not delay other tasks."""


@dataclass(frozen=True)
class Subject:
    """The input of a check: a draft, its task, and the context.

    prompt: the prompt as one text; empty if unknown.
    """

    draft: GeneratedContent
    task: Task
    context: Any
    prompt: str = ""

    @property
    def body(self) -> str:
        """The text of the draft."""
        return self.draft.body


@dataclass(frozen=True)
class Checked:
    """The result of a check.

    problem: the problem found. skipped: why it did not run. Both are None if it passed.
    """

    name: str
    setting: Any
    problem: str | None = None
    skipped: str | None = None

    @property
    def outcome(self) -> str:
        """passed, failed or skipped."""
        return "failed" if self.problem else "skipped" if self.skipped else "passed"


class NotChecked(Exception):
    """A check cannot run here; the text says why."""


class Check(ABC):
    """A check. name: the key of its setting; setting: what it was set to."""

    name: ClassVar[str]
    is_costly: ClassVar[bool] = False
    """Whether it runs after the others."""
    setting: Any

    @abstractmethod
    async def find_problem(self, subject: Subject) -> str | None:
        """The problem with the draft, in one line, or None. Raises NotChecked."""


class CheckOfText(Check):
    """A check that needs only the draft."""

    @abstractmethod
    def problem(self, subject: Subject) -> str | None:
        """The problem with the draft, in one line, or None."""

    async def find_problem(self, subject: Subject) -> str | None:
        """The same, in a thread for long drafts."""
        if len(subject.body) > LARGE:
            return await asyncio.to_thread(self.problem, subject)
        return self.problem(subject)


def quoted(texts: list[str]) -> str:
    """Texts in quotes: 'a', 'b' and 'c'."""
    marked = [f"'{text}'" for text in texts]
    return " and ".join([", ".join(marked[:-1]), marked[-1]] if len(marked) > 1 else marked)
