"""What went wrong in a call, as the error that tells the queue what to do about it."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import openai

from contentq.errors import HandlerError, PermanentError, ProviderUnavailable, RateLimited, TemporaryError
from contentq.handlers.openai.client import Endpoint, http_library
from contentq.handlers.openai.events import EventTooLarge
from contentq.handlers.openai.limits import Compressed, StreamTooLarge, event_limit
from contentq.handlers.openai.retry_after import nothing_left, retry_after
from contentq.handlers.openai.scrubbing import Scrubber
from contentq.handlers.openai.settings import OpenAISettings
from contentq.handlers.openai.stream import AnswerTooLarge, MalformedAnswer, Received

OUT_OF_MONEY_DELAY = 300.0
"""Seconds until the next try when the account has no money left, unless the provider names another time."""

MESSAGE_LENGTH = 500
"""Characters that are kept of what a provider says."""

READ_LENGTH = 10_000
"""Characters of it that are looked at: what is left of them without markup and spaces is enough."""

FILTERED = frozenset({"content_filter", "content_policy_violation", "responsibleaipolicyviolation"})
_OUT_OF_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
"""What OpenSSL, in its versions, says of an answer that is in plain text."""

STATUS_OF_CODE = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "tokens": 429,
    "requests": 429,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "context_length_exceeded": 400,
    "invalid_request_error": 400,
    "bad_request": 400,
}
"""What an error in the middle of a stream, which has no status of its own, would have had as its status."""


class Failures:
    """Makes errors of the queue of those of the client. Their messages never hold the key."""

    def __init__(self, at: Endpoint, scrub: Scrubber) -> None:
        self._at = at
        self._scrub = scrub
        self._http = http_library()

    def of(self, error: Exception, settings: OpenAISettings, received: Received) -> Exception:
        """The error to raise; one that has nothing to do with the call is given back as it is."""
        host, spent = self._at.host, received.spent
        if isinstance(error, HandlerError):
            return error
        if isinstance(error, AnswerTooLarge):
            return PermanentError(
                f"the answer has more than {settings.max_characters:,} characters; allow more with max_characters "
                "in the settings, or ask for less",
                usage=spent,
            )
        if isinstance(error, EventTooLarge):
            error = MalformedAnswer(f"a piece of it has more than {event_limit(settings):,} bytes, and no end")
        if isinstance(error, openai.APIConnectionError | self._http.TransportError):
            return ProviderUnavailable(self._lost(error, settings, received), usage=spent)
        malformed = (MalformedAnswer, StreamTooLarge, Compressed, self._http.HTTPError, ValueError, RecursionError)
        if isinstance(error, malformed):
            said = self._short(error)
            return ProviderUnavailable(f"{host} sent what is not an answer: {said}", usage=spent)
        if isinstance(error, openai.APIError):
            return self._refusal(error, settings, spent)
        return error

    def of_answer(self, received: Received) -> HandlerError:
        """Of an answer that an error has ended, which the server said in its last piece."""
        error = received.error
        if isinstance(error, Mapping):
            error = error.get("message") or error
        said = self._short(error or "it does not say why")
        return ProviderUnavailable(f"{self._at.host} ended the answer with an error: {said}", usage=received.spent)

    def _lost(self, error: Exception, settings: OpenAISettings, received: Received) -> str:
        host, cause = self._at.host, error.__cause__ or error
        if isinstance(error, openai.APITimeoutError | self._http.TimeoutException):
            if isinstance(cause, self._http.ConnectTimeout):
                return f"{host} could not be reached in time; {self._where_to_look()}"
            return f"{host} sent nothing for {settings.chunk_timeout:g} seconds (chunk_timeout in the settings)"
        if received.characters:
            return f"{host} broke the answer off after {received.characters:,} characters: {self._short(cause)}"
        return f"the connection to {host} failed: {self._short(_why(cause))}; {self._where_to_look()}"

    def _where_to_look(self) -> str:
        return f"the address is {self._at.base_url}: check base_url in the settings, or OPENAI_BASE_URL"

    def _refusal(
        self, error: openai.APIError, settings: OpenAISettings, spent: Mapping[str, Any] | None
    ) -> HandlerError:
        """Of an answer with an error's status, or with an error in the middle of the stream."""
        codes = [str(name).lower() for name in (error.code, error.type) if name]
        status = _status(error, codes)
        sent = error.response.headers if isinstance(error, openai.APIStatusError) else {}
        headers = {name.lower(): value for name, value in sent.items()}
        delay = retry_after(headers)
        if 300 <= status < 400:
            to = self._short(_place(headers.get("location")))
            return PermanentError(
                f"{self._at.host} said {status}: it redirects to {to}, and no redirect is followed; check the "
                f"address {self._at.base_url} (base_url in the settings, or OPENAI_BASE_URL)",
                usage=spent,
            )
        how = f"said {status}" if isinstance(error, openai.APIStatusError) else "broke the answer off"
        said = f"{self._at.host} {how}: {self._short(_message(error))}"
        if FILTERED.intersection(codes):
            return PermanentError(f"{said}; change what is asked for: its content filter refuses it", usage=spent)
        if status == 402 or _OUT_OF_MONEY.intersection(codes):
            return RateLimited(
                f"{said}; there is no money left: check the billing of the account that the key belongs to",
                retry_after=OUT_OF_MONEY_DELAY if delay is None else delay,
                nothing_left=True,
                usage=spent,
            )
        if status == 429:
            return RateLimited(said, retry_after=delay, nothing_left=nothing_left(headers), usage=spent)
        if status == 408 or status >= 500:
            return ProviderUnavailable(said, retry_after=delay, usage=spent)
        if status in (409, 425):
            return TemporaryError(said, retry_after=delay, usage=spent)
        return PermanentError(f"{said}; {self._advice(status, settings)}", usage=spent)

    def _advice(self, status: int, settings: OpenAISettings) -> str:
        """What to do about an error that trying again does not mend."""
        if status == 401 and self._at.key is None:
            return "set OPENAI_API_KEY in the environment of the worker"
        if status == 401:
            return "check OPENAI_API_KEY in the environment of the worker"
        if status == 403:
            return f"check whether the key in OPENAI_API_KEY may use the model {settings.model!r}"
        if status == 404:
            return (
                "check model and base_url in the settings, or OPENAI_BASE_URL: the model is "
                f"{settings.model!r}, the address {self._at.base_url}"
            )
        return f"check the settings for the model {settings.model!r}, and the prompt template"

    def _short(self, said: object) -> str:
        text = " ".join(self._scrub.message(_text_of(said)[:READ_LENGTH]).split())
        return text if len(text) <= MESSAGE_LENGTH else f"{text[:MESSAGE_LENGTH]}…"


