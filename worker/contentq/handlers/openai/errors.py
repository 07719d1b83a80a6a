"""Turns a failed call into the error that tells the queue what to do."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import openai

from contentq.errors import HandlerError, PermanentError, ProviderUnavailable, RateLimited, TemporaryError
from contentq.handlers.openai.client import Endpoint, http_library
from contentq.handlers.openai.events import EventTooLarge
from contentq.handlers.openai.limits import Compressed, StreamTooLarge, event_limit
from contentq.handlers.openai.parameters import setting_for
from contentq.handlers.openai.proxies import PROXIES, proxy_of
from contentq.handlers.openai.reading import ErrorInAnswer
from contentq.handlers.openai.refusals import Refusal, refusal_of, text_of
from contentq.handlers.openai.retry_after import READ_LENGTH
from contentq.handlers.openai.scrubbing import Scrubber
from contentq.handlers.openai.settings import OpenAISettings
from contentq.handlers.openai.stream import AnswerTooLarge, MalformedAnswer, Received

OUT_OF_MONEY_DELAY = 300.0
"""Seconds until the next attempt when no credit is left, unless the provider gives a time."""

MESSAGE_LENGTH = 500
"""Maximum length of a provider's message, in characters."""

_MALFORMED = (MalformedAnswer, EventTooLarge, StreamTooLarge, Compressed, ValueError, RecursionError)
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
"""OpenSSL's errors, in its various versions, for an answer in plain text."""

About = Literal["unknown", "context", "filtered"]
"""How a permanent error concerns the model, so that another model may complete the same task.

unknown: it does not exist. context: the prompt is too long for it. filtered: it refuses the subject.
"""


class Silence(Exception):
    """The model sent no text for too long."""

    def __init__(self, *, has_begun: bool) -> None:
        super().__init__("silence")
        self.has_begun = has_begun


