"""What the ordinary handler does with the stream of one answer, for an answer that came in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import openai

from contentq.errors import RateLimited, TemporaryError
from contentq.handlers.openai.calling import ERROR, Answer, Caller, flaws, remembering
from contentq.handlers.openai.client import Endpoint, http_library, make_client
from contentq.handlers.openai.errors import STATUS_OF_CODE
from contentq.handlers.openai.prompt import Message
from contentq.handlers.openai.settings import OpenAISettings, Price
from contentq.handlers.openai.stream import MalformedAnswer, Received

LARGEST_FILE = 2_000_000_000
"""Bytes of a file of answers that are read: 50,000 articles of 40 kB."""

MISSING = 0
"""In place of a status: the provider has ended the batch without an answer to this request."""

Reply = Mapping[str, Any]
"""The body of an answer: a chat completion, or an object with an error."""


class BatchCaller(Caller):
    """Makes the requests of a batch, and judges the answers as those to direct calls."""

    def client(self) -> openai.AsyncOpenAI:
        """The client for files and batches, which reads large files."""
        return self._client_on_this_loop()

    def request(self, messages: list[Message], settings: OpenAISettings) -> str:
        """The body of a request, as JSON."""
        body = {"model": settings.model, "messages": messages, **self._optional(settings)}
        return json.dumps(body, ensure_ascii=False)

    def judge(
        self, status: int, reply: Reply, request_bytes: int, settings: OpenAISettings, context: Any
    ) -> Answer:
        """What a model has written. Raises PermanentError, TemporaryError, ProviderUnavailable or RateLimited."""
        received = Received(settings, request_bytes)
        earlier = flaws(context.previous_error)
        try:
            self._take_in(status, reply, received, settings)
            return self._answer(received, settings, earlier)
        except (TemporaryError, RateLimited) as error:
            error.args = (remembering(str(error), earlier),)
            raise

    def usage(self, reply: Reply, request_bytes: int, settings: OpenAISettings) -> dict[str, Any] | None:
        """What an answer has cost; None when it does not say."""
        received = Received(settings, request_bytes)
        try:
            received.take(_as_chunk(reply))
        except Exception:
            return None
        return received.spent

    def failure(self, error: Exception, settings: OpenAISettings) -> Exception:
        """What the ordinary handler would raise for an error of the client."""
        return self._failures.of(error, settings, Received(settings))

    def _take_in(self, status: int, reply: Reply, received: Received, settings: OpenAISettings) -> None:
        """Takes in an answer. Raises what the ordinary handler would raise for it."""
        if status == MISSING and not reply:
            raise TemporaryError(f"{self.host} has ended the batch without an answer to this request")
        try:
            if status != 200:
                raise self._as_error(status, reply)
            received.take(_as_chunk(reply))
            if received.finish_reason is None:
                raise MalformedAnswer("a choice without a finish_reason")
        except Exception as error:
            raise self._failures.of(error, settings, received) from None
        if received.finish_reason == ERROR:
            raise self._failures.of_answer(received)

    def _as_error(self, status: int, reply: Reply) -> openai.APIError:
        """The error of the client for an answer that is one."""
        said = reply.get("error")
        body: dict[str, Any] = said if isinstance(said, dict) else {"message": str(said or reply)}
        http = http_library()
        if not 300 <= status < 600:  # of a line with an error and no answer
            code = str(body.get("code")).lower()
            status = STATUS_OF_CODE.get(code, 500)
        response = http.Response(status, request=http.Request("POST", self.base_url))
        return openai.APIStatusError("", response=response, body=body)

    def _client_on_this_loop(self) -> openai.AsyncOpenAI:
        if self._client is None:
            self._client = make_client(self._at, self._settings, largest=LARGEST_FILE)
        return self._client


def at_batch_price(settings: OpenAISettings) -> OpenAISettings:
    """The settings with the prices that a batch has."""
    factor = settings.batch.price_factor
    prices = {
        model: Price(input=price.input * factor, output=price.output * factor)
        for model, price in settings.prices.items()
    }
    return settings.model_copy(update={"prices": prices})


def endpoint_of(caller: Caller) -> Endpoint:
    """The API that a caller asks."""
    return caller._at


def _as_chunk(reply: Reply) -> dict[str, Any]:
    """A chat completion as if it had been streamed in one piece. Raises MalformedAnswer when it is none."""
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise MalformedAnswer("it has no choices")
    first = {**choices[0], "delta": choices[0].get("message")}
    return {"usage": reply.get("usage"), "choices": [first]}
