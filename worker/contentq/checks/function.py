"""A check of the user's own: a function of (draft, task)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from contentq.checks.check import Check, Subject

_LONGEST = 2_000
"""Characters of what it says that a model is told."""


class Function(Check):
    """A function that is called with the draft and the task: it returns what is wrong, or None.

    One that is no coroutine runs in a thread. label: how it is named. Raises ValueError when it cannot be called.
    """

    name = "function"

    def __init__(self, function: Callable[[Any, Any], Any], label: str | None = None) -> None:
        self.setting = label or f"{function.__module__}:{getattr(function, '__qualname__', repr(function))}"
        try:
            inspect.signature(function).bind(None, None)
        except ValueError:
            pass  # a builtin that does not tell
        except TypeError:
            raise ValueError(f"it cannot be called with (draft, task): {inspect.signature(function)}") from None
        self._function = function

    def problem(self, subject: Subject) -> str | None:
        """What is wrong with the draft; None when nothing is. For functions that are no coroutines."""
        return self._said(self._function(subject.draft, subject.task))

    async def find_problem(self, subject: Subject) -> str | None:
        """The same of any function."""
        if inspect.iscoroutinefunction(self._function):
            return self._said(await self._function(subject.draft, subject.task))
        said = await asyncio.to_thread(self._function, subject.draft, subject.task)
        return self._said(await said if inspect.isawaitable(said) else said)

    def _said(self, said: Any) -> str | None:
        if said is None or said == "":
            return None
        if not isinstance(said, str):
            raise TypeError(
                f"the check {self.setting} returned a {type(said).__name__}; it must return a text or None"
            )
        return " ".join(said[:_LONGEST].split()) or None
