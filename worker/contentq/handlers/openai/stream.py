"""Assembles an answer from its pieces, or reads it as a whole."""

from __future__ import annotations

import io
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from contentq.handlers.openai.settings import OpenAISettings
from contentq.handlers.openai.tokens import (
    KINDS,
    MESSAGE_TOKENS,
    PROMPT_ROOM,
    THOUGHT_ROOM,
    TOKENS_PER_CHARACTER,
    Tokens,
    estimate,
    rounded,
    shown,
)

REFUSAL_LENGTH = 2_000
"""Maximum stored length of a refusal, in characters; an error shows less."""

DONE = "done"
"""The finish reason of an answer whose end the server marked without a reason."""

ENDED = frozenset({"stop", "eos", "eos_token", "end_turn", "stop_sequence", DONE})
"""Values of finish_reason for a complete answer."""

_THOUGHTS = ("reasoning_content", "reasoning", "thinking")
"""Members of a piece that carry the model's reasoning; some servers send the same text in two of them."""

_DEEPEST = 8
"""Maximum depth of nested lists that are searched."""


class MalformedAnswer(Exception):
    """The server sent something that is not a piece of an answer. is_cut: the answer is incomplete."""

    def __init__(self, message: str, *, is_cut: bool = False) -> None:
        super().__init__(message)
        self.is_cut = is_cut


class AnswerTooLarge(Exception):
    """The answer is longer than the settings allow."""


