"""Failures of a provider become the right error for the queue, with a helpful message."""

from __future__ import annotations

import json
import re
import socket
from datetime import timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from contentq import PermanentError, RateLimited, TemporaryError
from contentq.errors import HandlerError, ProviderUnavailable
from contentq.handlers.openai import calling

from tests.handlers.conftest import KEY, Ask
from tests.support import provider as providers
from tests.support.provider import Provider
from tests.support.provider_rules import Rule


def said(message: str, code: str | int | None = None, kind: str = "invalid_request_error") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


class SilentHandler(BaseHTTPRequestHandler):
    """Answers 400 to anything but HTTP, as servers do, and logs nothing."""

    def log_message(self, format: str, *arguments: Any) -> None: ...


def failure(ask: Ask, settings: str = "", **columns: Any) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        ask(settings, **columns)
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, PermanentError),
        (401, PermanentError),
        (403, PermanentError),
        (404, PermanentError),
        (408, ProviderUnavailable),
        (409, TemporaryError),
        (413, PermanentError),
        (422, PermanentError),
        (425, TemporaryError),
        (429, RateLimited),
        (500, ProviderUnavailable),
        (502, ProviderUnavailable),
        (503, ProviderUnavailable),
        (504, ProviderUnavailable),
        (529, ProviderUnavailable),
    ],
)
def test_status_decides_what_becomes_of_the_task(
    provider: Provider, ask: Ask, status: int, error: type[HandlerError]
) -> None:
    provider.answer(Rule(status=status, body=said("So it is.")))

    caught = failure(ask)

    assert type(caught) is error
    assert str(caught).startswith(f"127.0.0.1:{provider.port} answered {status}: So it is.")
    assert caught.usage is None
    assert len(provider.calls) == 1, "the queue retries, not the client"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(provider: Provider, ask: Ask, status: int) -> None:
    with providers.running() as other:
        to = f"http://127.0.0.1:{other.port}/chat/completions"
        location = f"{to.replace('//', '//me:password@')}?token=qsecret#qsecret"
        provider.answer(Rule(status=status, headers={"location": location}, body="moved"))

        caught = failure(ask)

        assert other.opened == 0
    assert type(caught) is PermanentError
    assert str(caught) == (
        f"127.0.0.1:{provider.port} answered {status}: it redirects to {to}, and no redirect is followed; "
        f"check the address {provider.url} (base_url in the settings, or OPENAI_BASE_URL)"
    )


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("/login?next=x", "/login"),
        ("?qsecret", "nowhere"),
        ("https://[qsecret", "what is no address"),
        (None, "nowhere"),
    ],
)
def test_redirect_is_named_as_far_as_it_holds_no_secret(
    provider: Provider, ask: Ask, location: str | None, place: str
) -> None:
    provider.answer(Rule(status=302, headers={} if location is None else {"location": location}, body=""))

    assert f" answered 302: it redirects to {place}, and " in str(failure(ask))


