"""`contentq worker --handler openai-batch`: tasks of low priority go as batches, and come back one by one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from contentq.handlers.loading import load

from tests.engine.conftest import RunningWorker
from tests.support import provider_batches
from tests.support.databases import Connection
from tests.support.provider_batches import BatchProvider, Refused, completion
from tests.support.queue import Queue
from tests.support.waiting import eventually

SETTINGS = """
model = "small-1"
[prices.small-1]
input = 10
output = 20
[batch]
max_priority = 5
max_tasks = 100
gather_seconds = 0.1
poll_seconds = 0.1
"""

USAGE = (
    "SELECT attempts::int, prompt_tokens::int, completion_tokens::int, cost::float8 FROM contentq.usage_by_model"
)


def full_at(number: int, gather: float = 3.0) -> str:
    """Settings with which so many tasks are a full batch; what is less waits for a few seconds."""
    settings = SETTINGS.replace("max_tasks = 100", f"max_tasks = {number}")
    return settings.replace("gather_seconds = 0.1", f"gather_seconds = {gather}")


StartBatches = Callable[..., RunningWorker]


@pytest.fixture
def queue(database: Connection) -> Queue:
    return Queue(database)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchProvider]:
    for name in list(os.environ):
        if name.startswith("OPENAI_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    with provider_batches.running() as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
        yield running


@pytest.fixture
def start(dsn: str, tmp_path: Path) -> Iterator[StartBatches]:
    """Starts workers of the handler, which are stopped at the end of the test."""
    started: list[RunningWorker] = []
    file = tmp_path / "openai.toml"

    def begin(settings: str = SETTINGS, **options: Any) -> RunningWorker:
        file.write_text(settings)
        handler = load("openai-batch", settings=file)
        started.append(RunningWorker(dsn, handler, **{"gates": handler.gates, "grace": 0.5, **options}))
        return started[-1]

    yield begin
    for worker in started:
        worker.leave()


def add(queue: Queue, number: int, **columns: Any) -> list[int]:
    return [queue.add(**{"topic": f"topic-{n}", **columns}) for n in range(number)]


def statuses(queue: Queue) -> dict[str, int]:
    found = queue.rows("SELECT status, count(*)::int AS n FROM content_generation_tasks GROUP BY 1")
    return {row["status"]: row["n"] for row in found}


def one_batch(queue: Queue) -> dict[str, Any]:
    [batch] = queue.rows("SELECT * FROM contentq.provider_batches")
    return batch


def are_sent(queue: Queue) -> bool:
    """Whether everything that was asked is at the provider, and no task runs."""
    waiting = "SELECT count(*) FROM contentq.batch_requests AS r LEFT JOIN contentq.provider_batches AS b "
    waiting += "ON b.id = r.batch_id WHERE b.provider_id IS NULL"
    asked = queue.value("SELECT count(*) FROM contentq.batch_requests")
    return bool(asked) and not queue.value(waiting) and not statuses(queue).get("processing")


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
    assert queue.value("SELECT tasks_waiting FROM contentq.batch_status") == 30
    [why] = queue.values("SELECT contentq.explain(%s)", rows[0]["task_id"])
    assert why.startswith("it waits for its answer in batch batch_1 of the provider: ")
    assert why.endswith(", 0 of 30 requests are done")

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


def test_full_batch_does_not_wait_for_others(provider: BatchProvider, queue: Queue, start: StartBatches) -> None:
    start(full_at(5, 3600))
    add(queue, 7)

    shown = [{"status": "gathering", "requests": 2}, {"status": "in_progress", "requests": 5}]
    eventually(
        lambda: queue.rows("SELECT status, requests FROM contentq.batch_status ORDER BY status") == shown,
        within=10,
    )
    assert len(provider.batches["batch_1"].lines) == 5
    waiting = "SELECT task_id FROM content_generation_tasks ORDER BY id DESC LIMIT 1"
    assert queue.values("SELECT contentq.explain(%s)", queue.value(waiting)) == [
        "what it asks of the provider waits to go with a batch"
    ]


def test_batch_that_expired_is_sent_again_for_those_without_an_answer_and_nothing_is_charged(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    ids = add(queue, 10)
    start(full_at(10, 1.0))
    eventually(lambda: are_sent(queue))

    provider.complete("expired", share=0.4)

    eventually(lambda: statuses(queue) == {"completed": 4, "pending": 6})
    eventually(lambda: len(provider.batches) == 2)
    provider.complete()
    eventually(lambda: statuses(queue) == {"completed": 10})
    assert provider.done == {f"{id_}-1": 1 for id_ in ids}
    assert {(queue.row(id_)["attempt"], queue.row(id_)["retry_count"]) for id_ in ids} == {(2, 0)}
    assert queue.values("SELECT status FROM contentq.provider_batches ORDER BY id") == ["expired", "completed"]


ERRORS: dict[str, tuple[int, dict[str, Any]]] = {
    "limited": (429, {"error": {"message": "Slow down", "type": "requests", "code": "rate_limit_exceeded"}}),
    "wrong": (400, {"error": {"message": "Not this", "type": "invalid_request_error", "code": None}}),
    "filter": (400, {"error": {"message": "No", "type": None, "code": "content_policy_violation"}}),
    "filtered": (200, completion("", "content_filter")),
    "refusal": (200, completion(None, "stop", refusal="I will not")),
    "cut": (200, completion("# Half", "length")),
    "empty": (200, completion("")),
    "down": (503, {"error": {"message": "Overloaded"}}),
    "strange": (200, {"choices": []}),
    "text": (200, {"choices": [{"message": "text", "finish_reason": "stop"}]}),
}


def test_errors_of_lines_become_what_the_ordinary_handler_makes_of_them(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    asked: dict[str, int] = {}

    def answer(line: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        text = json.dumps(line["body"]["messages"])
        kind = next((name for name in ERRORS if f"kind-{name}." in text), None)
        asked[str(kind)] = asked.get(str(kind), 0) + 1
        return ERRORS[kind] if kind and asked[kind] == 1 else provider_batches.article(line)

    provider.answer = answer
    queue.run("UPDATE contentq.settings SET backoff_base = '10 milliseconds'")
    ids = {name: queue.add(topic=f"kind-{name}.", max_retries=1) for name in ERRORS}
    start(full_at(len(ERRORS), 0.5))
    eventually(lambda: are_sent(queue))
    provider.complete()
    provider.at_once = True

    permanent = ("wrong", "filter", "filtered", "refusal")
    eventually(lambda: statuses(queue) == {"completed": 6, "failed": 4}, within=60)

    rows = {name: queue.row(id_) for name, id_ in ids.items()}
    assert {name for name, row in rows.items() if row["status"] == "failed"} == set(permanent)
    assert "said 400: Not this" in rows["wrong"]["error_message"]
    assert "content filter" in rows["filter"]["error_message"]
    assert "the model refuses: I will not" in rows["refusal"]["error_message"]
    retries = {name: row["retry_count"] for name, row in rows.items() if name not in permanent}
    assert retries == {"limited": 0, "cut": 1, "empty": 1, "down": 1, "strange": 1, "text": 1}
    # What was paid is counted once, for good answers and for bad ones.
    paid = 6 + len(("filtered", "refusal", "cut", "empty"))
    assert queue.value("SELECT cost::float8 FROM contentq.usage_by_model") == pytest.approx(paid * 0.001)


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


def test_task_that_ends_before_its_batch_is_sent_is_not_sent(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    ids = add(queue, 2)
    start(full_at(3, 1.0))
    eventually(lambda: queue.value("SELECT count(*) FROM contentq.batch_requests") == 2)
    queue.run("SELECT contentq.cancel(task_id) FROM content_generation_tasks WHERE id = %s", ids[0])

    eventually(lambda: are_sent(queue), within=10)

    assert provider.sent == {f"{ids[1]}-1": 1}


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


@pytest.mark.parametrize(
    ("status", "message", "said"),
    [(404, "no route", "check model and base_url"), (401, "bad key", "check OPENAI_API_KEY")],
)
def test_provider_that_takes_no_batches_fails_the_tasks_with_what_to_do(
    provider: BatchProvider, queue: Queue, start: StartBatches, status: int, message: str, said: str
) -> None:
    def refuse() -> None:
        raise Refused(status, message)

    provider.before["upload"] = refuse
    ids = add(queue, 3)
    start(full_at(3))

    eventually(lambda: statuses(queue) == {"failed": 3})

    assert said in queue.row(ids[0])["error_message"]
    assert message in queue.row(ids[0])["error_message"]
    assert one_batch(queue)["status"] == "refused"


QUICK = (("upload", 0), ("create", 500), ("retrieve", 429), ("content", 0))


@pytest.mark.parametrize(
    ("call", "status"),
    [
        pytest.param(call, status, marks=[] if (call, status) in QUICK else [pytest.mark.thorough])
        for call in ("upload", "create", "retrieve", "content")
        for status in (0, 429, 500)
    ],
)
def test_call_that_the_provider_did_not_answer_is_made_again_and_nothing_is_charged(
    provider: BatchProvider, queue: Queue, start: StartBatches, call: str, status: int
) -> None:
    failed: list[int] = []

    def fail() -> None:
        if len(failed) < 2:
            failed.append(status)
            raise Refused(status, "busy", "rate_limit_exceeded" if status == 429 else None)

    provider.before[call] = fail
    provider.at_once = True
    ids = add(queue, 3)
    start(full_at(3, 1.0))

    eventually(lambda: statuses(queue) == {"completed": 3}, within=30)

    assert failed == [status] * 2
    assert provider.done == provider.sent == {f"{id_}-1": 1 for id_ in ids}
    assert {queue.row(id_)["retry_count"] for id_ in ids} == {0}


def test_file_of_answers_that_is_cut_off_is_read_again(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    cut: list[None] = []

    def cut_off() -> None:
        provider.half_way = None
        cut.append(None)

    provider.half_way = cut_off
    provider.at_once = True
    ids = add(queue, 20)
    start(full_at(20))

    eventually(lambda: statuses(queue) == {"completed": 20}, within=20)

    assert cut
    assert provider.done == {f"{id_}-1": 1 for id_ in ids}


def test_batch_of_which_the_provider_lost_the_answer_to_its_making_is_found_and_not_sent_again(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    def lose() -> None:
        provider.after.pop("create")
        raise Refused(0, "")

    provider.after["create"] = lose
    ids = add(queue, 3)
    start(full_at(3, 1.0))
    eventually(lambda: are_sent(queue))
    provider.complete()

    eventually(lambda: statuses(queue) == {"completed": 3})

    assert provider.sent == {f"{id_}-1": 1 for id_ in ids}
    assert provider.calls["create"] == 1


def test_batch_that_failed_for_its_lines_fails_these_tasks_and_sends_the_others_again(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    ids = add(queue, 3)
    start(full_at(3, 1.0))
    eventually(lambda: are_sent(queue))

    provider.fail({"code": "invalid_request", "message": "This is wrong", "line": 2, "param": None})

    eventually(lambda: statuses(queue) == {"failed": 1, "pending": 2})
    assert "This is wrong" in queue.row(ids[1])["error_message"]
    eventually(lambda: len(provider.batches) == 2)
    provider.complete()
    eventually(lambda: statuses(queue) == {"failed": 1, "completed": 2})


@pytest.mark.parametrize("errors", [[{"code": "internal_error", "message": "Oh", "line": None}], []])
def test_batch_that_failed_for_no_request_is_a_temporary_error_of_all(
    provider: BatchProvider, queue: Queue, start: StartBatches, errors: list[dict[str, Any]]
) -> None:
    queue.run("UPDATE contentq.settings SET backoff_base = '10 milliseconds'")
    ids = add(queue, 2)
    start(full_at(2, 0.5))
    eventually(lambda: are_sent(queue))

    provider.fail(*errors)

    eventually(lambda: {queue.row(id_)["retry_count"] for id_ in ids} == {1})
    provider.at_once = True
    eventually(lambda: statuses(queue) == {"completed": 2}, within=20)


def test_batch_that_failed_for_its_lines_and_more_fails_these_tasks_only(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    ids = add(queue, 3)
    start(full_at(3, 0.5))
    eventually(lambda: are_sent(queue))
    provider.at_once = True

    wrong = {"code": "invalid_request", "message": "This is wrong", "line": 2}
    provider.fail({"code": "internal_error", "message": "Oh", "line": None}, wrong)

    eventually(lambda: statuses(queue) == {"failed": 1, "completed": 2}, within=20)
    assert "This is wrong" in queue.row(ids[1])["error_message"]
    assert {queue.row(id_)["retry_count"] for id_ in (ids[0], ids[2])} == {0}


def test_batch_that_is_one_too_many_waits_and_nothing_is_charged(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    ids = add(queue, 2)
    start(full_at(2))
    eventually(lambda: are_sent(queue))

    provider.fail({"code": "token_limit_exceeded", "message": "Enqueued token limit reached", "line": None})

    eventually(lambda: one_batch(queue)["ended_at"] is not None)
    assert one_batch(queue)["error"] == "Enqueued token limit reached"
    assert {queue.row(id_)["retry_count"] for id_ in ids} == {0}
    assert queue.value("SELECT min(due_at) > now() + interval '4 minutes' FROM contentq.batch_requests")


def test_values_that_the_database_cannot_hold_stop_no_batch(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    def answer(line: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return (99999999999, {}) if "topic-1" in json.dumps(line) else provider_batches.article(line)

    def add_lines() -> None:
        for name in ("99999999999999999999999-1", f"{ids[0]}-99999999999", "-1-1", "0-0"):
            line = {"custom_id": name, "response": {"status_code": 200, "body": completion("# No")}}
            provider.files[str(provider.batches["batch_1"].output)] += json.dumps(line).encode() + b"\n"
        del provider.before["content"]

    provider.answer = answer
    provider.before["content"] = add_lines
    provider.strange = {
        "request_counts": {"total": 2, "completed": 0.5, "failed": 10**12},
        "expires_at": 1_796_000_000_000,
    }
    ids = add(queue, 2, max_retries=0)
    start(full_at(2))
    eventually(lambda: are_sent(queue))
    provider.complete()

    eventually(lambda: [queue.status(id_) for id_ in ids] == ["completed", "failed"])
    assert "without an answer to this request" in queue.row(ids[1])["error_message"]
    eventually(lambda: one_batch(queue)["status"] == "completed")
    assert (one_batch(queue)["completed"], one_batch(queue)["expires_at"]) == (0, None)

    add(queue, 2)
    eventually(lambda: len(provider.batches) == 2)
    provider.fail({"code": "token_limit_exceeded", "message": "Too\0many", "line": None})
    eventually(lambda: "Too\\x00many" in queue.values("SELECT error FROM contentq.provider_batches"))


def test_batch_that_the_database_refuses_is_put_off_and_holds_up_no_other(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    queue.run("ALTER TABLE contentq.provider_batches ADD CONSTRAINT refused CHECK (provider_id <> 'batch_1')")
    provider.at_once = True
    add(queue, 2)
    start(full_at(1))

    eventually(lambda: statuses(queue) == {"completed": 1, "pending": 1})
    error = "SELECT error FROM contentq.provider_batches WHERE ended_at IS NULL AND failures > 1"
    eventually(lambda: queue.value(error))
    said = 'the database refuses: new row for relation "provider_batches" violates check constraint "refused"'
    assert queue.value(error) == said, "without the row"
    queue.run("ALTER TABLE contentq.provider_batches DROP CONSTRAINT refused")

    eventually(lambda: statuses(queue) == {"completed": 2}, within=20)
    assert set(provider.sent.values()) == {1}


def test_provider_whose_batches_cannot_be_tended_does_not_hold_up_those_of_another(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    settings = full_at(1).replace('model = "small-1"', 'models = ["first"]')
    with provider_batches.running() as spare:
        queue.run(
            "ALTER TABLE contentq.provider_batches ADD CONSTRAINT refused "
            f"CHECK (position('{provider.url}' IN provider) = 0)"
        )
        spare.at_once = True
        add(queue, 2)
        others = add(queue, 2, category="news")
        start(
            settings
            + f"""
