"""A call of one API: the request, the stream of the answer, and what is wrong with either."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import openai

from contentq.errors import PermanentError, ProviderUnavailable, RateLimited, TemporaryError
from contentq.handlers.openai.answer import body_of
from contentq.handlers.openai.client import Endpoint, make_client, quieten
from contentq.handlers.openai.errors import Failures
from contentq.handlers.openai.events import Events
from contentq.handlers.openai.limits import event_limit
from contentq.handlers.openai.prompt import Message
from contentq.handlers.openai.scrubbing import Scrubber
from contentq.handlers.openai.settings import OpenAISettings
from contentq.handlers.openai.stream import MalformedAnswer, Received
from contentq.task import Task

log = logging.getLogger("contentq.handlers.openai")

PROGRESS_INTERVAL = 0.25
"""Seconds, at least, between two notes of how far an answer is."""

COUNT_TIMEOUT = 5.0
"""Seconds of silence after the model has said why it stopped: only the count of tokens is still to come."""

DONE = b"[DONE]"
"""The data of the event after which nothing more is to come."""

LARGE = 20_000
"""Characters of an answer that is taken apart in a thread: it would hold up other tasks."""

ERROR = "error"
"""The finish_reason of an answer that the provider, not the model, has ended."""

ENDED = frozenset({"stop", "eos", "eos_token", "end_turn", "stop_sequence"})
"""What providers call it (finish_reason) when the model has come to the end of what it wanted to say."""

FLAWS = ("the answer was empty", "the answer was cut off", "the answer was not finished")
"""How the message begins of what is tried once more and not twice; the next attempt finds it in the last error."""

AGAIN = "for the second time"


@dataclass(frozen=True)
class Answer:
    """What a model has answered, once it has come to its end and is fit to be used."""

    body: str
    """Markdown that ends with a newline."""

    finish_reason: str
    """Why the model stopped, in the provider's words."""

    usage: Mapping[str, Any]
    """Members of a result: the model, and tokens and cost as far as they are known."""


class Caller:
    """Asks one API. settings: those that hold for all of its calls, such as the times."""

    def __init__(self, at: Endpoint, settings: OpenAISettings) -> None:
        self._at = at
        self._settings = settings
        self._scrub = Scrubber(at.key)
        self._failures = Failures(at, self._scrub)
        self._client: openai.AsyncOpenAI | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        quieten()

    @property
    def host(self) -> str:
        """The host of the API, with its port when the address names one."""
        return self._at.host

    @property
    def base_url(self) -> str:
        """The address of the API."""
        return self._at.base_url

    async def ask(self, messages: list[Message], settings: OpenAISettings, task: Task, context: Any) -> Answer:
        """Asks, and returns what the model has written. settings: those of this task.

        Raises PermanentError, TemporaryError, ProviderUnavailable or RateLimited, as docs/providers.md lists
        them; with the usage of tokens that were paid for all the same.
        """
        received = Received(settings, sum(len(message["content"]) for message in messages))
        earlier = flaws(context.previous_error)
        try:
            try:
                await asyncio.wait_for(self._receive(messages, settings, received, context), settings.timeout)
            except TimeoutError:
                if not received.is_complete:
                    raise
            if received.finish_reason == ERROR:
                raise self._failures.of_answer(received)
            if received.characters > LARGE:
                return await asyncio.to_thread(self._answer, received, settings, earlier)
            return self._answer(received, settings, earlier)
        except TimeoutError:
            seconds = f"{settings.timeout:g} seconds (timeout in the settings)"
            late = f"{self._at.host} has not ended its answer within {seconds}"
            raise ProviderUnavailable(remembering(late, earlier), usage=received.spent) from None
        except (TemporaryError, RateLimited) as error:
            error.args = (remembering(str(error), earlier),)
            raise
        finally:
            if received.doubtful_tokens is not None:
                log.warning("tokens doubtful task=%s %s", task.task_id, self._scrub.text(received.doubtful_tokens))

    async def close(self) -> None:
        """Closes the connections that wait for another call."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _answer(self, received: Received, settings: OpenAISettings, earlier: list[str]) -> Answer:
        """What was received, when it has come to its end. Raises what is wrong with it."""
        body = self._scrub.text(_accept(received, settings, earlier, self._scrub))
        return Answer(body, self._scrub.text(received.finish_reason or ""), received.usage)

    async def _receive(
        self, messages: list[Message], settings: OpenAISettings, received: Received, context: Any
    ) -> None:
        """Takes in a whole answer; when it is cancelled, or the answer is refused, the stream is closed.

        What the provider does once the answer is complete does not spoil it.
        """
        try:
            stream = await self._client_on_this_loop().chat.completions.create(
                messages=cast(Any, messages),
                model=settings.model,
                stream=True,
                stream_options={"include_usage": True},
                **self._optional(settings),
            )
            async with stream:
                told = 0.0
                async for chunk in _chunks(stream.response, settings, received):
                    received.take(chunk)
                    if received.characters and time.monotonic() - told >= PROGRESS_INTERVAL:
                        told = time.monotonic()
                        context.progress(None, f"{received.characters:,} characters")
            if received.finish_reason is None:
                raise MalformedAnswer(_describe_unfinished(received, stream.response.headers.get("content-type")))
        except Exception as error:
            failure = self._failures.of(error, settings, received)
            if received.finish_reason == ERROR or not (
                received.is_complete and isinstance(failure, ProviderUnavailable)
            ):
                raise failure from None

    def _optional(self, settings: OpenAISettings) -> dict[str, Any]:
        """What is sent only when it is set: some models take none of it."""
        sent: dict[str, Any] = {}
        if settings.temperature is not None:
            sent["temperature"] = settings.temperature
        if settings.max_tokens is not None:
            sent[settings.max_tokens_parameter or self._at.max_tokens_parameter] = settings.max_tokens
        return sent

    def _client_on_this_loop(self) -> openai.AsyncOpenAI:
        """The client that all calls share; its connections belong to the loop on which it was made."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._client, self._loop = make_client(self._at, self._settings), loop
        return self._client