@pytest.mark.usefixtures("provider")
def test_wrong_key_is_told_with_what_to_check_and_without_the_key(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-wrong-one")
    caught = failure(ask)
    assert type(caught) is PermanentError
    assert "answered 401: Incorrect API key provided: [key hidden]. You can" in str(caught)
    assert str(caught).endswith("; check OPENAI_API_KEY in the environment of the worker")

    monkeypatch.delenv("OPENAI_API_KEY")
    assert str(failure(ask)).endswith("; set OPENAI_API_KEY in the environment of the worker")


def test_unknown_model_is_told_with_the_setting_to_check(provider: Provider, ask: Ask) -> None:
    provider.models = ("large",)

    caught = failure(ask, "model = 'lagre'")

    assert type(caught) is PermanentError
    assert str(caught) == (
        f"127.0.0.1:{provider.port} answered 404: The model `lagre` does not exist or you do not have access to "
        "it.; check model and base_url in the settings, or OPENAI_BASE_URL: the model is 'lagre', the address "
        f"{provider.url}"
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (said("Sorry."), "Sorry."),
        ({"object": "error", "message": "No such model", "code": 404}, "No such model"),
        ({"error": "model 'x' not found"}, "model 'x' not found"),
        ({"detail": [{"loc": ["body", "n"], "msg": "extra"}]}, "[{'loc': ['body', 'n'], 'msg': 'extra'}]"),
        ("<html><head><title>502 Bad\n Gateway</title></head></html>", "502 Bad Gateway"),
        ("out of order", "out of order"),
        ("", "Error code: 500"),
        ({"error": {}}, "Error code: 500"),
        ({"error": {"message": None, "code": 5}}, "{'message': None, 'code': 5}"),
        (["x"], "['x']"),
        (said("long " * 1000), f"{'long ' * 100}…"),
        (
            said(f"Your key {KEY} and sk-live-abc***********wxyz are wrong"),
            "Your key [key hidden] and [key hidden] are",
        ),
    ],
)
def test_message_of_the_provider_is_found_whatever_its_form(
    provider: Provider, ask: Ask, body: Any, message: str
) -> None:
    provider.answer(Rule(status=500, body=body))

    assert f" answered 500: {message}" in str(failure(ask))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1250", "retry-after": "2"}, 1.25),
        ({"Retry-After": "17"}, 17),
        ({"retry-after": "0.75"}, 0.75),
        ({"retry-after": formatdate(2_000_000_030, usegmt=True), "date": formatdate(2e9, usegmt=True)}, 30),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360),
        (
            {
                "x-ratelimit-remaining-requests": "9",
                "x-ratelimit-reset-requests": "1h",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "20ms",
            },
            0.02,
        ),
        ({}, None),
    ],
)
def test_rate_limit_is_waited_for_as_long_as_the_provider_says(
    provider: Provider, ask: Ask, headers: dict[str, str], seconds: float | None
) -> None:
    body = said("Slow down.", "rate_limit_exceeded", "requests")
    provider.answer(Rule(status=429, headers=headers, body=body))

    caught = failure(ask)

    assert type(caught) is RateLimited
    assert caught.retry_after == (None if seconds is None else timedelta(seconds=seconds))
    assert caught.gate is None
    assert caught.nothing_left == any(left == "0" for name, left in headers.items() if "remaining" in name)


def test_unavailable_provider_may_name_when_it_is_back(provider: Provider, ask: Ask) -> None:
    provider.answer(Rule(status=503, headers={"retry-after": "40"}, body=""))

    caught = failure(ask)

    assert isinstance(caught, ProviderUnavailable)
    assert caught.retry_after == timedelta(seconds=40)


@pytest.mark.parametrize(
    ("status", "code", "headers", "seconds"),
    [
        (429, "insufficient_quota", {}, 300),
        (429, "insufficient_quota", {"retry-after": "3600"}, 3600),
        (402, None, {}, 300),
    ],
)
def test_account_without_money_is_asked_again_after_a_while_and_charged_no_retry(
    provider: Provider, ask: Ask, status: int, code: str | None, headers: dict[str, str], seconds: float
) -> None:
    provider.answer(Rule(status=status, headers=headers, body=said("You exceeded your quota.", code)))

    caught = failure(ask)

    assert isinstance(caught, RateLimited)
    assert caught.retry_after == timedelta(seconds=seconds)
    assert caught.nothing_left
    assert "no credit is left: check the billing" in str(caught)


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
def test_prompt_that_the_content_filter_refuses_fails_its_task(provider: Provider, ask: Ask, code: str) -> None:
    provider.answer(Rule(status=400, body=said("Not this.", code)))

    assert type(failure(ask)) is PermanentError
    assert str(failure(ask)).endswith(
        "answered 400: Not this.; change the topic or the prompt: the content filter refuses it"
    )


def test_answer_that_the_content_filter_stops_fails_its_task_and_is_paid_for(provider: Provider, ask: Ask) -> None:
    provider.answer(Rule(text="three words only", finish_reason="content_filter"))

    caught = failure(ask, "model = 'large'\n[prices.large]\ninput = 0\noutput = 1_000_000")

    assert type(caught) is PermanentError
    assert "content filter stopped the answer (finish_reason content_filter)" in str(caught)
    assert caught.usage is not None
    assert (caught.usage["model"], caught.usage["completion_tokens"], caught.usage["cost"]) == ("large", 3, 3)