[categories.news]
models = ["spare"]
[deployments.first]
model = "small-1"
[deployments.spare]
model = "small-1"
base_url = "{spare.url}"
"""
        )

        eventually(lambda: {queue.status(id_) for id_ in others} == {"completed"}, within=15)

        assert provider.calls["upload"] == 0


def test_call_that_the_database_does_not_answer_costs_a_task_neither_a_retry_nor_what_it_asked(
    provider: BatchProvider, queue: Queue, start: StartBatches, connect: Callable[[], Connection]
) -> None:
    def is_put_off(attempt: int) -> bool:
        row = queue.row(id_)
        return bool(row["attempt"] >= attempt and row["status"] == "pending" and row["scheduled_at"])

    start(poll=0.1)
    other = connect()
    with other.transaction():
        other.execute("LOCK TABLE contentq.batch_requests IN SHARE MODE")
        id_ = queue.add()
        eventually(lambda: is_put_off(1))
        assert queue.row(id_)["retry_count"] == 0
    eventually(lambda: are_sent(queue))
    asked, attempt = queue.row(id_)["handler_state"], queue.row(id_)["attempt"]
    with other.transaction():
        other.execute("LOCK TABLE contentq.batch_requests IN SHARE MODE")
        queue.run("UPDATE content_generation_tasks SET scheduled_at = NULL WHERE id = %s", id_)
        eventually(lambda: is_put_off(attempt + 1))
        assert (queue.row(id_)["retry_count"], queue.row(id_)["handler_state"]) == (0, asked)

    provider.complete()

    eventually(lambda: queue.status(id_) == "completed")
    assert provider.sent == {f"{id_}-{attempt}": 1}


def test_connection_for_batches_is_replaced_as_soon_as_another_got_no_answer(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    def idle_backend() -> int | None:
        query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle' "
        query += "AND application_name = 'contentq handler' AND query LIKE '%%next_batch%%'"
        return queue.value(query)  # type: ignore[no-any-return]

    running = start(SETTINGS.replace("0.1", "1"))
    before = eventually(idle_backend)

    running._loop.call_soon_threadsafe(running.worker._suspect_connections)

    eventually(lambda: idle_backend() not in (None, before))


def test_request_without_an_answer_in_a_completed_batch_is_charged(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    ids = add(queue, 2, max_retries=0)
    start(full_at(2))
    eventually(lambda: are_sent(queue))

    provider.complete(leave_out=0.5)

    eventually(lambda: statuses(queue) == {"completed": 1, "failed": 1})
    assert "without an answer to this request" in queue.row(ids[0])["error_message"]


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
