"""`contentq worker --handler openai-batch`: tasks of low priority are sent as batches, and return one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from contentq.handlers.loading import load

from tests.handlers.batches import (
    SETTINGS,
    StartBatches,
    add,
    are_sent,
    full_at,
    one_batch,
    provider,
    queue,
    start,
    statuses,
)
from tests.support import provider_batches
from tests.support.provider_batches import BatchProvider, Refused, completion
from tests.support.queue import Queue
from tests.support.waiting import eventually

__all__ = ["provider", "queue", "start"]


@pytest.mark.slow
def test_tasks_go_as_one_batch_and_come_back_one_by_one(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    ids = add(queue, 30)
    start(full_at(30), concurrency=4)
    eventually(lambda: are_sent(queue))
    rows = [queue.row(id_) for id_ in ids]
    assert {(row["status"], row["attempt"], row["handler_state"]["batch"]) for row in rows} == {
        ("pending", 1, "batch_1")
    }
    assert queue.value("SELECT tasks_waiting FROM contentq.provider_batch_status") == 30
    [why] = queue.values("SELECT contentq.explain(%s)", rows[0]["task_id"])
    assert why.startswith("its request waits for the answer in batch batch_1 of the provider: ")
    assert why.endswith(", 0 of 30 requests done")

    provider.complete()

    eventually(lambda: statuses(queue) == {"completed": 30})
    assert len(provider.batches) == 1
    assert provider.done == provider.sent == {f"{id_}-1": 1 for id_ in ids}
    assert provider.calls["chat"] == 0
    rows = [queue.row(id_) for id_ in ids]
    assert {(row["attempt"], row["retry_count"], row["handler_state"]) for row in rows} == {(2, 0, None)}
    bodies = [queue.value("SELECT body FROM contents WHERE id = %s", row["content_id"]) for row in rows]
    assert [body.splitlines()[0] for body in bodies] == [f"# On topic-{n}" for n in range(30)]
    assert rows[0]["result"] == {
        "success": True,
        "content_id": rows[0]["content_id"],
        "word_count": 5,
        "model": "small-1",
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "cost": 0.001,
        "finish_reason": "stop",
        "batch": "batch_1",
    }
    assert queue.value("SELECT (attempts, cost) = (30, 0.03) FROM contentq.usage_by_model")
    assert one_batch(queue)["status"] == "completed"
    eventually(lambda: queue.value("SELECT count(*) FROM contentq.batch_requests") == 0, within=15)


def test_urgent_tasks_and_those_with_little_time_are_asked_for_directly(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    urgent, soon = queue.add(priority=6), queue.add(timeout_at="2000-01-01")
    queue.run("UPDATE content_generation_tasks SET timeout_at = now() + interval '1 hour' WHERE id = %s", soon)
    later = queue.add()
    start()

    eventually(lambda: queue.status(urgent) == queue.status(soon) == "completed")

    eventually(lambda: are_sent(queue))
    assert provider.sent == {f"{later}-1": 1}
    assert provider.calls["chat"] == 2
    assert queue.row(urgent)["result"]["cost"] == 0.002


@pytest.mark.slow
def test_batch_is_as_large_as_the_setting_allows_and_of_one_model(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    add(queue, 12)
    add(queue, 3, category="news")
    provider.at_once = True
    start(full_at(5, 0.1) + '[categories.news]\nmodel = "large-1"\n')

    eventually(lambda: statuses(queue) == {"completed": 15})

    assert sum(len(made.lines) for made in provider.batches.values()) == 15
    assert all(len(made.lines) <= 5 for made in provider.batches.values())
    assert {line["body"]["model"] for made in provider.batches.values() for line in made.lines} == {
        *("small-1", "large-1")
    }
    assert set(provider.done.values()) == {1}


@pytest.mark.slow
def test_full_batch_does_not_wait_for_others(provider: BatchProvider, queue: Queue, start: StartBatches) -> None:
    start(full_at(5, 3600))
    add(queue, 7)

    shown = [{"status": "gathering", "requests": 2}, {"status": "in_progress", "requests": 5}]
    eventually(
        lambda: queue.rows("SELECT status, requests FROM contentq.provider_batch_status ORDER BY status") == shown,
        within=10,
    )
    assert len(provider.batches["batch_1"].lines) == 5
    waiting = "SELECT task_id FROM content_generation_tasks ORDER BY id DESC LIMIT 1"
    assert queue.values("SELECT contentq.explain(%s)", queue.value(waiting)) == [
        "its request waits to be sent to the provider in a batch"
    ]


@pytest.mark.slow
def test_batch_of_which_all_tasks_have_ended_is_cancelled_at_the_provider(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    cancelled, overdue = queue.add(), queue.add()
    start(full_at(2).replace("[batch]", "[batch]\nmin_time_left = 0"))
    eventually(lambda: are_sent(queue))
    queue.run("SELECT contentq.cancel(task_id) FROM content_generation_tasks WHERE id = %s", cancelled)
    calls = provider.calls["retrieve"]
    eventually(lambda: provider.calls["retrieve"] > calls + 2)
    assert provider.cancelled == []

    queue.run(
        "UPDATE content_generation_tasks SET timeout_at = now() - interval '1 second' WHERE id = %s", overdue
    )
    queue.run("SELECT contentq.sweep_timeouts()")

    eventually(lambda: one_batch(queue)["ended_at"] is not None)
    assert one_batch(queue)["status"] == "cancelled"
    assert provider.cancelled == ["batch_1"]
    assert statuses(queue) == {"failed": 1, "timeout": 1}
    assert queue.value("SELECT count(*) FROM contentq.batch_requests") == 0


@pytest.mark.slow
def test_task_that_ends_before_its_batch_is_sent_is_not_sent(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    ids = add(queue, 2)
    start(full_at(3, 1.0))
    eventually(lambda: queue.value("SELECT count(*) FROM contentq.batch_requests") == 2)
    queue.run("SELECT contentq.cancel(task_id) FROM content_generation_tasks WHERE id = %s", ids[0])

    eventually(lambda: are_sent(queue), within=10)

    assert provider.sent == {f"{ids[1]}-1": 1}


@pytest.mark.slow
def test_answer_to_a_task_that_has_ended_is_paid_for_and_not_used(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    first, second = add(queue, 2)
    start(full_at(2, 0.5))
    eventually(lambda: are_sent(queue))
    queue.run("SELECT contentq.cancel(task_id) FROM content_generation_tasks WHERE id = %s", first)
    queue.run("SELECT contentq.requeue(task_id) FROM content_generation_tasks WHERE id = %s", first)
    eventually(lambda: len(provider.batches) == 2)

    provider.complete()

    eventually(lambda: statuses(queue) == {"completed": 2}, within=10)
    assert provider.done == {f"{first}-1": 1, f"{first}-2": 1, f"{second}-1": 1}
    eventually(lambda: queue.value("SELECT count(*) FROM contentq.batch_requests") == 0, within=15)
    assert queue.value("SELECT cost::float8 FROM contentq.usage_by_model") == pytest.approx(0.003)
    assert queue.value("SELECT count(*) FROM contents") == 2


@pytest.mark.slow
def test_prompt_of_an_answer_that_no_task_takes_is_counted_as_of_any_other(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    def answer(line: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        status, body = provider_batches.article(line)
        if "topic-1" in json.dumps(line):
            body["usage"]["prompt_tokens"] = 10_200  # a few more than a provider may add to any prompt
        elif "topic-2" in json.dumps(line):
            del body["usage"]
        return status, body

    provider.answer = answer
    ids = add(queue, 3)
    start(full_at(3))
    eventually(lambda: are_sent(queue))
    lines = {line["custom_id"]: line for line in provider.batches["batch_1"].lines}
    size = len(json.dumps(lines[f"{ids[2]}-1"]["body"], ensure_ascii=False).encode())
    for id_ in ids[1:]:
        queue.run("SELECT contentq.cancel(task_id) FROM content_generation_tasks WHERE id = %s", id_)

    provider.complete()

    eventually(lambda: queue.status(ids[0]) == "completed")
    eventually(lambda: queue.value("SELECT count(*) FROM contentq.batch_requests") == 0, within=15)
    prompts = queue.value("SELECT prompt_tokens::int FROM contentq.usage_by_model")
    assert prompts - 100 - 10_200 == pytest.approx(size / 4, abs=10)


def test_without_a_worker_it_asks_directly(provider: BatchProvider, tmp_path: Path) -> None:
    import asyncio

    from contentq.testing import make_context, make_task

    file = tmp_path / "openai.toml"
    file.write_text(SETTINGS)
    handler = load("openai-batch", settings=file)
    task = make_task("topic-1")

    async def ask() -> Any:
        content = await handler.call(task, make_context(task))
        await handler.call.close()  # type: ignore[attr-defined]
        return content

    assert asyncio.run(ask()).title == "On topic-1"
    assert provider.calls == {"chat": 1}


@pytest.mark.slow
def test_draft_whose_checks_fail_is_asked_for_again_with_what_must_be_changed(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    asked: list[str] = []

    def answer(line: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        asked.append(json.dumps(line["body"]["messages"]))
        body = "# On tea\n\nShort.\n" if len(asked) == 1 else "# On tea\n\nAs long as the settings have it.\n"
        return 200, completion(body)

    provider.answer = answer
    provider.at_once = True
    id_ = queue.add(topic="Tea", max_retries=0)
    start(full_at(1) + "[checks]\nmin_words = 8\n")

    eventually(lambda: queue.status(id_) == "completed", within=20)

    row = queue.row(id_)
    assert (row["attempt"], row["revision_count"], row["retry_count"]) == (4, 1, 0)
    assert len(asked) == len(provider.batches) == 2
    assert "Short." in asked[1]
    assert queue.value("SELECT cost::float8 FROM contentq.usage_by_model") == pytest.approx(0.002)


@pytest.mark.slow
def test_batch_goes_to_the_first_of_several_models_at_its_price(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    provider.at_once = True
    id_, urgent = queue.add(topic="topic-1"), queue.add(topic="topic-2", priority=9)
    settings = (
        full_at(1).replace('model = "small-1"', 'models = ["first", "second"]')
        + """
