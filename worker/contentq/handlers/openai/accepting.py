"""Decides whether a complete answer is an article, and which error to raise otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from contentq.errors import PermanentError, TemporaryError
from contentq.handlers.openai.answer import body_of
from contentq.handlers.openai.errors import of_model
from contentq.handlers.openai.scrubbing import Scrubber
from contentq.handlers.openai.settings import OpenAISettings
from contentq.handlers.openai.stream import ENDED, Received
from contentq.storable import as_text

FAULTS = frozenset({"error", "network_error", "internal_error", "engine_error", "insufficient_system_resource"})
"""Finish reasons of answers that the provider ended, not the model."""

_CUT_OFF = frozenset({"length", "max_tokens", "max_output_tokens", "model_length", "token_limit"})
_FILTERED = ("content_filter", "content-filter", "safety", "recitation", "blocklist", "prohibited_content", "spii")
"""How finish reasons of content filters begin; some name the rule that matched."""

_FILTERED_WORDS = frozenset({"sensitive"})
_REFUSED = "refusal"

FLAWS = ("the answer was empty", "the answer was cut off", "the answer was not finished")
"""Prefixes of messages of errors that are retried only once; the next attempt finds them in the last error."""

AGAIN = "for the second time"


@dataclass(frozen=True)
class Accepted:
    """The usable part of an answer."""

    body: str
    thoughts: str


def is_fault(received: Received) -> bool:
    """Whether the provider ended the answer with an error."""
    return (received.finish_reason or "").lower() in FAULTS


def accept(received: Received, settings: OpenAISettings, earlier: list[str], scrub: Scrubber) -> Accepted:
    """Returns the article of a complete answer. Raises the matching error if it has none.

    earlier: the problems of the previous answers, if any.
    """
    spent, reason = received.spent, scrub.message(received.reason)[:100]
    word = reason.lower()
    if word.startswith(_FILTERED) or word in _FILTERED_WORDS:
        filtered = (
            f"the provider's content filter stopped the answer (finish_reason {reason}); change the topic or "
            "the prompt"
        )
        raise of_model("filtered", PermanentError(filtered, usage=spent))
    if word == _REFUSED or (received.refusal and not received.characters):
        said = scrub.message(received.refusal or received.text)[:500] or f"finish_reason {reason}"
        raise of_model("filtered", PermanentError(f"the model refused: {said}", usage=spent))
    if word in _CUT_OFF:
        limit = f"max_tokens, {settings.max_tokens:,}" if settings.max_tokens else "the model's own limit"
        message = f"{FLAWS[1]} at {limit} (finish_reason {reason})"
        advice = "raise max_tokens in the settings, or ask for less"
    elif word not in ENDED:
        message = f"{FLAWS[2]} (finish_reason {reason})"
        advice = "look at the prompt template, and at the model"
    else:
        found = body_of(received.text)
        if found.answer and not found.is_unfinished:
            thoughts = "\n\n".join(filter(None, (received.thoughts, found.thoughts)))
            return Accepted(found.answer, as_text(thoughts[: settings.keep_reasoning]))
        thought = found.is_unfinished or received.thought_characters or found.thoughts
        without = ": the model thought, and " if thought else ""
        what = "did not come to an end" if found.is_unfinished else "wrote nothing" if thought else ""
        message = f"{FLAWS[0]}{without}{what} (finish_reason {reason})"
        advice = "look at the prompt template, and at the model"
    if not any(message.startswith(flaw) for flaw in earlier):
        raise TemporaryError(message, usage=spent)
    raise PermanentError(f"{message}, {AGAIN}; {advice}", usage=spent)


def flaws_in(previous_error: str | None) -> list[str]:
    """The problems of the previous answers; empty if an operator has requeued the task since."""
    if previous_error is None or AGAIN in previous_error:
        return []
    return [flaw for flaw in FLAWS if flaw in previous_error]


def remembering(message: str, flaws: list[str]) -> str:
    """The message of a failed attempt, with the problems that the next attempt must know."""
    others = " and ".join(flaw for flaw in flaws if flaw not in message)
    return f"{message} (before that, {others})" if others else message
