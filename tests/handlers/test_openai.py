"""The handler `openai` calls a model with the real client, and makes content of the answer."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from contentq import GeneratedContent, PermanentError, TemporaryError
from contentq.handlers.loading import load
from contentq.handlers.openai import calling
from contentq.handlers.openai.handler import OpenAIHandler

from tests.handlers.conftest import KEY, Ask
from tests.support.provider import Provider
from tests.support.provider_rules import Rule
from tests.support.tasks import context, task
from tests.support.waiting import eventually

PRICES = """
model = "large"

[prices.large]
input = 1.25
output = 10
"""


NO_COUNTS = ["null", '"x"', "-1", "true", "2.0", "1e400", "NaN"]


def counted(prompt: str, completion: str = "3") -> str:
    return f'{{"prompt_tokens": {prompt}, "completion_tokens": {completion}}}'


def test_answer_becomes_content_with_what_it_has_cost(provider: Provider, ask: Ask) -> None:
    provider.answer(Rule(text="# A cup of *tea*\n\nHot, and black.\n"))

    content = ask(PRICES, topic="Tea")

    assert (content.title, content.body) == ("A cup of *tea*", "# A cup of *tea*\n\nHot, and black.\n")
    assert content.word_count is None
    result = dict(content.result)
    seconds = result.pop("seconds")
    assert 0 < seconds < 30
    assert result.pop("cost") == pytest.approx((result["prompt_tokens"] * 1.25 + 8 * 10) / 1_000_000)
    assert result == {
        "model": "large",
        "prompt_tokens": result["prompt_tokens"],
        "completion_tokens": 8,
        "finish_reason": "stop",
    }
    assert result["prompt_tokens"] == sum(len(each["content"].split()) for each in provider.calls[0]["messages"])


def test_without_a_price_there_is_no_cost(provider: Provider, ask: Ask) -> None:
    assert "cost" not in ask("model = 'small'\n[prices.large]\ninput = 1\noutput = 1").result

    provider.answer(Rule(counts_tokens=False))
    assert "cost" not in ask("model = 'small'").result


@pytest.mark.parametrize("usage", ["null", "3", *(counted(count) for count in NO_COUNTS)])
def test_tokens_that_cannot_be_counted_do_not_spoil_the_answer(provider: Provider, ask: Ask, usage: str) -> None:
    last = f'{{"choices": [{{"delta": {{"content": "Tea"}}, "finish_reason": "stop"}}], "usage": {usage}}}'
    provider.answer(Rule(text="", spoiled=last, spoiled_after=0))

    content = ask(PRICES)

    assert content.body == "Tea\n"
    assert content.result["estimated_tokens"] is True
    assert content.result["prompt_tokens"] > 50
    assert content.result["completion_tokens"] == (1 if "_tokens" not in usage else 3)


@pytest.mark.parametrize("count", NO_COUNTS)
def test_completion_tokens_that_cannot_be_counted_are_estimated(provider: Provider, ask: Ask, count: str) -> None:
    last = f'{{"choices": [], "usage": {counted("30", count)}}}'
    provider.answer(Rule(text="# Tea\n\nHot, and black.\n", spoiled=last, spoiled_count=True))

    result = ask(PRICES).result

    assert (result["prompt_tokens"], result["completion_tokens"], result["estimated_tokens"]) == (30, 6, True)
    assert result["cost"] == pytest.approx((30 * 1.25 + 6 * 10) / 1_000_000)


@pytest.mark.parametrize("said", [10**12, 10**18, 10**400])
@pytest.mark.parametrize("settings", ["", "max_tokens = 500\n"])
def test_more_tokens_than_there_can_have_been_are_capped_and_told(
    provider: Provider, ask: Ask, caplog: pytest.LogCaptureFixture, said: int, settings: str
) -> None:
    last = f'{{"choices": [], "usage": {counted(str(said), str(said))}}}'
    provider.answer(Rule(text="# Tea\n\nHot.", spoiled=last, spoiled_count=True))

    result = ask(settings + PRICES, topic="Tea").result

    characters = sum(len(each["content"]) for each in provider.calls[0]["messages"])
    assert result["prompt_tokens"] == 4 * characters + 10_000
    assert result["completion_tokens"] == 4 * 11 + (500 if settings else 200_000)
    assert result["cost"] < 2.1
    reported = result["reported_tokens"]
    assert reported == dict.fromkeys(("prompt_tokens", "completion_tokens"), said) or said == 10**400
    assert len(str(reported)) < 200
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert len(warnings) == 1
    assert warnings[0].startswith("token counts implausible task=task-1 prompt_tokens=10000")
    assert warnings[0].endswith(f"completion_tokens={result['completion_tokens']}")


def test_tokens_that_a_model_thinks_with_count(provider: Provider, ask: Ask) -> None:
    last = f'{{"choices": [], "usage": {counted("30", "128000")}}}'
    provider.answer(Rule(text="Tea", spoiled=last, spoiled_count=True))

    result = ask(PRICES).result

    assert (result["prompt_tokens"], result["completion_tokens"]) == (30, 128_000)
    assert "reported_tokens" not in result


@pytest.mark.parametrize("spoiled", ["cut", "end", "hang", "{'single': 'quotes'}", '{"choices": [3]}'])
def test_complete_answer_is_taken_whatever_comes_in_place_of_its_tokens(
    provider: Provider, ask: Ask, monkeypatch: pytest.MonkeyPatch, spoiled: str
) -> None:
    monkeypatch.setattr(calling, "COUNT_TIMEOUT", 0.2)
    provider.answer(Rule(text="# Tea\n\nHot.", spoiled=spoiled, spoiled_count=True))

    content = ask(PRICES)

    assert content.body == "# Tea\n\nHot.\n"
    assert content.result["estimated_tokens"] is True
    assert content.result["finish_reason"] == "stop"


@pytest.mark.slow
@pytest.mark.parametrize("settings", ["timeout = 1.5", "chunk_timeout = 1.5"])
def test_complete_answer_is_taken_when_its_time_is_up(provider: Provider, ask: Ask, settings: str) -> None:
    provider.answer(Rule(text="Tea", spoiled="hang", spoiled_count=True))

    assert ask(settings).body == "Tea\n"
    eventually(lambda: provider.counts["abandoned"] == 1)


def test_answer_that_is_cut_off_is_so_without_its_tokens(provider: Provider, ask: Ask) -> None:
    provider.answer(Rule(text="Tea", finish_reason="length", spoiled="cut", spoiled_count=True))

    with pytest.raises(TemporaryError, match=r"^the answer was cut off at the model's own limit"):
        ask()


def test_call_is_streamed_and_holds_no_more_than_is_set(provider: Provider, ask: Ask) -> None:
    ask("model = 'large'")

    call = provider.calls[0]
    messages = call.pop("messages")
    assert [message["role"] for message in messages] == ["system", "user"]
    assert call == {"model": "large", "stream": True, "stream_options": {"include_usage": True}}
    assert provider.keys == {KEY: 1}


def test_settings_of_the_category_are_sent(provider: Provider, ask: Ask) -> None:
    settings = "model = 'large'\nmax_tokens = 70\n[categories.blog]\nmodel = 'small'\ntemperature = 0\n"

    assert ask(settings, category="Blog").result["model"] == "small"
    ask(f"rename = {{max_tokens = 'max_completion_tokens'}}\n{settings}", category="news")

    blog, news = provider.calls
    assert (blog["model"], blog["temperature"], blog["max_tokens"]) == ("small", 0, 70)
    assert (news["model"], news.get("temperature"), news["max_completion_tokens"]) == ("large", None, 70)
    assert "max_tokens" not in news


def test_server_that_needs_no_key_gets_one_all_the_same(
    provider: Provider, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.key = None
    monkeypatch.delenv("OPENAI_API_KEY")

    assert ask().title == "Lentil soup"
    assert provider.keys == {"none": 1}


def test_prompt_of_the_user_is_sent(provider: Provider, ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "prompt.j2").write_text("Topic: {{ topic }}, and nothing else")

    ask(templates=tmp_path, topic="Tea")

    assert provider.calls[0]["messages"] == [{"role": "user", "content": "Topic: Tea, and nothing else"}]


def test_fault_of_a_template_costs_no_call(provider: Provider, ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "prompt.j2").write_text("Write.\n{{ colour }}")

    with pytest.raises(PermanentError, match=r"^template prompt\.j2, line 2: 'colour' is undefined$"):
        ask(templates=tmp_path)
    assert provider.calls == []


@pytest.mark.slow
def test_progress_is_told_while_the_answer_comes_in(provider: Provider, ask: Ask) -> None:
    told: list[tuple[float | None, str | None]] = []
    provider.answer(Rule(text="x" * 8000, pieces=4, seconds=1.2))

    ask(progress=lambda fraction, note: told.append((fraction, note)))

    assert told[0] == (None, "2,000 characters")
    assert told[-1] == (None, "8,000 characters")


@pytest.mark.slow
def test_answer_that_is_too_large_fails_its_task_and_the_stream_is_closed(provider: Provider, ask: Ask) -> None:
    provider.answer(Rule(text="word " * 100_000, pieces=1000, seconds=60))

    with pytest.raises(PermanentError, match=r"^the answer has more than 10,000 characters; allow more "):
        ask("max_characters = 10_000")
    eventually(lambda: provider.counts["abandoned"] == 1)


@pytest.mark.parametrize(
    ("text", "attempt"),
    [
        (" \n", "empty"),
        ("# Tea\n\nHo", "cut off"),
        ("<think>Tea?", "empty"),
        ("<think>Tea?</think>", "empty"),
        ("# T\n\n<think>\nHot?", "empty"),
    ],
)
def test_flawed_answer_is_tried_once_more_and_not_twice(
    provider: Provider, ask: Ask, text: str, attempt: str
) -> None:
    provider.answer(Rule(text=text, finish_reason="length" if attempt == "cut off" else "stop"))

    with pytest.raises(TemporaryError, match=f"^the answer was {attempt}") as first:
        ask(PRICES)
    with pytest.raises(PermanentError, match=f"^the answer was {attempt}.*, for the second time; ") as second:
        ask(PRICES, error_message=str(first.value))
    with pytest.raises(TemporaryError):  # an operator requeued it
        ask(PRICES, error_message=str(second.value))

    for caught in (first, second):
        usage = caught.value.usage
        assert usage is not None
        assert usage["completion_tokens"] == len(text.split())
        assert usage["model"] == "large"
        assert usage["cost"] > 0


@pytest.mark.parametrize("reason", ["tool_calls", "function_call", "abort", "x" * 1000])
def test_answer_that_ended_for_another_reason_is_tried_once_more(
    provider: Provider, ask: Ask, reason: str
) -> None:
    provider.answer(Rule(text="# Tea\n\nLet me look that up.", finish_reason=reason))

    with pytest.raises(TemporaryError) as first:
        ask()
    with pytest.raises(PermanentError, match=", for the second time; look at the prompt template, and at the "):
        ask(error_message=str(first.value))

    assert str(first.value) == f"the answer was not finished (finish_reason {reason[:100]})"
    assert first.value.usage is not None


@pytest.mark.parametrize("reason", ["stop", "eos", "eos_token", "end_turn", "stop_sequence", "STOP"])
def test_answer_that_the_model_has_ended_is_taken(provider: Provider, ask: Ask, reason: str) -> None:
    provider.answer(Rule(text="Tea", finish_reason=reason))

    assert ask().result["finish_reason"] == reason


@pytest.mark.slow
def test_each_flaw_counts_for_itself(provider: Provider, ask: Ask) -> None:
    empty, cut_off = Rule(text=" ", times=1), Rule(text="Tea", finish_reason="length", times=1)
    called = Rule(finish_reason="tool_calls", times=1)
    provider.answer(empty, cut_off, called, Rule(status=503, body={}, times=1), Rule(text=""))
    message = None
    for said in (
        r"^the answer was empty \(finish_reason stop\)$",
        r"^the answer was cut off at .* \(before that, the answer was empty\)$",
        r"^the answer was not finished .* \(before that, the answer was empty and the answer was cut off\)$",
        r" answered 503: .* \(before that, the answer was empty and .* cut off and .* not finished\)$",
    ):
        with pytest.raises(TemporaryError, match=said) as caught:
            ask(error_message=message)
        message = str(caught.value)

    with pytest.raises(PermanentError, match=r"^the answer was empty .*, for the second time; "):
        ask(error_message=message)


def test_flaw_is_remembered_over_an_attempt_that_came_to_nothing(provider: Provider, ask: Ask) -> None:
    provider.answer(Rule(status=503, body={}, times=1), Rule(finish_reason="length"))

    with pytest.raises(
        TemporaryError, match=r"answered 503.* \(before that, the answer was cut off\)$"
    ) as between:
        ask(error_message="the answer was cut off at the model's own limit (finish_reason length)")
    with pytest.raises(PermanentError, match="for the second time"):
        ask(error_message=str(between.value))


def test_cancelled_call_closes_its_stream(provider: Provider) -> None:
    provider.answer(Rule(spoiled="hang", spoiled_after=2))
    begun = threading.Event()

    async def cancelled() -> None:
        handler = OpenAIHandler()
        of = task()
        call = asyncio.ensure_future(handler(of, context(of, progress=lambda *_: begun.set())))
        await asyncio.to_thread(begun.wait, 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.to_thread(eventually, lambda: provider.counts["abandoned"] == 1)
        await handler.close()

    asyncio.run(cancelled())


@pytest.mark.slow
def test_all_calls_of_a_worker_go_out_at_once_and_share_their_connections(provider: Provider) -> None:
    async def many() -> None:
        handler = OpenAIHandler()

        async def one(number: int) -> GeneratedContent:
            of = task(f"Topic {number}")
            return await handler(of, context(of))

        calls = asyncio.gather(*(one(number) for number in range(200)))
        await asyncio.to_thread(eventually, lambda: provider.running == 200, 60)
        provider.go_on()
        contents = await calls
        assert [content.title for content in contents] == [f"Topic {number}" for number in range(200)]
        opened = provider.opened
        assert opened <= 200
        for number in range(5):
            await one(number)
        assert provider.opened == opened
        await handler.close()

    provider.hold()
    asyncio.run(many())


CATEGORIES = "[categories.a]\nmodel = 'small'\n[categories.b]\nmodel = 'small'\n[categories.c]\ntemperature = 1\n"
NONE = "no model has a price in the settings: their cost is not counted and does not reduce any budget"


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize(
    ("settings", "warnings"),
    [
        ("", [NONE]),
        (CATEGORIES, [NONE]),
        (PRICES, []),
        (PRICES + CATEGORIES, ["model small"]),
        (f"{PRICES}[prices.small]\ninput = 0\noutput = 0\n{CATEGORIES}", []),
        (PRICES.replace("[prices.large]", "[prices.lagre]"), ["model large"]),
    ],
)
def test_model_without_a_price_is_told_of_once_at_the_start(
    settings_file: Path,
    caplog: pytest.LogCaptureFixture,
    settings: str,
    warnings: list[str],
) -> None:
    settings_file.write_text(settings)

    load("openai", settings=settings_file).introduce()

    told = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    said = " has no price in the settings: its cost is not counted and does not reduce any budget"
    assert told == [each if each == NONE else each + said for each in warnings]