class Received:
    """The pieces of one answer, in their order of arrival.

    messages: the prompt, from which the maximum number of its tokens is calculated; add_prompt() adds more of it.
    """

    def __init__(self, settings: OpenAISettings, messages: Sequence[Mapping[str, str]] = ()) -> None:
        self._settings = settings
        self._prompt_characters = 0
        self._estimates = dict.fromkeys(KINDS, 0.0)
        for message in messages:
            self.add_prompt(message["content"])
        self._tokens = Tokens()
        self._text, self._thoughts = io.StringIO(), io.StringIO()
        self.characters = 0
        self.thought_characters = 0
        self.refusal = ""
        self.error: Any = None
        self.finish_reason: str | None = None
        self._was_early = False
        self.is_at_end = False
        """Whether the server marked the end."""

    @property
    def is_complete(self) -> bool:
        """Whether the model gave its finish reason, or the server marked the end.

        Some servers send a finish reason with each piece; then only the end mark counts.
        """
        return (self.finish_reason is not None and not self._was_early) or self.is_at_end

    @property
    def reason(self) -> str:
        """The finish reason in the words of the server; DONE if the server only marked the end."""
        return self.finish_reason or DONE

    @property
    def text(self) -> str:
        """The text so far."""
        return self._text.getvalue()

    @property
    def thoughts(self) -> str:
        """The model's reasoning that was sent apart from the text, limited by `keep_reasoning`."""
        return self._thoughts.getvalue()

    @property
    def progress(self) -> int:
        """A number that grows with every text of the model."""
        return self.characters + self.thought_characters + len(self.refusal)

    @property
    def usage(self) -> dict[str, Any]:
        """Model, tokens and cost, as members of a result.

        Uses the server's token counts up to the possible maximum; larger counts are in reported_tokens. Missing
        counts are estimated from the length. So is a truncated answer if the estimate is higher than the count.
        estimated_tokens marks such results.
        """
        counted: dict[str, int] = {}
        usage: dict[str, Any] = {"model": self._settings.model}
        for kind in KINDS:
            said, guessed = self._tokens.count(kind), rounded(self._estimates[kind])
            is_behind = kind == "completion_tokens" and not self.is_complete and (said or 0) < guessed
            if said is None or is_behind:
                usage["estimated_tokens"] = True
            counted[kind] = min(guessed if said is None or is_behind else said, self._most(kind))
        usage |= counted
        price = self._settings.prices.get(self._settings.model)
        if price is not None:
            usage["cost"] = price.cost(**counted)
        said_all = {kind: self._tokens.count(kind) for kind in KINDS}
        if any(said is not None and said > self._most(kind) for kind, said in said_all.items()):
            usage["reported_tokens"] = {kind: shown(said) for kind, said in said_all.items() if said is not None}
        return usage

    @property
    def spent(self) -> dict[str, Any] | None:
        """The usage to report for a failed call; None if there is no sign that the model started."""
        has_begun = bool(self.progress) or self.finish_reason is not None
        return self.usage if has_begun or self._tokens.are_said else None

    @property
    def doubtful_tokens(self) -> str | None:
        """The server's token counts if one is invalid or exceeds the possible maximum; otherwise None."""
        said = self._tokens.said
        usage = self.usage
        if all(self._tokens.count(kind) is not None for kind in said) and "reported_tokens" not in usage:
            return None
        told = ", ".join(f"{kind}={reprlib.repr(number)}" for kind, number in said.items())
        return f"{told}; counted: {', '.join(f'{kind}={usage[kind]}' for kind in said)}"

    def add_prompt(self, text: str) -> None:
        """Adds a message of the prompt."""
        self._prompt_characters += len(text)
        self._estimates["prompt_tokens"] += estimate(text) + MESSAGE_TOKENS

    def end(self) -> None:
        """Records the server's mark of the end."""
        self.is_at_end = True

    def count(self, chunk: Any) -> None:
        """Records the token counts of a piece; invalid counts do not fail the answer."""
        if not isinstance(chunk, Mapping):
            return
        choices = chunk.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        beside = [chunk.get(name) for name in ("x_groq", "error")] + [first]
        within = [place.get("usage") for place in beside if isinstance(place, Mapping)]
        self._tokens.take(chunk.get("usage"), *within)

    def take(self, chunk: Any) -> None:
        """Adds a piece, or a whole answer, from any JSON.

        Raises MalformedAnswer if it is not one, and AnswerTooLarge at the limit.
        """
        self.count(chunk)
        try:
            for choice in (chunk.get("choices") or [])[:1]:
                self._take(choice)
        except (AttributeError, TypeError, LookupError) as error:
            raise MalformedAnswer(f"not a piece of an answer: {error}") from None

    def _take(self, choice: Any) -> None:
        delta, message = choice.get("delta") or {}, choice.get("message") or {}
        # Some servers repeat the whole text as the message of the last piece.
        if message and not (self.characters or delta.get("content")):
            delta = message
        thoughts = next((delta[name] for name in _THOUGHTS if delta.get(name)), None)
        for text, is_thought in (*_parts(thoughts, True), *_parts(delta.get("content"), False)):
            self._add(text, is_thought)
        # Adding anything but a text raises a TypeError.
        self.refusal += (delta.get("refusal") or "")[: REFUSAL_LENGTH - len(self.refusal)]
        self.error = choice.get("error") or self.error
        reason = (choice.get("finish_reason") or "") + ""
        if reason and (self.finish_reason is None or self.finish_reason.lower() in ENDED):
            self.finish_reason = reason

    def _add(self, text: str, is_thought: bool) -> None:
        self._was_early = self._was_early or (bool(text) and self.finish_reason is not None)
        self._estimates["completion_tokens"] += estimate(text)
        if is_thought:
            room = self._settings.keep_reasoning - self._thoughts.tell()
            self.thought_characters += len(text)
            if room > 0:
                self._thoughts.write(text[:room])
            return
        self.characters += self._text.write(text)
        if self.characters > self._settings.max_characters:
            raise AnswerTooLarge

    def _most(self, kind: str) -> int:
        """The maximum possible number of tokens of this kind."""
        if kind == "prompt_tokens":
            return TOKENS_PER_CHARACTER * self._prompt_characters + PROMPT_ROOM
        sent = TOKENS_PER_CHARACTER * (self.characters + self.thought_characters)
        return sent + (self._settings.max_tokens or THOUGHT_ROOM)


def _parts(content: Any, is_thought: bool, depth: int = 0) -> Iterator[tuple[str, bool]]:
    """The texts in the content of a piece; for each, whether it is reasoning.

    The content is a text, or a list of typed parts. Raises TypeError for anything else.
    """
    if isinstance(content, str):
        yield content, is_thought
    elif isinstance(content, list) and depth < _DEEPEST:
        for part in content:
            yield from _parts(part, is_thought, depth + 1)
    elif isinstance(content, Mapping):
        yield from _parts_of(content, is_thought, depth)
    elif content is not None and not is_thought:
        raise TypeError(f"its content is of type {type(content).__name__}")


def _parts_of(content: Mapping[str, Any], is_thought: bool, depth: int) -> Iterator[tuple[str, bool]]:
    """The texts of one part; none for other types, such as references."""
    kind = content.get("type") or "text"
    if kind in ("text", "output_text"):
        yield from _parts(content.get("text"), is_thought, depth + 1)
    elif kind in ("thinking", "reasoning"):
        thought = next((content[name] for name in ("thinking", "reasoning", "text") if content.get(name)), None)
        yield from _parts(thought, True, depth + 1)