class Failures:
    """Converts errors of the client to errors of the queue. Their messages never contain the key."""

    def __init__(self, at: Endpoint, scrub: Scrubber) -> None:
        self._at = at
        self._scrub = scrub
        self._http = http_library()
        self._proxy = proxy_of(at.base_url)

    def of(self, error: Exception, settings: OpenAISettings, received: Received) -> Exception:
        """Returns the error to raise; returns errors unrelated to the call unchanged.

        Only evidence that the provider does not work becomes ProviderUnavailable, because several of these in a
        row close the gate for all tasks. An invalid answer, or an answer of a proxy, is not such evidence.
        """
        spent = received.spent
        if isinstance(error, HandlerError):
            return error
        if isinstance(error, AnswerTooLarge):
            return PermanentError(
                f"the answer has more than {settings.max_characters:,} characters; allow more with max_characters "
                "in the settings, or ask for less",
                usage=spent,
            )
        if isinstance(error, Silence | openai.APIConnectionError | self._http.TransportError):
            return self._lost(error, settings, received)
        if isinstance(error, ErrorInAnswer):
            return self._refused(refusal_of(error.said), settings, spent, "interrupted the answer")
        if isinstance(error, openai.APIStatusError):
            refusal = refusal_of(error.body or error.message, error.response.headers, error.status_code)
            return self._refused(refusal, settings, spent, f"answered {error.status_code}")
        return self._malformed(error, settings, received)

    def _malformed(self, error: Exception, settings: OpenAISettings, received: Received) -> Exception:
        """The error for an answer that is invalid or incomplete."""
        spent, said = received.spent, self._short(error)
        if isinstance(error, EventTooLarge):
            said = f"a piece of it has more than {event_limit(settings):,} bytes, and no end"
        if isinstance(error, MalformedAnswer) and error.is_cut:
            return ProviderUnavailable(f"{self._at.host} interrupted the answer: {said}", usage=spent)
        if isinstance(error, (*_MALFORMED, openai.APIError, self._http.HTTPError)):
            return TemporaryError(f"{self._at.host} sent an invalid answer: {said}", usage=spent)
        return error

    def of_answer(self, received: Received, settings: OpenAISettings) -> HandlerError:
        """The error for an answer whose last piece is an error."""
        said = received.error
        if said is None:
            refusal = refusal_of({"code": received.reason, "message": "it does not say why"})
        else:
            refusal = refusal_of(said)
        return self._refused(refusal, settings, received.spent, "ended the answer with an error")

    def _lost(self, error: Exception, settings: OpenAISettings, received: Received) -> HandlerError:
        """The error for a connection that failed or was lost."""
        host, cause, spent = self._at.host, error.__cause__ or error, received.spent
        is_of_proxy = isinstance(cause, self._http.ProxyError) or (
            self._proxy is not None
            and isinstance(cause, self._http.ConnectError | self._http.ConnectTimeout)
            and not isinstance(_bottom(cause), ssl.SSLError)
        )
        if is_of_proxy:
            why = "not reached in time" if isinstance(cause, self._http.ConnectTimeout) else _why(cause)
            return TemporaryError(f"{self._name_proxy()} failed: {self._short(why)}; check {PROXIES}", usage=spent)
        if isinstance(cause, self._http.ConnectTimeout):
            return ProviderUnavailable(
                f"{host} could not be reached in time; {self._where_to_look()}", usage=spent
            )
        if isinstance(error, Silence | openai.APITimeoutError | self._http.TimeoutException):
            has_begun = error.has_begun if isinstance(error, Silence) else bool(received.progress)
            what = "no text" if has_begun else "nothing"
            silent = f"{host} sent {what} for {settings.chunk_timeout:g} seconds (chunk_timeout in the settings)"
            return ProviderUnavailable(silent, usage=spent)
        if received.characters:
            broken = (
                f"{host} interrupted the answer after {received.characters:,} characters: {self._short(cause)}"
            )
            return ProviderUnavailable(broken, usage=spent)
        failed = f"the connection to {host} failed: {self._short(_why(cause))}; {self._where_to_look()}"
        return ProviderUnavailable(failed, usage=spent)

    def _name_proxy(self) -> str:
        return f"the proxy {self._proxy or 'in between'}, on the way to {self._at.host},"

    def _where_to_look(self) -> str:
        return f"the address is {self._at.base_url}: check base_url in the settings, or OPENAI_BASE_URL"

    def _refused(
        self, refusal: Refusal, settings: OpenAISettings, spent: Mapping[str, Any] | None, how: str
    ) -> HandlerError:
        """The error for an error status, or for an error in place of a piece. how: the verb of the message."""
        status, delay, is_status = refusal.status or 0, refusal.wait, how.startswith("answered")
        if 300 <= status < 400:
            to = self._short(_place(refusal.headers.get("location")))
            return PermanentError(
                f"{self._at.host} answered {status}: it redirects to {to}, and no redirect is followed; check the "
                f"address {self._at.base_url} (base_url in the settings, or OPENAI_BASE_URL)",
                usage=spent,
            )
        if status == 407:
            said = f"{self._name_proxy()} answered 407: {self._short(refusal.message)}"
            return TemporaryError(f"{said}; check user and password in {PROXIES}", usage=spent)
        said = f"{self._at.host} {how}: {self._short(refusal.message)}"
        if refusal.is_filter:
            refused = f"{said}; change the topic or the prompt: the content filter refuses it"
            return of_model("filtered", PermanentError(refused, usage=spent))
        if refusal.is_out_of_money:
            return RateLimited(
                f"{said}; no credit is left: check the billing of the key's account",
                retry_after=OUT_OF_MONEY_DELAY if delay is None else delay,
                nothing_left=True,
                usage=spent,
            )
        if status == 429:
            return RateLimited(said, retry_after=delay, nothing_left=refusal.nothing_left, usage=spent)
        setting = setting_for(refusal.message, settings, self._at) if status in (0, 400, 422, 500) else None
        said = f"{said}; {setting}" if setting else said
        if status in (408, 502, 503, 504) or status > 504 or (status >= 500 and is_status):
            return ProviderUnavailable(said, retry_after=delay, usage=spent)
        if status in (0, 409, 425, 500, 501):
            return TemporaryError(said, retry_after=delay, usage=spent)
        if setting is None:
            said = f"{said}; {self._advice(refusal, settings)}"
        error = PermanentError(said, usage=spent)
        if refusal.is_too_long:
            return of_model("context", error)
        return of_model("unknown", error) if status == 404 else error

    def _advice(self, refusal: Refusal, settings: OpenAISettings) -> str:
        """The advice for an error that a retry does not fix."""
        status = refusal.status
        if status == 401 and self._at.key is None:
            return f"set {self._at.key_variable} in the environment of the worker"
        if status == 401:
            return f"check {self._at.key_variable} in the environment of the worker"
        if status == 403:
            return f"check whether the key in {self._at.key_variable} may use the model {settings.model!r}"
        if status == 404:
            return (
                "check model and base_url in the settings, or OPENAI_BASE_URL: the model is "
                f"{settings.model!r}, the address {self._at.base_url}"
            )
        return f"check the settings for the model {settings.model!r}, and the prompt template"

    def _short(self, said: object) -> str:
        text = " ".join(self._scrub.message(text_of(said)[:READ_LENGTH]).split())
        return text if len(text) <= MESSAGE_LENGTH else f"{text[:MESSAGE_LENGTH]}…"


def about(error: BaseException) -> About | None:
    """How a permanent error concerns the model, so that another model may be called; otherwise None."""
    return getattr(error, "about", None)


def of_model(what: About, error: PermanentError) -> PermanentError:
    """Marks an error as concerning the model."""
    error.about = what  # type: ignore[attr-defined]  # read by about(); the class stays one of the queue's
    return error


def _bottom(error: BaseException) -> BaseException:
    """The underlying cause of a failed connection, which is more precise than "All connection attempts failed"."""
    below: BaseException | None = error
    while below is not None:
        error = below
        several = getattr(error, "exceptions", None)  # an exception group, one for each address
        # The client's libraries raise their errors `from None`.
        below = several[0] if several else error.__cause__ or error.__context__
    return error


def _why(error: BaseException) -> str:
    error = _bottom(error)
    if isinstance(error, ssl.SSLError) and error.reason in _NOT_TLS:
        return f"{error}: it seems that the server speaks http there, and no https"
    refused = isinstance(error, ConnectionError) and error.errno
    return os.strerror(refused) if refused else str(error) or type(error).__name__


def _place(location: str | None) -> str:
    """The target of a redirect, without the parts that may hold a secret.

    These are user name, password, query and fragment.
    """
    try:
        parts = urlsplit(location or "")
    except ValueError:
        return "what is no address"
    place = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return place or "nowhere"