def _why(error: BaseException) -> str:
    """What a connection has failed of: what lies at the bottom says more than "All connection attempts failed"."""
    below: BaseException | None = error
    while below is not None:
        error = below
        several = getattr(error, "exceptions", None)  # of an exception group: one for each address of the host
        # The client's libraries raise theirs from None.
        below = several[0] if several else error.__cause__ or error.__context__
    if isinstance(error, ssl.SSLError) and error.reason in _NOT_TLS:
        return f"{error}: it seems that the server speaks http there, and no https"
    refused = isinstance(error, ConnectionError) and error.errno
    return os.strerror(refused) if refused else str(error) or type(error).__name__


def _status(error: openai.APIError, codes: list[str]) -> int:
    if isinstance(error, openai.APIStatusError):
        return error.status_code
    for code in codes:  # the code is more precise than the type
        if code in STATUS_OF_CODE or (code.isdigit() and 400 <= int(code) < 600):
            return STATUS_OF_CODE.get(code) or int(code)
    return 429 if _OUT_OF_MONEY.intersection(codes) else 500


def _place(location: str | None) -> str:
    """Where a redirect leads, without what may hold a secret: user name, password, query and fragment."""
    try:
        parts = urlsplit(location or "")
    except ValueError:
        return "what is no address"
    place = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return place or "nowhere"


def _message(error: openai.APIError) -> str:
    """What the provider says, out of the forms in which servers say it; of a page in HTML, its text."""
    body = error.body
    if isinstance(body, Mapping):
        body = next((body[name] for name in ("message", "detail", "error") if body.get(name)), error.message)
    text = _text_of(body or error.message)[:READ_LENGTH]
    # A tag ends where the next begins: to look for its end from each < to the end of the text takes hours.
    return re.sub(r"<[^<>]*>", " ", text) if text.lstrip().startswith("<") else text


def _text_of(said: object) -> str:
    try:
        return str(said) or type(said).__name__
    except RecursionError:  # JSON of thousands of brackets
        return "what is nested too deeply to be shown"
