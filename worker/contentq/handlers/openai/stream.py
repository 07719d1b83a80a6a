"""What has come in of a streamed answer."""

from __future__ import annotations

import io
import reprlib
from typing import Any

from contentq.handlers.openai.settings import OpenAISettings

TOKENS_PER_CHARACTER = 4
"""A token is a byte at least, and a character four bytes at most."""

PROMPT_ROOM = 10_000
"""Tokens that a provider may add to a prompt: instructions of its own, marks between messages."""

THOUGHT_ROOM = 200_000
"""Tokens that a model may think with and not send, unless max_tokens is set: no model of today has more."""

REFUSAL_LENGTH = 2_000
"""Characters of a refusal that are kept; an error shows fewer."""


class MalformedAnswer(Exception):
    """The server sent something that is no piece of an answer."""


class AnswerTooLarge(Exception):
    """More characters than the settings allow."""


class Received:
    """The pieces of one answer, in the order in which they came.

    prompt_characters: the length of the prompt, from which follows how many tokens it can have.
    """

    def __init__(self, settings: OpenAISettings, prompt_characters: int = 0) -> None:
        self._settings = settings
        self._prompt_characters = prompt_characters
        self._text = io.StringIO()
        self._said: dict[str, Any] = {}
        self.characters = 0
        self.refusal = ""
        self.error: Any = None
        self.finish_reason: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the model has said why it stopped."""
        return self.finish_reason is not None

    @property
    def text(self) -> str:
        """All of it so far."""
        return self._text.getvalue()

    @property
    def usage(self) -> dict[str, Any]:
        """Model, tokens and cost, as far as they are known.

        Of tokens, what the server has counted, but never more than there can have been; what it has said beyond
        that is in reported_tokens.
        """
        usage: dict[str, Any] = {"model": self._settings.model}
        if self._are_counted:
            counted = {name: min(said, self._most(name)) for name, said in self._said.items()}
            usage |= counted
            price = self._settings.prices.get(self._settings.model)
            if price is not None:
                usage["cost"] = price.cost(**counted)
            if counted != self._said:
                usage["reported_tokens"] = {name: _shown(said) for name, said in self._said.items()}
        return usage

    @property
    def spent(self) -> dict[str, Any] | None:
        """The usage to report of a call that failed; None when the server has not counted any tokens."""
        return self.usage if self._are_counted else None

    @property
    def doubtful_tokens(self) -> str | None:
        """What the server has said of tokens, where not all of it counts; None when all does, or there is none."""
        usage = self.usage
        if not self._said or (self._are_counted and "reported_tokens" not in usage):
            return None
        said = ", ".join(f"{name}={reprlib.repr(value)}" for name, value in self._said.items())
        counted = ", ".join(f"{name}={usage[name]}" for name in self._said if name in usage)
        return f"{said}; counted: {counted or 'nothing'}"

    def take(self, chunk: Any) -> None:
        """Adds a piece, whatever JSON the server has sent as one.

        Raises MalformedAnswer when it is none, AnswerTooLarge when it is one too many.
        """
        try:
            self._count(chunk.get("usage"))
            for choice in (chunk.get("choices") or [])[:1]:
                delta = choice.get("delta") or {}
                # Only a text can be added to one: anything else is a TypeError.
                self._add(delta.get("content"))
                self.refusal += (delta.get("refusal") or "")[: REFUSAL_LENGTH - len(self.refusal)]
                self.error = choice.get("error") or self.error
                self.finish_reason = (choice.get("finish_reason") or "") + "" or self.finish_reason
        except (AttributeError, TypeError, LookupError) as error:
            raise MalformedAnswer(f"not a piece of an answer: {error}") from None

    def _count(self, usage: Any) -> None:
        """Takes the tokens; an answer is none the worse without them, or when they make no sense."""
        if isinstance(usage, dict):
            names = ("prompt_tokens", "completion_tokens")
            self._said = {name: usage[name] for name in names if usage.get(name) is not None} or self._said

    @property
    def _are_counted(self) -> bool:
        return len(self._said) == 2 and all(type(said) is int and said >= 0 for said in self._said.values())

    def _most(self, name: str) -> int:
        """The largest number of tokens of this kind that there can have been."""
        if name == "prompt_tokens":
            return TOKENS_PER_CHARACTER * self._prompt_characters + PROMPT_ROOM
        return TOKENS_PER_CHARACTER * self.characters + (self._settings.max_tokens or THOUGHT_ROOM)

    def _add(self, text: Any) -> None:
        if text is None:
            return
        self.characters += self._text.write(text + "")
        if self.characters > self._settings.max_characters:
            raise AnswerTooLarge


def _shown(said: int) -> int | str:
    """A number as JSON; one that is out of all proportion as a text that is shortened."""
    return said if said <= 10**18 else reprlib.repr(said)