async def _chunks(response: Any, settings: OpenAISettings, received: Received) -> AsyncIterator[Any]:
    """The pieces of an answer; when it is complete, silence is as good as the end.

    Not by the client, which makes objects of all that is in a piece, and takes it in whatever its size.
    Raises EventTooLarge, ValueError for what is no JSON, and APIError for an error in place of a piece.
    """
    events, body, is_done = Events(event_limit(settings)), response.aiter_bytes(), False
    while True:
        try:
            is_over = received.is_complete or is_done
            piece = await asyncio.wait_for(anext(body), COUNT_TIMEOUT if is_over else None)
        except StopAsyncIteration:
            return
        except TimeoutError:
            if not is_over:
                raise
            return
        for data in () if is_done else events.feed(piece):
            is_done = data.startswith(DONE)
            if is_done:
                break
            chunk = json.loads(data.decode())
            if isinstance(chunk, dict) and (error := chunk.get("error")):
                said = error.get("message") if isinstance(error, dict) else None
                message = said if isinstance(said, str) and said else "an error occurred during streaming"
                raise openai.APIError(message, response.request, body=error)
            yield chunk


def _accept(received: Received, settings: OpenAISettings, earlier: list[str], scrub: Scrubber) -> str:
    """The body of an answer that has come to its end. Raises what is wrong with it.

    earlier: what was wrong with those before it, if anything.
    """
    spent, reason = received.spent, scrub.message(received.finish_reason or "")
    if reason == "content_filter":
        raise PermanentError(
            "the provider's content filter stopped the answer (finish_reason content_filter); change what is "
            "asked for",
            usage=spent,
        )
    if received.refusal and not received.characters:
        raise PermanentError(f"the model refuses: {scrub.message(received.refusal)[:500]}", usage=spent)
    if reason == "length":
        limit = f"max_tokens, {settings.max_tokens:,}" if settings.max_tokens else "the model's own limit"
        message = f"{FLAWS[1]} at {limit} (finish_reason length)"
        advice = "raise max_tokens in the settings, or ask for less"
    elif reason.lower() not in ENDED:
        message = f"{FLAWS[2]} (finish_reason {reason[:100]})"
        advice = "look at the prompt template, and at the model"
    elif body := body_of(received.text):
        return body
    else:
        message, advice = f"{FLAWS[0]} (finish_reason {reason})", "look at the prompt template, and at the model"
    if not any(message.startswith(flaw) for flaw in earlier):
        raise TemporaryError(message, usage=spent)
    raise PermanentError(f"{message}, {AGAIN}; {advice}", usage=spent)


def flaws(previous_error: str | None) -> list[str]:
    """What was wrong with the answers before this one; nothing when an operator has set the task going again after
    it had failed for it."""
    if previous_error is None or AGAIN in previous_error:
        return []
    return [flaw for flaw in FLAWS if flaw in previous_error]


def remembering(message: str, flaws: list[str]) -> str:
    """The message of an attempt that came to nothing, with what the next must know of those before it."""
    others = " and ".join(flaw for flaw in flaws if flaw not in message)
    return f"{message} (before that, {others})" if others else message


def _describe_unfinished(received: Received, content_type: str | None) -> str:
    if received.characters:
        return f"the stream ended after {received.characters:,} characters, before the answer did"
    if content_type and not content_type.startswith("text/event-stream"):
        return f"{content_type} instead of a stream; the base URL usually ends with /v1"
    return "the stream ended before any text came"
