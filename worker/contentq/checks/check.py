"""What a check is: it looks at a draft, and says what is wrong with it, in words that a model can act on."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from contentq.content import GeneratedContent
from contentq.task import Task

LARGE = 20_000
"""Characters of a draft that is looked at in a thread: it would hold up other tasks."""


@dataclass(frozen=True)
class Subject:
    """What is checked: a draft, the task that it was written for, and what is known around it.

    prompt: what the model was asked, as one text; empty when it is not known.
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
    """What became of a check: problem says what is wrong, skipped why it was not made; neither when it passed."""

    name: str
    setting: Any
    problem: str | None = None
    skipped: str | None = None

    @property
    def outcome(self) -> str:
        """passed, failed or skipped."""
        return "failed" if self.problem else "skipped" if self.skipped else "passed"


class NotChecked(Exception):
    """A check cannot be made here; its text says why."""


class Check(ABC):
    """A check. name: the key of its setting; setting: what it was set to."""

    name: ClassVar[str]
    is_costly: ClassVar[bool] = False
    """Whether it comes after the others."""
    setting: Any

    @abstractmethod
    async def find_problem(self, subject: Subject) -> str | None:
        """What is wrong with the draft, on one line; None when nothing is. Raises NotChecked."""


class CheckOfText(Check):
    """A check that looks at the draft, and at nothing around it."""

    @abstractmethod
    def problem(self, subject: Subject) -> str | None:
        """What is wrong with the draft, on one line; None when nothing is."""

    async def find_problem(self, subject: Subject) -> str | None:
        """The same, in a thread where that takes long."""
        if len(subject.body) > LARGE:
            return await asyncio.to_thread(self.problem, subject)
        return self.problem(subject)


def quoted(texts: list[str]) -> str:
    """Texts in quotes: 'a', 'b' and 'c'."""
    marked = [f"'{text}'" for text in texts]
    return " and ".join([", ".join(marked[:-1]), marked[-1]] if len(marked) > 1 else marked)
