"""Applies the rules of the `openai` handler to answers from a file, and creates the client for batches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import openai

from contentq.errors import RateLimited, TemporaryError
from contentq.handlers.openai.accepting import flaws_in, remembering
from contentq.handlers.openai.calling import Answer, Caller
from contentq.handlers.openai.client import http_library, make_client
from contentq.handlers.openai.parameters import body_of_call
from contentq.handlers.openai.prompt import Message
from contentq.handlers.openai.reading import ErrorInAnswer, Reader
from contentq.handlers.openai.settings import OpenAISettings, Price
from contentq.handlers.openai.stream import Received

LARGEST_FILE = 2_000_000_000
"""Maximum size of a file of answers, in bytes: 50,000 articles of 40 kB."""

MISSING = 0
"""Used as the status of a line with an error and no answer, and for a missing line."""

_STREAMED = ("stream", "stream_options")
"""Parameters that a batch request cannot have."""


class BatchCaller(Caller):
    """Builds the requests of a batch, and interprets the answers in the same way as those of direct calls."""

    def client(self) -> openai.AsyncOpenAI:
        """The client for files and batches, which reads large files."""
        if self._client is None:
            self._client = make_client(self._at, self._settings, largest=LARGEST_FILE)
        return self._client

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
            if status == MISSING and not reply:
                raise TemporaryError(f"{self.host} ended the batch without an answer to this request")
            raise self.failure(self._as_error(status, reply), settings)
        except (TemporaryError, RateLimited) as error:
            error.args = (remembering(str(error), flaws_in(context.previous_error)),)
            raise

    def usage(self, reply: Any, settings: OpenAISettings, size: int) -> Mapping[str, Any] | None:
        """The cost of an answer to a request of this size in bytes.

        None if there is no sign that the model started. The size replaces the prompt: it limits the reported
        tokens, and missing counts are estimated from it.
        """
        received = Received(settings, [{"content": " " * size}])
        try:
            Reader(settings, received).take_whole(reply)
        except Exception:
            return None
        return received.spent

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


def at_batch_price(settings: OpenAISettings, model: str) -> OpenAISettings:
    """The settings for this model, with batch prices."""
    factor = settings.batch.price_factor
    prices = {
        name: Price(input=price.input * factor, output=price.output * factor)
        for name, price in settings.prices.items()
    }
    return settings.model_copy(update={"prices": prices, "model": model})
