"""What has come in of a streamed answer."""

from __future__ import annotations

from typing import Any

from contentq.handlers.openai.settings import OpenAISettings
from contentq.usage import MOST


class MalformedAnswer(Exception):
    """The server sent something that is no piece of an answer."""


class AnswerTooLarge(Exception):
    """More characters than the settings allow."""


class Received:
    """The pieces of one answer, in the order in which they came."""

    def __init__(self, settings: OpenAISettings) -> None:
        self._settings = settings
        self._pieces: list[str] = []
        self.characters = 0
        self.refusal = ""
        self.error: Any = None
        self.finish_reason: str | None = None
        self.prompt_tokens: int | None = None
        self.completion_tokens: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the model has said why it stopped."""
        return self.finish_reason is not None

    @property
    def text(self) -> str:
        """All of it so far."""
        return "".join(self._pieces)

    @property
    def usage(self) -> dict[str, Any]:
        """Model, tokens and cost, as far as they are known: of tokens, what the server counted."""
        model, prompt, completion = self._settings.model, self.prompt_tokens, self.completion_tokens
        usage: dict[str, Any] = {"model": model, "prompt_tokens": prompt, "completion_tokens": completion}
        price = self._settings.prices.get(model)
        if price is not None and prompt is not None and completion is not None:
            usage["cost"] = price.cost(prompt, completion)
        return {name: value for name, value in usage.items() if value is not None}

    @property
    def spent(self) -> dict[str, Any] | None:
        """The usage to report of a call that failed; None when the server has not counted any tokens."""
        return None if self.completion_tokens is None else self.usage

    def take(self, chunk: Any) -> None:
        """Adds a piece. Raises MalformedAnswer when it is none, AnswerTooLarge when it is one too many.

        The client hands on whatever JSON the server has sent, in the shape of a chunk or not.
        """
        try:
            self._count(chunk.usage)
            for choice in (chunk.choices or [])[:1]:
                # Only a text can be added to one: anything else is a TypeError.
                self._add(choice.delta.content)
                self.refusal += getattr(choice.delta, "refusal", None) or ""
                self.error = getattr(choice, "error", None) or self.error
                self.finish_reason = (choice.finish_reason or "") + "" or self.finish_reason
        except (AttributeError, TypeError, LookupError) as error:
            raise MalformedAnswer(f"not a piece of an answer: {error}") from None

    def _count(self, usage: Any) -> None:
        """Takes the tokens, where they are numbers that can be; an answer is none the worse without them."""
        prompt, completion = getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None)
        if _is_count(prompt) and _is_count(completion):
            self.prompt_tokens, self.completion_tokens = prompt, completion

    def _add(self, text: Any) -> None:
        if text is None:
            return
        self._pieces.append(text + "")
        self.characters += len(text)
        if self.characters > self._settings.max_characters:
            raise AnswerTooLarge


def _is_count(number: Any) -> bool:
    return type(number) is int and 0 <= number <= MOST  # True is an int as well
