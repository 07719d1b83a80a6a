"""Token counts come from the server if it reports them, and are estimated otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from contentq.handlers.openai.settings import OpenAISettings, Price
from contentq.handlers.openai.stream import Received
from contentq.handlers.openai.tokens import Tokens, estimate

SETTINGS = OpenAISettings(model="m", prices={"m": Price(input=1_000_000, output=1_000_000)})
MESSAGES = [{"role": "user", "content": "Write about tea, at length."}]


def usage(prompt: Any, completion: Any, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, **more}


def piece(text: str, finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text}, "finish_reason": finish_reason}], **more}


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        ([usage(3, 5)], (3, 5)),
        ([usage(3, 1), usage(3, 2), usage(3, 5)], (3, 5)),
        ([usage(3, 5), usage(0, 0)], (3, 5)),
        ([usage(3, 5), usage(None, "x")], (3, 5)),
        ([usage("x", -1), usage(3, 5)], (3, 5)),
        ([{"input_tokens": 3, "output_tokens": 5}], (3, 5)),
        ([usage(3, None), usage(None, 5)], (3, 5)),
        ([usage(3, 5, total_tokens=20)], (3, 17)),
        ([usage(3, 5, total_tokens=8)], (3, 5)),
        ([usage(3, 5, total_tokens=True)], (3, 5)),
        ([usage(3, 5, total_tokens="20")], (3, 5)),
        ([None, 3, "x", []], (None, None)),
        ([usage(True, 2.0)], (None, None)),
    ],
)
def test_largest_number_of_each_kind_counts(said: list[Any], counted: tuple[int | None, int | None]) -> None:
    tokens = Tokens()
    for each in said:
        tokens.take(each)

    assert (tokens.count("prompt_tokens"), tokens.count("completion_tokens")) == counted
    assert tokens.are_said == (None not in counted)


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("", 0, 0),
        ("Tea is hot, and black, and comes in a cup.", 9, 13),
        ("\u0413\u043e\u0440\u044f\u0447\u0438\u0439 \u0447\u0451\u0440\u043d\u044b\u0439", 5, 10),
        ("\u8336\u662f\u70ed\u7684\uff0c\u800c\u4e14\u662f\u7ea2\u7684\u3002", 8, 12),
        ("\U0001f375" * 10, 10, 30),
        ("\ud800", 0, 2),
    ],
)
def test_estimate_is_near_what_tokenizers_make_of_a_text(text: str, least: float, most: float) -> None:
    assert least <= estimate(text) <= most


def test_what_is_not_said_is_estimated_and_has_a_cost() -> None:
    received = Received(SETTINGS, MESSAGES)
    received.take(piece("Tea is hot. ", usage={"prompt_tokens": 9}))
    received.take(piece("\u8336" * 10, "stop"))

    assert received.usage == {
        "model": "m",
        "estimated_tokens": True,
        "prompt_tokens": 9,
        "completion_tokens": 13,
        "cost": 22.0,
    }


def test_answer_that_was_broken_off_has_at_least_what_came() -> None:
    received = Received(SETTINGS, MESSAGES)
    received.take(piece("Tea. " * 100, usage=usage(9, 1)))

    assert received.spent == {
        "model": "m",
        "estimated_tokens": True,
        "prompt_tokens": 9,
        "completion_tokens": 125,
        "cost": 134.0,
    }
    received.take(piece("", "stop"))
    assert received.usage["completion_tokens"] == 1, "as the server has it, of an answer that is complete"


def test_thoughts_are_estimated_as_well() -> None:
    received = Received(SETTINGS, MESSAGES)
    received.take({"choices": [{"delta": {"reasoning_content": "hm, " * 100}}]})

    assert received.usage["completion_tokens"] == 100
    assert received.progress == 400


def test_nothing_is_spent_until_the_model_has_begun() -> None:
    received = Received(SETTINGS, MESSAGES)
    assert received.spent is None

    received.take({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
    assert received.spent is None

    received.count({"error": {"message": "No.", "usage": usage(9, 0)}})
    assert received.spent == {"model": "m", "prompt_tokens": 9, "completion_tokens": 0, "cost": 9.0}