def test_model_that_refuses_fails_its_task(provider: Provider, ask: Ask) -> None:
    provider.answer(Rule(text="", refusal="I would rather not."))

    caught = failure(ask)

    assert (type(caught), str(caught)) == (PermanentError, "the model refused: I would rather not.")


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        ("cut", "interrupted the answer after 100 characters: "),
        ("end", "interrupted the answer: the stream ended after 100 characters, before the answer did"),
        (json.dumps(said("Overloaded.", None, "server_error")), "interrupted the answer: Overloaded."),
        (json.dumps(said("Upstream.", 502)), "interrupted the answer: Upstream."),
        (json.dumps(said("Later.", None, "UNAVAILABLE")), "interrupted the answer: Later."),
    ],
)
def test_stream_that_breaks_off_is_the_providers_fault(
    provider: Provider, ask: Ask, spoiled: str, message: str
) -> None:
    provider.answer(Rule(text="a" * 200, pieces=4, spoiled=spoiled, spoiled_after=2))

    caught = failure(ask)

    assert type(caught) is ProviderUnavailable
    assert str(caught).startswith(f"127.0.0.1:{provider.port} {message}")
    assert caught.usage is not None
    assert (caught.usage["completion_tokens"], caught.usage["estimated_tokens"]) == (25, True)


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        ("{'single': 'quotes'}", "sent an invalid answer: Expecting property name"),
        ("null", "sent an invalid answer: not a piece of an answer"),
        ("[1, 2]", "sent an invalid answer: not a piece of an answer"),
        ('{"choices": 3}', "sent an invalid answer: not a piece of an answer"),
        ('{"choices": [3]}', "sent an invalid answer: not a piece of an answer"),
        ('{"choices": [{"delta": {"content": 3}}]}', "sent an invalid answer: not a piece of an answer"),
        (
            '{"choices": [{"delta": {}, "finish_reason": 3}]}',
            "sent an invalid answer: not a piece of an answer",
        ),
        (json.dumps(said("Sorry.", None, "server_error")), "interrupted the answer: Sorry."),
        (json.dumps({"error": "Sorry."}), "interrupted the answer: Sorry."),
    ],
)
def test_answer_that_makes_no_sense_is_no_outage(provider: Provider, ask: Ask, spoiled: str, message: str) -> None:
    provider.answer(Rule(text="a" * 200, pieces=4, spoiled=spoiled, spoiled_after=2))

    caught = failure(ask)

    assert type(caught) is TemporaryError
    assert str(caught).startswith(f"127.0.0.1:{provider.port} {message}")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (said("Slow down.", "rate_limit_exceeded"), RateLimited),
        (said("No money.", "insufficient_quota"), RateLimited),
        (said("Not this.", "content_filter"), PermanentError),
        (said("Too long.", "context_length_exceeded"), PermanentError),
        (said("No.", 400), PermanentError),
    ],
)
def test_error_in_the_middle_of_a_stream_counts_as_its_code_says(
    provider: Provider, ask: Ask, error: dict[str, Any], kind: type[HandlerError]
) -> None:
    provider.answer(Rule(spoiled=json.dumps(error), spoiled_after=2))

    assert type(failure(ask)) is kind


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            {"code": 502, "message": f"Upstream of {KEY} is gone"},
            ProviderUnavailable,
            "Upstream of [key hidden] is gone",
        ),
        ("gone", TemporaryError, "gone"),
        (None, TemporaryError, "it does not say why"),
    ],
)
def test_answer_that_the_provider_ends_with_an_error_is_none(
    provider: Provider, ask: Ask, error: Any, kind: type[HandlerError], message: str
) -> None:
    choice = {"delta": {"content": "Half a"}, "finish_reason": "error", "error": error}
    usage = {"prompt_tokens": 5, "completion_tokens": 2}
    last = json.dumps({"choices": [choice], "usage": usage})
    provider.answer(Rule(text="", spoiled=last, spoiled_after=0))

    caught = failure(ask)

    assert type(caught) is kind
    assert str(caught) == f"127.0.0.1:{provider.port} ended the answer with an error: {message}"
    assert caught.usage is not None
    assert caught.usage["completion_tokens"] == 2


def test_error_that_follows_its_finish_reason_is_told(provider: Provider, ask: Ask) -> None:
    spoiled = json.dumps(said("Overloaded.", None, "server_error"))
    provider.answer(Rule(finish_reason="error", spoiled=spoiled, spoiled_count=True))

    caught = failure(ask)

    assert type(caught) is ProviderUnavailable
    assert str(caught).endswith(" interrupted the answer: Overloaded.")


