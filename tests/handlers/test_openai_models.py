"""Several models, each at its own provider: the order of calls, and the fallback after a failed one."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from contentq import GeneratedContent, PermanentError, ProviderUnavailable, RateLimited, TemporaryError
from contentq.database.database import Database
from contentq.engine.options import WorkerOptions
from contentq.engine.worker import Worker
from contentq.handlers.loading import load
from contentq.handlers.openai.handler import OpenAIHandler

from tests.handlers.conftest import KEY
from tests.support import provider as providers
from tests.support.databases import Connection
from tests.support.provider import Provider
from tests.support.provider_rules import Limits, Rule
from tests.support.queue import Queue
from tests.support.tasks import context, task
from tests.support.waiting import eventually

SPARE_KEY = "sk-spare-9f2LqW"
LIMITED = Rule(status=429, headers={"retry-after": "40"}, body={"error": {"message": "Slow down."}})
UNKNOWN = Rule(status=404, body={"error": {"message": "No such model.", "code": "model_not_found"}})
TOO_LONG = Rule(status=400, body={"error": {"message": "Too long.", "code": "context_length_exceeded"}})
FILTERED = Rule(status=400, body={"error": {"message": "Not this.", "code": "content_filter"}})


@pytest.fixture
def spare(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """A second provider, in addition to the one in the environment."""
    del provider
    with providers.running(key=SPARE_KEY) as running:
        monkeypatch.setenv("SPARE_KEY", SPARE_KEY)
        yield running


def write(file: Path, spare: Provider, *lines: str) -> Path:
    """Writes settings with two models, the second at the spare provider, and these lines."""
    file.write_text(
        "\n".join(
            (
                'models = ["large", "spare"]',
                *lines,
                "[prices]",
                "large = {input = 1, output = 2}",
                "[deployments.large]",
                "[deployments.spare]",
                'model = "small"',
                f'base_url = "{spare.url}"',
                'key_variable = "SPARE_KEY"',
                "price = {input = 10, output = 20}",
            )
        )
    )
    return file


def run(file: Path, **columns: Any) -> GeneratedContent:
    async def once() -> GeneratedContent:
        handler = OpenAIHandler(None, file)
        of = task(**columns)
        try:
            return await handler(of, context(of))
        finally:
            await handler.close()

    return asyncio.run(once())


def test_first_model_writes_and_no_other_is_asked(
    provider: Provider, spare: Provider, settings_file: Path
) -> None:
    result = run(write(settings_file, spare)).result

    assert (result["model"], result["deployment"], "models_passed_over" in result) == ("large", "large", False)
    assert (len(provider.calls), len(spare.calls)) == (1, 0)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (LIMITED, "answered 429: Slow down."),
        (Rule(status=503, body={"error": {"message": "Away."}}), "answered 503: Away."),
        (Rule(spoiled_after=3), "interrupted the answer"),
        (Rule(status=402, body={"error": {"message": "Pay."}}), "no credit is left"),
    ],
)
def test_call_that_a_provider_does_not_take_goes_to_the_next_in_the_same_attempt(
    provider: Provider, spare: Provider, settings_file: Path, rule: Rule, why: str
) -> None:
    provider.answer(rule)

    result = run(write(settings_file, spare)).result

    assert (result["model"], result["deployment"]) == ("small", "spare")
    assert result["cost"] == (10 * result["prompt_tokens"] + 20 * result["completion_tokens"]) / 1_000_000
    (passed,) = result["models_passed_over"]
    assert passed["model"] == "large"
    assert why in passed["why"]
    assert (provider.keys, spare.keys) == ({KEY: 1}, {SPARE_KEY: 1})
    assert [call["model"] for call in spare.calls] == ["small"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "about"),
    [
        (UNKNOWN, "unknown"),
        (TOO_LONG, "context"),
        (FILTERED, "filtered"),
        (Rule(finish_reason="content_filter"), "filtered"),
    ],
)
def test_permanent_error_about_the_model_falls_through_when_it_is_set(
    provider: Provider, spare: Provider, settings_file: Path, rule: Rule, about: str
) -> None:
    provider.answer(rule)

    with pytest.raises(PermanentError):
        run(write(settings_file, spare))
    others = [each for each in ("unknown", "context", "filtered") if each != about]
    with pytest.raises(PermanentError):
        run(write(settings_file, spare, f"fall_through = {json.dumps(others)}"))
    assert len(spare.calls) == 0

    assert run(write(settings_file, spare, f'fall_through = ["{about}"]')).result["model"] == "small"


@pytest.mark.parametrize(
    "rule", [Rule(status=401, body={"error": {"message": "Who?"}}), Rule(status=422, body={"detail": "what?"})]
)
def test_permanent_error_about_something_else_ends_the_task(
    provider: Provider, spare: Provider, settings_file: Path, rule: Rule
) -> None:
    provider.answer(rule)

    with pytest.raises(PermanentError):
        run(write(settings_file, spare, 'fall_through = ["unknown", "context", "filtered"]'))
    assert len(spare.calls) == 0


def test_answer_that_is_no_article_is_tried_again_and_asks_no_other(
    provider: Provider, spare: Provider, settings_file: Path
) -> None:
    provider.answer(Rule(text=""))

    with pytest.raises(TemporaryError, match="the answer was empty"):
        run(write(settings_file, spare))
    assert len(spare.calls) == 0


@pytest.mark.slow
def test_first_error_is_raised_when_none_is_left_and_comes_back_when_one_may_be_asked(
    provider: Provider, spare: Provider, settings_file: Path
) -> None:
    provider.answer(LIMITED)
    spare.answer(Rule(status=429, headers={"retry-after": "7"}, body={"error": {"message": "Me too."}}))

    with pytest.raises(RateLimited) as caught:
        run(write(settings_file, spare))

    said = str(caught.value)
    assert said.index("Slow down.") < said.index("; small: ") < said.index("Me too.")
    assert caught.value.retry_after == timedelta(seconds=7)
    assert caught.value.usage is None


def test_error_that_another_attempt_may_mend_comes_before_one_that_is_permanent(
    provider: Provider, spare: Provider, settings_file: Path
) -> None:
    provider.answer(FILTERED)
    spare.answer(Rule(status=503, body={"error": {"message": "Away."}}))

    with pytest.raises(ProviderUnavailable, match="Away") as caught:
        run(write(settings_file, spare, 'fall_through = ["filtered"]'))
    assert "Not this." in str(caught.value)


@pytest.mark.slow
def test_models_of_one_provider_share_its_gate(provider: Provider, spare: Provider, settings_file: Path) -> None:
    """The refusal applies to both: the second is called only after an error about the model."""
    settings_file.write_text(
        'models = ["large", "small"]\nfall_through = ["unknown"]\n[deployments.large]\n[deployments.small]'
    )
    provider.answer(LIMITED)
    with pytest.raises(RateLimited):
        run(settings_file)
    assert len(provider.calls) == 1
    provider.answer(Rule(contains="", times=1, status=404, body={"error": {"message": "No such model."}}))

    assert run(settings_file).result["model"] == "small"

    handler = load("openai", settings=settings_file)
    assert (handler.gate, handler.gates) == (None, (f"127.0.0.1:{provider.port}",))


def test_gates_are_the_hosts_unless_they_are_set(provider: Provider, spare: Provider, settings_file: Path) -> None:
    host = f"127.0.0.1:{provider.port}"
    handler = load("openai", settings=write(settings_file, spare))
    assert (handler.gate, handler.gates) == (None, (host, f"127.0.0.1:{spare.port}"))
    settings_file.write_text('models = ["a"]\n[deployments.a]\ngate = "mine"')

    handler = load("openai", settings=settings_file)

    assert (handler.gate, handler.gates) == ("mine", ())


def test_introduction_names_each_model_where_it_is_and_those_without_a_price(
    provider: Provider, spare: Provider, settings_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write(settings_file, spare)
    settings_file.write_text(
        settings_file.read_text()
        + '\n[categories.blog]\nmodels = ["spare", "large"]\n[categories.note]\nmodel = "tiny"\n'
        '[accounts.7]\nmodels = ["spare"]\n'
    )

    load("openai", settings=settings_file).introduce()

    host, other = f"127.0.0.1:{provider.port}", f"127.0.0.1:{spare.port}"
    assert caplog.messages == [
        f"deployment=large model=large address=http://{host}/v1 gate={host}",
        f"deployment=spare model=small address=http://{other}/v1 gate={other}",
        f"model=large+spare categories=blog:spare+large,note:tiny accounts=7:spare address=http://{host}/v1",
        "model tiny has no price in the settings: its cost is not counted and does not reduce any budget",
    ]


@pytest.fixture
def queue(database: Connection) -> Queue:
    return Queue(database)


def work_off(dsn: str, file: Path, concurrency: int = 10) -> None:
    """Runs as `contentq worker` does, until no task is pending."""

    async def work() -> None:
        handler = load("openai", settings=file)
        options = WorkerOptions(
            concurrency=concurrency, until_empty=True, gate=handler.gate, gates=handler.gates or None
        )
        await Worker(Database(dsn), handler, options).run()
        await handler.call.close()  # type: ignore[attr-defined]

    asyncio.run(work())


def host_of(provider: Provider) -> str:
    return f"127.0.0.1:{provider.port}"


def results(queue: Queue) -> list[Any]:
    return queue.values("SELECT result FROM content_generation_tasks WHERE status = 'completed' ORDER BY id")


def usage_of_results(queue: Queue) -> list[tuple[str, int, int]]:
    """By model: attempts and tokens, from the results."""
    rows = queue.rows(
        "SELECT result->>'model' AS model, count(*) AS number, "
        "sum((result->>'prompt_tokens')::integer + (result->>'completion_tokens')::integer)::integer AS tokens "
        "FROM content_generation_tasks GROUP BY 1 ORDER BY 1"
    )
    return [(row["model"], row["number"], row["tokens"]) for row in rows]


def usage_by_model(queue: Queue) -> list[tuple[str, int, int]]:
    rows = queue.rows(
        "SELECT model, sum(attempts)::integer AS number, "
        "sum(prompt_tokens + completion_tokens)::integer AS tokens FROM contentq.usage GROUP BY 1 ORDER BY 1"
    )
    return [(row["model"], row["number"], row["tokens"]) for row in rows]


def test_gate_that_an_operator_has_closed_is_passed_over(
    provider: Provider, spare: Provider, dsn: str, queue: Queue, settings_file: Path
) -> None:
    queue.close_gate(host_of(provider), "1 hour", "the key is being changed")
    for number in range(5):
        queue.add(topic=f"Topic {number}")

    work_off(dsn, write(settings_file, spare))

    assert (len(provider.calls), len(spare.calls)) == (0, 5)
    for result in results(queue):
        (passed,) = result["models_passed_over"]
        assert passed["why"].startswith(f"gate {host_of(provider)}: closed until ")
        assert passed["why"].endswith("; reason: the key is being changed")
    assert usage_by_model(queue) == usage_of_results(queue)


@pytest.mark.slow
def test_provider_that_has_died_is_passed_over_once_its_gate_knows_and_no_retry_is_charged(
    provider: Provider, spare: Provider, dsn: str, queue: Queue, settings_file: Path
) -> None:
    file = write(settings_file, spare)
    with providers.running() as dead:
        file.write_text(f'base_url = "{dead.url}"\n{file.read_text()}')
    for number in range(12):
        queue.add(topic=f"Topic {number}")

    work_off(dsn, file, concurrency=2)

    found = results(queue)
    assert [result["model"] for result in found] == ["small"] * 12
    assert queue.value("SELECT sum(retry_count + attempt - 1) FROM content_generation_tasks") == 0
    events = queue.rows("SELECT key, kind FROM contentq.gate_events")
    assert {tuple(event.values()) for event in events} == {(host_of(dead), "unanswered")}
    assert 3 <= len(events) <= 8, "then it is closed, and tried now and then"
    whys = [result["models_passed_over"][0]["why"] for result in found]
    assert sum("the connection to" in why and not why.startswith("gate ") for why in whys) == len(events)
    assert usage_by_model(queue) == usage_of_results(queue)


@pytest.mark.slow
def test_what_a_limited_provider_refuses_another_writes_and_its_gate_learns(
    provider: Provider, spare: Provider, dsn: str, queue: Queue, settings_file: Path
) -> None:
    provider.limits = Limits(rate=20, burst=5)
    provider.seconds = spare.seconds = 0.05
    for number in range(150):
        queue.add(topic=f"Topic {number}")

    work_off(dsn, write(settings_file, spare), concurrency=40)

    stats, other = provider.stats(), spare.stats()
    assert stats["accepted"] + other["accepted"] == 150
    assert queue.value("SELECT count(*) FROM contentq.gate_events") == stats["refused"]
    pace = queue.value("SELECT contentq.gate_pace(g) FROM contentq.gates AS g WHERE g.key = %s", host_of(provider))
    assert pace is not None
    assert pace < 60
    assert stats["refused"] < 90, "most pass it over at once, once it is known"
    assert usage_by_model(queue) == usage_of_results(queue)
    assert queue.value("SELECT sum(retry_count) FROM content_generation_tasks") == 0


@pytest.mark.slow
def test_rate_that_is_set_is_kept_and_the_rest_goes_to_the_next(
    provider: Provider, spare: Provider, dsn: str, queue: Queue, settings_file: Path
) -> None:
    provider.seconds = spare.seconds = 0.1
    queue.set_gate(host_of(provider), requests_per_minute=300)
    queue.set_gate(host_of(spare), max_running=3)
    for number in range(60):
        queue.add(topic=f"Topic {number}")

    work_off(dsn, write(settings_file, spare), concurrency=20)

    assert spare.stats()["most_running"] <= 3
    stats = provider.stats()
    assert stats["accepted"] <= 5 * stats["seconds"] + 2
    assert stats["accepted"] + spare.stats()["accepted"] == 60
    assert usage_by_model(queue) == usage_of_results(queue)
    assert queue.value("SELECT count(*) FILTER (WHERE attempt > 2) FROM content_generation_tasks") <= 10


@pytest.mark.slow
def test_what_was_paid_for_before_the_next_was_asked_is_of_its_model(
    provider: Provider, spare: Provider, dsn: str, queue: Queue, settings_file: Path
) -> None:
    provider.answer(Rule(finish_reason="content_filter"))
    id_ = queue.add(topic="Tea")

    work_off(dsn, write(settings_file, spare, 'fall_through = ["filtered"]'))

    assert queue.row(id_)["result"]["model"] == "small"
    assert [(model, number) for model, number, _ in usage_by_model(queue)] == [("large", 1), ("small", 1)]
    assert queue.rows("SELECT * FROM contentq.gate_events") == [], "it was an answer"


@pytest.mark.slow
def test_task_goes_back_when_no_model_has_room_and_comes_when_one_has(
    provider: Provider, spare: Provider, dsn: str, queue: Queue, settings_file: Path
) -> None:
    del provider
    file = write(settings_file, spare)
    file.write_text(f'{file.read_text()}\n[accounts.{queue.account}]\nmodels = ["spare"]')
    queue.close_gate(host_of(spare), "2 seconds")
    id_ = queue.add(topic="Tea", max_retries=0)

    work_off(dsn, file)

    row = queue.row(id_)
    assert (row["status"], row["attempt"], row["retry_count"]) == ("completed", 2, 0)
    eventually(lambda: queue.values("SELECT id FROM contentq.workers") == [])


@pytest.mark.slow
def test_task_whose_first_model_will_not_do_waits_for_room_at_the_next(
    provider: Provider, spare: Provider, dsn: str, queue: Queue, settings_file: Path
) -> None:
    provider.answer(FILTERED)
    queue.close_gate(host_of(spare), "2 seconds")
    id_ = queue.add(topic="Tea", max_retries=0)

    work_off(dsn, write(settings_file, spare, 'fall_through = ["filtered"]'))

    row = queue.row(id_)
    assert (row["status"], row["retry_count"], row["result"]["model"]) == ("completed", 0, "small")
