"""Applies the rules of the `openai` handler to answers from a file, and creates the client for batches."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import openai

from contentq.errors import RateLimited, TemporaryError
from contentq.handlers.openai.accepting import flaws_in, remembering
from contentq.handlers.openai.calling import LARGE, Answer, Caller
from contentq.handlers.openai.client import http_library, make_client
from contentq.handlers.openai.parameters import body_of_call
from contentq.handlers.openai.prompt import Message
from contentq.handlers.openai.reading import ErrorInAnswer, Reader
from contentq.handlers.openai.settings import OpenAISettings, Price
from contentq.handlers.openai.stream import AnswerTooLarge, Received

LARGEST_FILE = 2_000_000_000
"""Maximum size of a file of answers, in bytes: 50,000 articles of 40 kB. It is read line by line."""

LARGEST_JSON = 1_000_000
"""Maximum size of any other answer, in bytes, such as a page of a hundred batches."""

MISSING = 0
"""Used as the status of a line with an error and no answer, and for a missing line."""

TOO_LARGE = -1
"""Used as the status of a line that exceeds the limit and was not read."""

_PARSING = threading.Lock()

T = TypeVar("T")

_STREAMED = ("stream", "stream_options")
"""Parameters that a batch request cannot have."""


class BatchCaller(Caller):
    """Builds the requests of a batch, and interprets the answers in the same way as those of direct calls."""

    _downloads: openai.AsyncOpenAI | None = None

    def client(self) -> openai.AsyncOpenAI:
        """The client for all calls but downloads; it reads at most LARGEST_JSON bytes of an answer."""
        if self._client is None:
            self._client = make_client(self._at, self._settings, largest=LARGEST_JSON)
        return self._client

    def download_client(self) -> openai.AsyncOpenAI:
        """The client for the content of files, up to LARGEST_FILE bytes; its answers must be streamed."""
        if self._downloads is None:
            self._downloads = make_client(self._at, self._settings, largest=LARGEST_FILE)
        return self._downloads

    async def close(self) -> None:
        """Closes idle connections."""
        downloads, self._downloads = self._downloads, None
        if downloads is not None:
            await downloads.close()
        await super().close()

    def request(self, messages: list[Message], settings: OpenAISettings) -> str:
        """The body of a request, as JSON."""
        body = body_of_call(messages, settings, self._at)
        return json.dumps({name: body[name] for name in body if name not in _STREAMED}, ensure_ascii=False)

    def scrub(self, text: str) -> str:
        """The text with the key removed."""
        return self._scrub.text(text)

    def judge(
        self, status: int, reply: Any, messages: list[Message], settings: OpenAISettings, context: Any
    ) -> Answer:
        """Returns the answer of the model.

        Raises PermanentError, TemporaryError, ProviderUnavailable or RateLimited.
        """
        try:
            if status == 200:
                return self.read(reply, messages, settings, context.previous_error)
            if status == TOO_LARGE:
                raise self.failure(AnswerTooLarge(), settings)
            if status == MISSING and not reply:
                raise TemporaryError(f"{self.host} ended the batch without an answer to this request")
            raise self.failure(self._as_error(status, reply), settings)
        except (TemporaryError, RateLimited) as error:
            error.args = (remembering(str(error), flaws_in(context.previous_error)),)
            raise

    def received(self, reply: Any, settings: OpenAISettings) -> Received | None:
        """An answer whose cost is to be calculated, without its prompt; None if it is not an answer."""
        received = Received(settings)
        try:
            Reader(settings, received).take_whole(reply)
        except Exception:
            return None
        return received

    def failure(self, error: Exception, settings: OpenAISettings) -> Exception:
        """The error that the `openai` handler raises for an error of the client."""
        return self._failures.of(error, settings, Received(settings))

    def _as_error(self, status: int, reply: Any) -> Exception:
        """An answer that is an error, as the client would raise it."""
        said = reply.get("error", reply)
        if not 300 <= status < 600:
            return ErrorInAnswer(said)
        http = http_library()
        response = http.Response(status, request=http.Request("POST", self.base_url))
        return openai.APIStatusError("", response=response, body=said)


async def parsed(size: int, parse: Callable[[], T]) -> T:
    """Calls a function that parses a text of this size; for a large text in a thread, one at a time.

    JSON takes up to 40 times its size in memory. Therefore the function should return only what is needed of it.
    """
    return parse() if size <= LARGE else await asyncio.to_thread(_parsed_alone, parse)


def _parsed_alone(parse: Callable[[], T]) -> T:
    with _PARSING:
        return parse()


def at_batch_price(settings: OpenAISettings, model: str) -> OpenAISettings:
    """The settings for this model, with batch prices."""
    factor = settings.batch.price_factor
    prices = {
        name: Price(input=price.input * factor, output=price.output * factor)
        for name, price in settings.prices.items()
    }
    return settings.model_copy(update={"prices": prices, "model": model})
