"""The request follows the settings; an error about a parameter names the setting that changes it."""

from __future__ import annotations

from typing import Literal

import pytest
from contentq import PermanentError
from contentq.handlers.openai.client import Endpoint
from contentq.handlers.openai.parameters import body_of_call, setting_for, with_role
from contentq.handlers.openai.settings import ModelSettings, OpenAISettings

from tests.handlers.conftest import Ask
from tests.support.provider import Provider
from tests.support.provider_rules import Rule

OPENAI = Endpoint("https://api.openai.com/v1", "sk-1")
OWN = Endpoint("http://localhost:8000/v1", None)
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tea?"}]


def sent(at: Endpoint = OWN, **settings: object) -> dict[str, object]:
    body = body_of_call(MESSAGES, OpenAISettings.model_validate({"model": "m", **settings}), at)
    del body["messages"], body["model"]
    return body


def test_what_is_not_set_is_not_sent() -> None:
    assert sent() == {"stream": True, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    ("at", "rename", "name"),
    [
        (OWN, {}, "max_tokens"),
        (OPENAI, {}, "max_completion_tokens"),
        (OPENAI, {"max_tokens": "max_tokens"}, "max_tokens"),
        (OWN, {"max_tokens": "max_new_tokens"}, "max_new_tokens"),
    ],
)
def test_longest_answer_is_sent_under_the_name_that_is_set(
    at: Endpoint, rename: dict[str, str], name: str
) -> None:
    assert sent(at, max_tokens=70, rename=rename)[name] == 70


def test_what_is_left_out_is_not_sent() -> None:
    assert sent(temperature=1, max_tokens=70, leave_out=["stream_options", "max_tokens"]) == {
        "stream": True,
        "temperature": 1,
    }
    assert sent(temperature=1, rename={"temperature": "heat"}, leave_out=["stream"]) == {"heat": 1}


def test_category_leaves_out_what_its_model_refuses() -> None:
    rename: dict[Literal["temperature", "max_tokens"], str] = {"max_tokens": "max_completion_tokens"}
    own = ModelSettings(leave_out=["temperature"], system_role="user", rename=rename)
    settings = OpenAISettings(temperature=1, max_tokens=70, categories={"research": own})

    assert "temperature" in body_of_call(MESSAGES, settings, OWN)
    body = body_of_call(MESSAGES, settings.of_category("Research"), OWN)
    assert "temperature" not in body
    assert (body["max_completion_tokens"], len(body["messages"])) == (70, 1)


def test_system_message_has_the_role_that_is_set() -> None:
    assert with_role(MESSAGES, "system") == MESSAGES
    assert with_role(MESSAGES, "developer") == [{"role": "developer", "content": "Be brief."}, MESSAGES[1]]
    assert with_role(MESSAGES, "user") == [{"role": "user", "content": "Be brief.\n\nTea?"}]
    assert with_role(MESSAGES[1:], "user") == MESSAGES[1:]


def test_settings_reach_the_provider(provider: Provider, ask: Ask) -> None:
    rename = "max_tokens = 9\nrename = {max_tokens = 'max_new_tokens'}"
    ask(f"leave_out = ['stream_options']\n{rename}\nsystem_role = 'user'")

    call = provider.calls[0]
    assert [message["role"] for message in call.pop("messages")] == ["user"]
    assert call == {"model": "gpt-5.4-mini", "stream": True, "max_new_tokens": 9}


@pytest.mark.parametrize(
    ("said", "setting"),
    [
        ("Unrecognized request argument supplied: stream_options", "leave_out"),
        ("[{'loc': ['body', 'stream_options', 'include_usage'], 'msg': 'Extra'}]", "stream_options"),
        ("Unsupported value: 'temperature' does not support 0.7", '"temperature"'),
        (
            "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens'",
            "max_completion_tokens",
        ),
        ("max_completion_tokens: Extra inputs are not permitted", "rename"),
        ("System role not supported", "system_role"),
        ("Only user and assistant roles are supported!", "system_role"),
        ("Conversation roles must alternate user/assistant", "system_role"),
        ("Invalid value: 'developer'. Supported values for a message role are: 'system'", "system_role"),
        ("Streaming is not supported for this model", '"stream"'),
        ("No such voice", None),
    ],
)
def test_message_about_a_parameter_leads_to_its_setting(said: str, setting: str | None) -> None:
    found = setting_for(said, OpenAISettings(temperature=0.7, max_tokens=70), OWN)

    assert (setting in found if found and setting else found) == (True if setting else None)


def test_message_about_what_is_not_sent_leads_nowhere() -> None:
    assert setting_for("max_tokens is too large, temperature is too high", OpenAISettings(), OWN) is None


def test_refused_parameter_is_told_with_its_setting(provider: Provider, ask: Ask) -> None:
    body = {"error": {"message": "Unknown parameter: 'stream_options'.", "code": "unknown_parameter"}}
    provider.answer(Rule(status=400, body=body))

    with pytest.raises(PermanentError) as caught:
        ask()

    assert str(caught.value) == (
        f"127.0.0.1:{provider.port} answered 400: Unknown parameter: 'stream_options'.; leave it out with "
        'leave_out = ["stream_options"] in the settings'
    )
