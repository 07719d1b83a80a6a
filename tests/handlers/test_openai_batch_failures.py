"""Tasks in a batch when lines, batches, the provider or the database fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from contentq.handlers.openai.calling import LARGE
from contentq.handlers.openai_batch.caller import BatchCaller

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
from tests.support.databases import Connection
from tests.support.provider_batches import BatchProvider, Refused, completion
from tests.support.queue import Queue
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

__all__ = ["provider", "queue", "start"]


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
    assert "answered 400: Not this" in rows["wrong"]["error_message"]
    assert "content filter" in rows["filter"]["error_message"]
    assert "the model refused: I will not" in rows["refusal"]["error_message"]
    retries = {name: row["retry_count"] for name, row in rows.items() if name not in permanent}
    assert retries == {"limited": 0, "cut": 1, "empty": 1, "down": 1, "strange": 1, "text": 1}
    # Costs are counted once, for good and bad answers.
    paid = 6 + len(("filtered", "refusal", "cut", "empty"))
    assert queue.value("SELECT cost::float8 FROM contentq.usage_by_model") == pytest.approx(paid * 0.001)


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


@pytest.mark.parametrize(
    ("call", "status"),
    [(call, status) for call in ("upload", "create", "retrieve", "content") for status in (0, 429, 500)],
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
    said = 'the database refused it: new row for relation "provider_batches" violates check constraint "refused"'
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

    def is_replaced() -> bool:
        # A connection that is suspected during a call, and then answers, stays.
        running._loop.call_soon_threadsafe(running.worker._suspect_connections)
        with suppress(AssertionError):
            eventually(lambda: idle_backend() not in (None, before), within=3)
        return idle_backend() not in (None, before)

    eventually(is_replaced, within=30)


def test_request_without_an_answer_in_a_completed_batch_is_charged(
    provider: BatchProvider, queue: Queue, start: StartBatches
) -> None:
    ids = add(queue, 2, max_retries=0)
    start(full_at(2))
    eventually(lambda: are_sent(queue))

    provider.complete(leave_out=0.5)

    eventually(lambda: statuses(queue) == {"completed": 1, "failed": 1})
    assert "without an answer to this request" in queue.row(ids[0])["error_message"]


@pytest.mark.parametrize("longest", [1_000, 200_000])
def test_line_that_is_too_large_fails_its_task_as_a_direct_answer_that_is_too_long_does(
    provider: BatchProvider, queue: Queue, start: StartBatches, longest: int
) -> None:
    def answer(line: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        status, body = provider_batches.article(line)
        return status, {**body, "more": 150_000 * "x"} if "topic-1" in json.dumps(line) else body

    provider.answer = answer
    provider.at_once = True
    ids = add(queue, 3)
    start(f"max_characters = {longest}\n{full_at(3)}")

    eventually(lambda: not statuses(queue).get("pending") and not statuses(queue).get("processing"))

    small = longest == 1_000
    assert [queue.status(id_) for id_ in ids] == ["completed", "failed" if small else "completed", "completed"]
    said = queue.row(ids[1])["error_message"]
    assert (said or "").startswith("the answer has more than 1,000 characters; allow more with" if small else "")
    eventually(lambda: one_batch(queue)["status"] == "completed")


@pytest.mark.parametrize(
    ("strange", "said"),
    [
        ({"more": 2_000_000 * "x"}, "more than 1,000,000 bytes, and no end"),
        ({"id": 501 * "b"}, "the id of a batch has more than 500 characters"),
        ({"id": 10_000 * "b"}, "the id of a batch has more than 500 characters"),
        ({"id": None}, "it has no id of a batch"),
        ({"output_file_id": 501 * "f"}, "the id of a file has more than 500 characters"),
    ],
    ids=["large", "long id", "longer id", "no id", "long file"],
)
def test_broken_answer_about_a_batch_is_read_again_and_nothing_is_charged(
    provider: BatchProvider, queue: Queue, start: StartBatches, strange: dict[str, Any], said: str
) -> None:
    provider.at_once = True
    provider.strange = strange
    ids = add(queue, 2)
    start(full_at(2))

    error = "SELECT error FROM contentq.provider_batches WHERE failures > 1"
    eventually(lambda: bool(queue.value(error)))
    assert said in queue.value(error)
    provider.strange.clear()

    eventually(lambda: statuses(queue) == {"completed": 2}, within=20)
    assert provider.done == {f"{id_}-1": 1 for id_ in ids}
    assert {queue.row(id_)["retry_count"] for id_ in ids} == {0}


def test_large_answer_is_judged_beside_the_event_loop(
    provider: BatchProvider, queue: Queue, start: StartBatches, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[bool, threading.Thread] = {}
    judge = BatchCaller.judge

    def note(self: BatchCaller, status: int, reply: Any, *more: Any) -> Any:
        threads[len(json.dumps(reply)) > LARGE] = threading.current_thread()
        return judge(self, status, reply, *more)

    def answer(line: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return 200, completion("# Title\n\n" + (LARGE if "topic-1" in json.dumps(line) else 5) * "x ")

    monkeypatch.setattr(BatchCaller, "judge", note)
    provider.answer = answer
    provider.at_once = True
    add(queue, 2)
    start(full_at(2))

    eventually(lambda: statuses(queue) == {"completed": 2})
    assert threads[True] is not threads[False]
