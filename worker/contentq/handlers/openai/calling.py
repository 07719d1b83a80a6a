"""Calls one API: sends the request, reads the stream of the answer, and raises their errors."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import openai

from contentq.errors import ProviderUnavailable, RateLimited, TemporaryError
from contentq.handlers.openai.accepting import accept, flaws_in, is_fault, remembering
from contentq.handlers.openai.client import Endpoint, make_client, quieten
from contentq.handlers.openai.errors import Failures, Silence
from contentq.handlers.openai.parameters import body_of_call
from contentq.handlers.openai.prompt import Message
from contentq.handlers.openai.reading import ErrorInAnswer, Reader
from contentq.handlers.openai.scrubbing import Scrubber
from contentq.handlers.openai.settings import OpenAISettings
from contentq.handlers.openai.stream import AnswerTooLarge, Received
from contentq.task import Task

log = logging.getLogger("contentq.handlers.openai")

PROGRESS_INTERVAL = 0.25
"""Minimum interval, in seconds, between two progress reports of an answer."""

COUNT_TIMEOUT = 5.0
"""Maximum wait, in seconds, for the token counts after the finish reason."""

LARGE = 20_000
"""Length, in characters, from which an answer is parsed in a thread, so that it does not delay other tasks."""


@dataclass(frozen=True)
class Answer:
    """A complete and usable answer of a model."""

    body: str
    """Markdown that ends with a newline."""

    finish_reason: str
    """The finish reason in the provider's words; `done` if the provider only marked the end."""

    usage: Mapping[str, Any]
    """Members of a result: the model, and the known tokens and cost."""

    reasoning: str = ""
    """The model's reasoning, if keep_reasoning in the settings stores it."""


class Caller:
    """Calls one API. settings: those shared by all calls, such as the timeouts."""

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
        """The host of the API, with its port if the address has one."""
        return self._at.host

    @property
    def base_url(self) -> str:
        """The address of the API."""
        return self._at.base_url

    async def ask(self, messages: list[Message], settings: OpenAISettings, task: Task, context: Any) -> Answer:
        """Requests an answer and returns it. settings: those of this task.

        Raises PermanentError, TemporaryError, ProviderUnavailable or RateLimited, as listed in
        docs/how-to/call-a-model.md. An error carries the usage if tokens were paid for.
        """
        received = Received(settings, messages)
        earlier = flaws_in(context.previous_error)
        try:
            try:
                await asyncio.wait_for(self._receive(messages, settings, received, context), settings.timeout)
            except TimeoutError:
                if not received.is_complete:
                    raise
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
                log.warning(
                    "token counts implausible task=%s %s", task.task_id, self._scrub.text(received.doubtful_tokens)
                )

    async def close(self) -> None:
        """Closes idle connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _answer(self, received: Received, settings: OpenAISettings, earlier: list[str]) -> Answer:
        """Returns the complete answer. Raises its errors."""
        if is_fault(received):
            raise self._failures.of_answer(received, settings)
        accepted = accept(received, settings, earlier, self._scrub)
        return Answer(
            self._scrub.text(accepted.body),
            self._scrub.text(received.reason),
            received.usage,
            self._scrub.text(accepted.thoughts),
        )

    async def _receive(
        self, messages: list[Message], settings: OpenAISettings, received: Received, context: Any
    ) -> None:
        """Reads a whole answer; closes the stream if it is cancelled or the answer is refused.

        Errors after the end of the answer are ignored. Only text and thoughts count as activity for chunk_timeout,
        not data that keeps the connection open.
        """
        has_begun = False
        try:
            async with asyncio.timeout(settings.chunk_timeout) as silence:
                async with self._call(messages, settings) as response:
                    has_begun = True
                    await self._read(response, settings, received, context, silence)
        except Exception as error:
            if _is_enough(received, error):
                return
            silent = isinstance(error, TimeoutError) and silence.expired()
            cause = Silence(has_begun=has_begun) if silent else error
            raise self._failures.of(cause, settings, received) from None

    async def _read(
        self, response: Any, settings: OpenAISettings, received: Received, context: Any, silence: asyncio.Timeout
    ) -> None:
        """Reads a body to its end, so that its connection can be reused."""
        reader, told, seen = Reader(settings, received), 0.0, 0
        now = asyncio.get_running_loop().time
        is_ending = False
        async for piece in response.iter_bytes():
            reader.feed(piece)
            if received.is_complete != is_ending or (received.progress > seen and not is_ending):
                is_ending, seen = received.is_complete, received.progress
                silence.reschedule(now() + (COUNT_TIMEOUT if is_ending else settings.chunk_timeout))
            if received.characters and time.monotonic() - told >= PROGRESS_INTERVAL:
                told = time.monotonic()
                context.progress(None, f"{received.characters:,} characters")
        reader.end(response.headers.get("content-type", ""))

    def _call(self, messages: list[Message], settings: OpenAISettings) -> Any:
        """Makes the call; a context that yields the response."""
        body = body_of_call(messages, settings, self._at)
        known = {name: body.pop(name) for name in ("model", "messages", "stream") if name in body}
        create: Any = self._client_on_this_loop().chat.completions.with_streaming_response.create
        return create(**known, extra_body=body)

    def read(
        self, body: Any, messages: list[Message], settings: OpenAISettings, previous_error: str | None = None
    ) -> Answer:
        """The answer in the JSON of a whole answer, as in the output of a batch. Raises as ask()."""
        received = Received(settings, messages)
        try:
            Reader(settings, received).take_whole(body)
        except Exception as error:
            raise self._failures.of(error, settings, received) from None
        return self._answer(received, settings, flaws_in(previous_error))

    def _client_on_this_loop(self) -> openai.AsyncOpenAI:
        """The client shared by all calls; its connections belong to the event loop on which it was created."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._client, self._loop = make_client(self._at, self._settings), loop
        return self._client


def _is_enough(received: Received, error: Exception) -> bool:
    """Whether the answer had reached its end, so that later errors do not matter.

    Errors sent by the provider still count, such as those of a filter that checks the whole answer.
    """
    return received.is_complete and not (is_fault(received) or isinstance(error, AnswerTooLarge | ErrorInAnswer))
