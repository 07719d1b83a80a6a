"""`contentq worker --handler openai`, from the row to the article; the key appears only in the request."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import pytest
from contentq.database.database import Database
from contentq.engine.options import WorkerOptions
from contentq.engine.worker import Worker
from contentq.handlers.loading import load

from tests.handlers.conftest import KEY
from tests.support.databases import Connection
from tests.support.forked import CONTENTQ
from tests.support.provider import Provider
from tests.support.provider_rules import Rule
from tests.support.queue import Queue


@pytest.fixture
def queue(database: Connection) -> Queue:
    return Queue(database)


def work_off(dsn: str, settings: Path | None = None, gate: str | None = None) -> None:
    async def work() -> None:
        handler = load("openai", settings=settings)
        await Worker(Database(dsn), handler, WorkerOptions(concurrency=10, until_empty=True, gate=gate)).run()
        await handler.call.close()  # type: ignore[attr-defined]

    asyncio.run(work())


@pytest.mark.usefixtures("provider")
def test_task_becomes_an_article_with_its_cost(dsn: str, queue: Queue, settings_file: Path) -> None:
    settings_file.write_text("model = 'large'\n[prices.large]\ninput = 1\noutput = 2\n")
    id_ = queue.add(topic="Tea", auto_approve=False)

    work_off(dsn, settings_file)

    row = queue.row(id_)
    assert row["status"] == "completed"
    content = queue.rows("SELECT * FROM contents WHERE id = %s", row["content_id"])[0]
    assert (content["title"], content["review_status"]) == ("Tea", "pending")
    result = row["result"]
    assert result["word_count"] == content["word_count"] == 34
    assert result["cost"] == (result["prompt_tokens"] + 2 * result["completion_tokens"]) / 1_000_000
    assert {"success", "content_id", "model", "finish_reason", "seconds"} < set(result)


@pytest.mark.slow
def test_each_kind_of_failure_ends_as_the_queue_should_have_it(provider: Provider, dsn: str, queue: Queue) -> None:
    provider.answer(
        Rule(contains="Topic: limited", times=3, status=429, headers={"retry-after-ms": "1"}, body={}),
        Rule(contains="Topic: down", times=1, status=503, headers={"retry-after-ms": "1"}, body={}),
        Rule(contains="Topic: refused", status=400, body={"error": {"message": "Not this.", "code": None}}),
    )
    ids = {topic: queue.add(topic=topic, max_retries=1) for topic in ("limited", "down", "refused")}

    work_off(dsn)

    limited, down, refused = (queue.row(ids[topic]) for topic in ids)
    assert (limited["status"], limited["attempt"], limited["retry_count"]) == ("completed", 4, 0)
    assert (down["status"], down["attempt"], down["retry_count"]) == ("completed", 2, 1)
    assert (refused["status"], refused["attempt"]) == ("failed", 1)
    assert " answered 400: Not this.; check the settings for the model" in refused["error_message"]


@pytest.mark.parametrize(
    ("rule", "unanswered"),
    [
        (Rule(raw="<html>Sign in</html>", headers={"content-type": "text/html"}), 0),
        (Rule(raw='data: {"error": {"message": "No."}}\n\n'), 0),
        (Rule(raw='{"error": {"message": "No."}}', headers={"content-type": "application/json"}), 0),
        (Rule(raw="data: nonsense\n\n"), 0),
        (Rule(status=503, body={}), 3),
        (Rule(spoiled="cut", spoiled_after=2), 3),
    ],
)
def test_only_an_outage_is_told_to_the_gate(
    provider: Provider, dsn: str, queue: Queue, rule: Rule, unanswered: int
) -> None:
    provider.answer(rule)
    for number in range(3):
        queue.add(topic=f"Tea {number}", max_retries=0)

    work_off(dsn, gate="llm.example.com")

    gates = queue.rows("SELECT unanswered FROM contentq.gate_status WHERE key = 'llm.example.com'")
    assert sum(gate["unanswered"] for gate in gates) == unanswered


def test_what_a_provider_does_not_count_is_estimated_and_charged(
    provider: Provider, dsn: str, queue: Queue, settings_file: Path
) -> None:
    settings_file.write_text("model = 'large'\n[prices.large]\ninput = 1\noutput = 2\n")
    provider.answer(
        Rule(contains="Topic: whole", counts_tokens=False),
        Rule(contains="Topic: cut", text="a" * 4000, spoiled="cut", spoiled_after=4),
    )
    whole, cut = (queue.add(topic=topic, max_retries=0) for topic in ("whole", "cut"))

    work_off(dsn, settings_file)

    result = queue.row(whole)["result"]
    assert result["estimated_tokens"] is True
    assert queue.row(cut)["status"] == "failed"
    used = queue.rows("SELECT attempts, completion_tokens, cost FROM contentq.usage_by_model")[0]
    assert (used["attempts"], used["completion_tokens"]) == (2, result["completion_tokens"] + 500)
    assert float(used["cost"]) > result["cost"] > 0


def test_thoughts_are_kept_whatever_is_in_them(
    provider: Provider, dsn: str, queue: Queue, settings_file: Path
) -> None:
    settings_file.write_text("keep_reasoning = 20\n")
    thought = json.dumps({"choices": [{"delta": {"reasoning": "\0 \ud800 \x1b hm " * 10}}]})
    end = json.dumps({"choices": [{"delta": {"content": "# Tea"}, "finish_reason": "stop"}]})
    provider.answer(Rule(raw=f"data: {thought}\n\ndata: {end}\n\n"))
    id_ = queue.add(topic="Tea")

    work_off(dsn, settings_file)

    row = queue.row(id_)
    assert row["status"] == "completed"
    assert row["result"]["reasoning"].startswith("\\x00 ")
    assert "hm" in row["result"]["reasoning"]


def test_key_is_in_no_row_result_log_or_message(
    provider: Provider, dsn: str, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = f"You sent {KEY}, which begins with {KEY[:20]}."
    provider.answer(
        Rule(contains="Topic: echo", text=f"# {KEY}\n\nYour key is {KEY}.\n"),
        Rule(contains="Topic: error", status=400, body={"error": {"message": echo, "code": KEY}}),
        Rule(contains="Topic: stream", spoiled=json.dumps({"error": {"message": echo}}), spoiled_after=3),
        Rule(contains="Topic: garbage", spoiled=KEY, spoiled_after=3),
        Rule(contains="Topic: page", status=500, headers={"x-key": KEY}, body=f"<html>{KEY}</html>"),
        Rule(contains="Topic: limited", times=1, status=429, headers={"retry-after-ms": "1"}, body=echo),
        Rule(contains="Topic: refusal", text="", refusal=echo),
        Rule(contains="Topic: reason", finish_reason=KEY),
    )
    for topic in ("echo", "error", "stream", "garbage", "page", "limited", "refusal", "reason"):
        queue.add(topic=topic, max_retries=0)

    work_off(dsn)

    assert provider.keys == {KEY: 9}
    rows = json.dumps(queue.rows("SELECT * FROM content_generation_tasks"), default=str)
    contents = json.dumps(queue.rows("SELECT * FROM contents"), default=str)
    assert "[key hidden]" in rows
    assert "[key hidden]" in contents
    for text in (rows, contents, caplog.text):
        assert KEY not in text
        assert "Topic: " not in text, "nor are prompts"
    assert "attempt failed" in caplog.text


@pytest.mark.usefixtures("provider")
def test_client_does_not_log_every_call(dsn: str, queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    queue.add(topic="Tea")

    work_off(dsn)

    assert {record.name.partition(".")[0] for record in caplog.records} <= {"contentq"}


@pytest.mark.slow
def test_command_line_takes_the_settings_and_says_what_is_wrong_with_them(
    provider: Provider, dsn: str, queue: Queue, settings_file: Path
) -> None:
    id_ = queue.add(topic="Tea")
    settings_file.write_text("modle = 'large'")
    command = ["--dsn", dsn, "worker", "--handler", "openai", "--settings", str(settings_file), "--until-empty"]

    refused = CONTENTQ.run(*command)
    assert refused.returncode == 2
    assert refused.stderr.startswith(
        f"Error: the settings '{settings_file}', line 1: modle: there is no such setting; "
    )

    settings_file.write_text("model = 'large'\n[categories.blog]\nmodel = 'small'")
    done = CONTENTQ.run(*command)
    assert done.returncode == 0
    assert (
        f" logger=contentq.handlers.openai model=large categories=blog:small address={provider.url}\n"
        in done.stderr
    )
    assert queue.row(id_)["result"]["model"] == "large"
