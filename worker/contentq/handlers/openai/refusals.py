"""Reads errors of providers, for refused calls and broken answers, in the formats of various servers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from contentq.handlers.openai.retry_after import READ_LENGTH, hinted_wait, nothing_left, retry_after

OUT_OF_MONEY = frozenset(
    {
        "insufficient_quota",
        "insufficient_balance",
        "billing_hard_limit_reached",
        "billing_not_active",
        "budget_exceeded",
        "payment_required",
    }
)
FILTERED = frozenset(
    {"content_filter", "content_policy_violation", "responsibleaipolicyviolation", "contentpolicyviolationerror"}
)
TOO_LONG = frozenset({"context_length_exceeded", "exceed_context_size_error", "contextwindowexceedederror"})

_STATUS_OF_CODE = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "rate_limited": 429,
    "ratelimiterror": 429,
    "throttling_error": 429,
    "too_many_requests": 429,
    "resource_exhausted": 429,
    "tokens": 429,
    "requests": 429,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "authenticationerror": 401,
    "unauthenticated": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "notfounderror": 404,
    "not_found": 404,
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "failed_precondition": 400,
    "badrequesterror": 400,
    "bad_request": 400,
    **dict.fromkeys(TOO_LONG, 400),
    "timeout": 408,
    "deadline_exceeded": 504,
    "overloaded": 529,
    "overloaded_error": 529,
    "engine_overloaded": 503,
    "service_unavailable": 503,
    "unavailable_error": 503,
    "unavailable": 503,
    "insufficient_system_resource": 503,
    "network_error": 502,
    "bad_gateway": 502,
}
"""The HTTP status that corresponds to an error in a stream, which has no status."""

_OVERLOADED = re.compile(
    r"overloaded|over capacity|temporarily unavailable|currently unavailable|high demand", re.I
)
_TOO_LONG = re.compile(
    r"context (?:length|window|size)|maximum context|prompt is too long|too many tokens|"
    r"exceeds? the (?:model's|maximum)",
    re.IGNORECASE,
)
_MESSAGES = ("message", "detail", "msg", "error_message", "error", "errors")


@dataclass(frozen=True)
class Refusal:
    """An error of a provider."""

    message: str
    codes: frozenset[str] = frozenset()
    """Those of code, type and status that are known, in lower case."""

    status: int | None = None
    """The HTTP status, or the one that corresponds to its code; None if not known."""

    wait: float | None = None
    """Seconds that the provider asks to wait, from headers or text."""

    nothing_left: bool = False
    """Whether it reports that a limit is used up."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """The message in lower case."""

    @property
    def is_filter(self) -> bool:
        """Whether a content filter refused the prompt."""
        return bool(FILTERED & self.codes)

    @property
    def is_out_of_money(self) -> bool:
        """Whether the credit is used up."""
        return self.status == 402 or bool(OUT_OF_MONEY & self.codes)

    @property
    def is_too_long(self) -> bool:
        """Whether the prompt is too long for the model."""
        is_about_prompt = self.status in (400, 413, 422)
        return bool(TOO_LONG & self.codes) or (is_about_prompt and _TOO_LONG.search(self.message) is not None)


def refusal_of(body: Any, headers: Mapping[str, str] | None = None, status: int | None = None) -> Refusal:
    """Returns the refusal in this body, of any type. status: the HTTP status, if there is one."""
    headers = {name.lower(): value for name, value in (headers or {}).items()}
    errors = list(_errors(body))
    codes = frozenset(_codes(errors))
    message = _message(errors, body)
    inner = {name.lower(): str(value) for each in errors for name, value in _headers(each).items()}
    wait = (
        retry_after(headers)
        or retry_after({"date": headers.get("date", ""), **inner})
        or hinted_wait(body, message)
    )
    if status is None:
        status = _status(errors)
        if status in (None, 500) and _OVERLOADED.search(message):
            status = 503
    if any(isinstance(_of(each, "metadata"), Mapping) and "reasons" in each["metadata"] for each in errors):
        codes |= {"content_filter"}
    return Refusal(message, codes, status, wait, nothing_left(headers) or nothing_left(inner), headers)


def text_of(said: object) -> str:
    """The value of any type as text."""
    try:
        return str(said) or type(said).__name__
    except RecursionError:  # JSON with thousands of brackets
        return "what is nested too deeply to be shown"


def _errors(body: Any) -> Iterator[Mapping[str, Any]]:
    """The objects that may describe an error, innermost first."""
    found: list[Mapping[str, Any]] = []
    for _ in range(5):
        if isinstance(body, list) and len(body) == 1:
            body = body[0]
        if not isinstance(body, Mapping):
            break
        found.append(body)
        body = body.get("error") or body.get("innererror")
    yield from reversed(found)


def _codes(errors: list[Mapping[str, Any]]) -> Iterator[str]:
    for error in errors:
        for name in ("code", "type", "status"):
            if isinstance(code := error.get(name), str | int) and not isinstance(code, bool):
                yield str(code)[:100].lower()


def _status(errors: list[Mapping[str, Any]]) -> int | None:
    """The HTTP status that the code implies, which is more precise than that of the type."""
    for name in ("code", "status", "type"):
        for error in errors:
            code = error.get(name)
            word = str(code)[:100].lower() if isinstance(code, str | int) else ""
            if word in _STATUS_OF_CODE:
                return _STATUS_OF_CODE[word]
            if word.isdecimal() and word.isascii() and len(word) == 3 and 400 <= int(word) < 600:
                return int(word)
            if word in OUT_OF_MONEY:
                return 429
    return None


def _headers(error: Mapping[str, Any]) -> Mapping[str, Any]:
    """Headers of the actual provider that a gateway repeats."""
    headers = _of(_of(error, "metadata"), "headers")
    return {str(name): value for name, value in headers.items()} if isinstance(headers, Mapping) else {}


def _of(said: Any, name: str) -> Any:
    return said.get(name) if isinstance(said, Mapping) else None


def _message(errors: list[Mapping[str, Any]], body: Any) -> str:
    """The message, from the formats of various servers; of an HTML page, its text."""
    found = next((error[name] for error in errors for name in _MESSAGES if error.get(name)), body)
    text = text_of(found)[:READ_LENGTH] if found or isinstance(found, int) else "it does not say why"
    raw = next((said for each in errors if isinstance(said := _of(_of(each, "metadata"), "raw"), str)), "")
    if raw:
        text = f"{text}: {raw[:READ_LENGTH]}"
    # A tag ends at the next `<`: searching for its end from each `<` to the end of the text would take hours.
    return re.sub(r"<[^<>]*>", " ", text) if text.lstrip().startswith("<") else text
