"""A check by a user's function of (draft, task)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from contentq.checks.check import Check, Subject

_LONGEST = 2_000
"""Maximum length of its message to the model, in characters."""


class Function(Check):
    """A function that is called with the draft and the task, and returns the problem or None.

    A function that is not a coroutine runs in a thread. label: its name in messages. Raises ValueError if it
    cannot be called so.
    """

    name = "function"

    def __init__(self, function: Callable[[Any, Any], Any], label: str | None = None) -> None:
        self.setting = label or f"{function.__module__}:{getattr(function, '__qualname__', repr(function))}"
        try:
            inspect.signature(function).bind(None, None)
        except ValueError:
            pass  # a builtin without a signature
        except TypeError:
            raise ValueError(f"it cannot be called with (draft, task): {inspect.signature(function)}") from None
        self._function = function

    def problem(self, subject: Subject) -> str | None:
        """The problem with the draft, or None. For functions that are not coroutines."""
        return self._said(self._function(subject.draft, subject.task))

    async def find_problem(self, subject: Subject) -> str | None:
        """The same for any function."""
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