def test_page_instead_of_a_stream_hints_at_the_base_url(provider: Provider, ask: Ask) -> None:
    provider.answer(Rule(headers={"content-type": "text/html"}, text="", spoiled="end", spoiled_after=0))

    assert str(failure(ask)).endswith("text/html instead of a stream; the base URL usually ends with /v1")


@pytest.mark.slow
def test_silence_of_the_provider_ends_the_call(provider: Provider, ask: Ask) -> None:
    provider.answer(Rule(spoiled="hang", spoiled_after=2))

    caught = failure(ask, "chunk_timeout = 1")

    assert type(caught) is ProviderUnavailable
    assert str(caught).endswith(" sent no text for 1 seconds (chunk_timeout in the settings)")


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        ": keep-alive",
        "data:",
        "data: : processing",
        'data: {"choices": []}',
        'data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}',
        'data: {"choices": [{"delta": {"content": []}}], "usage": null}',
        "event: ping",
    ],
)
def test_what_keeps_the_line_open_is_silence(provider: Provider, ask: Ask, line: str) -> None:
    provider.answer(Rule(text="Tea", spoiled_after=1, pieces=1, spoiled=f"repeat:{line}"))

    caught = failure(ask, "chunk_timeout = 1")

    assert type(caught) is ProviderUnavailable
    assert str(caught).endswith(" sent no text for 1 seconds (chunk_timeout in the settings)")
    assert caught.usage is not None
    assert caught.usage["estimated_tokens"] is True


@pytest.mark.slow
def test_answer_is_not_silent_while_it_comes_in(provider: Provider, ask: Ask) -> None:
    provider.answer(Rule(text="a" * 20, pieces=20, seconds=4))

    assert ask("chunk_timeout = 2").body == "a" * 20 + "\n"


def test_answer_at_its_end_does_not_wait_for_what_keeps_the_line_open(
    provider: Provider, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "COUNT_TIMEOUT", 0.3)
    provider.answer(Rule(text="Tea", spoiled="repeat:: alive", spoiled_count=True))

    assert ask().body == "Tea\n"


def test_answer_that_goes_on_for_too_long_ends_the_call(provider: Provider, ask: Ask) -> None:
    provider.answer(Rule(text="a" * 1000, pieces=1000, seconds=60))

    caught = failure(ask, "timeout = 0.5")

    assert type(caught) is ProviderUnavailable
    assert str(caught).endswith(" has not ended its answer within 0.5 seconds (timeout in the settings)")


@pytest.mark.parametrize(
    ("outage", "message"), [("503", "answered 503: The server"), ("drop", "the connection to ")]
)
def test_outage_is_told(provider: Provider, ask: Ask, outage: str, message: str) -> None:
    provider.outage = outage

    caught = failure(ask)

    assert type(caught) is ProviderUnavailable
    assert message in str(caught)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:{free}/v1", "the connection to 127.0.0.1:{free} failed: Connection refused"),
        ("http://localhost:{free}/v1", "the connection to localhost:{free} failed: Connection refused"),
        ("http://nowhere.invalid/v1", "the connection to nowhere.invalid failed: .*"),
        (
            "https://127.0.0.1:{plain}/v1",
            "the connection to 127.0.0.1:{plain} failed: .* the server speaks http there, and no https",
        ),
    ],
)
def test_server_that_cannot_be_reached_is_named_with_its_address_and_where_that_is_from(
    ask: Ask, url: str, why: str
) -> None:
    with socket.socket() as bound, HTTPServer(("127.0.0.1", 0), SilentHandler) as plain:
        Thread(target=plain.handle_request).start()
        bound.bind(("127.0.0.1", 0))
        ports = {"free": bound.getsockname()[1], "plain": plain.server_port}
        caught = failure(ask, f"base_url = '{url.format(**ports)}'")
        socket.create_connection(("127.0.0.1", plain.server_port)).close()  # so that its thread ends in any case

    assert type(caught) is ProviderUnavailable
    advice = f"the address is {url.format(**ports)}: check base_url in the settings, or OPENAI_BASE_URL"
    assert re.fullmatch(f"{why.format(**ports)}; {re.escape(advice)}", str(caught))