[deployments.first]
model = "large-1"
price = {input = 100, output = 200}
[deployments.second]
model = "small-1"
base_url = "http://127.0.0.1:1/v1"
"""
    )
    start(settings)

    eventually(lambda: queue.status(id_) == queue.status(urgent) == "completed", within=20)

    assert [line["body"]["model"] for line in provider.batches["batch_1"].lines] == ["large-1"]
    result, direct = queue.row(id_)["result"], queue.row(urgent)["result"]
    assert (result["deployment"], result["cost"], result["batch"]) == ("first", 0.01, "batch_1")
    assert (direct["deployment"], direct["cost"]) == ("first", 0.02)


@pytest.mark.slow
def test_key_that_the_provider_repeats_is_in_no_row(
    provider: BatchProvider, queue: Queue, start: StartBatches, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-proj-Zq81mNv0Rt5Lx2Kd"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    said: dict[str, Any] = {"message": f"You sent {key}", "code": None}
    provider.answer = lambda line: (
        (400, {"error": said}) if "kind-wrong" in json.dumps(line) else (200, completion(f"# {key}\n\n{key}\n"))
    )

    def lose() -> None:
        del provider.before["retrieve"]
        raise Refused(404, said["message"])

    good, wrong = queue.add(), queue.add(topic="kind-wrong")
    start(full_at(2))
    eventually(lambda: are_sent(queue))
    provider.complete()
    eventually(lambda: (queue.status(good), queue.status(wrong)) == ("completed", "failed"))
    queue.add()
    queue.add()
    eventually(lambda: len(provider.batches) == 2)
    provider.before["retrieve"] = lose
    eventually(lambda: len(provider.batches) == 3)
    lost = "SELECT error FROM contentq.provider_batches WHERE status = 'lost'"
    assert "You sent [key hidden]" in queue.value(lost)
    provider.fail({**said, "code": "model_not_found", "line": None})
    eventually(lambda: statuses(queue) == {"completed": 1, "failed": 3})

    for table in ("content_generation_tasks", "contents", "contentq.batch_requests", "contentq.provider_batches"):
        assert key not in str(queue.rows(f"SELECT t::text FROM {table} AS t"))
    assert "You sent [key hidden]" in queue.row(wrong)["error_message"]
