"""The workers under examples/ obey a gate and a cap by claiming and reporting alone."""

from __future__ import annotations

import os
import signal

import pytest

from tests.examples.conftest import Example, Provider
from tests.support.queue import Queue
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow


def test_it_stores_what_the_provider_answers(example: Example, queue: Queue, provider: Provider) -> None:
    tasks = [queue.add(topic=topic) for topic in ("Storage", "一杯好茶的水温", 'What a museum\'s "storage" is')]
    example.start()
    eventually(lambda: {queue.status(task) for task in tasks} == {"completed"}, within=20)
    contents = queue.rows("SELECT title, body, word_count FROM contents ORDER BY id")
    assert {row["title"] for row in contents} == {queue.row(task)["topic"] for task in tasks}
    assert contents[0]["body"].strip() == f"# {contents[0]['title']}\n\nIt's written."
    assert contents[0]["word_count"] == len(contents[0]["body"].split())


def test_refused_task_comes_back_and_nothing_is_charged(
    example: Example, queue: Queue, provider: Provider
) -> None:
    task = queue.add(topic="busy")
    example.start()
    eventually(lambda: queue.status(task) == "completed", within=20)
    assert (queue.row(task)["attempt"], queue.row(task)["retry_count"]) == (2, 0)
    refused = queue.values("SELECT kind FROM contentq.gate_events WHERE key = %s", provider.gate)
    assert refused == ["refused"]


def test_call_without_an_answer_is_a_failure_of_the_provider(
    example: Example, queue: Queue, provider: Provider
) -> None:
    task = queue.add(topic="down")
    example.start()
    eventually(lambda: queue.row(task)["retry_count"] == 1, within=20)
    assert queue.row(task)["error_message"].startswith("no answer: ")
    queue.run("UPDATE content_generation_tasks SET scheduled_at = NULL")
    eventually(lambda: queue.status(task) == "completed", within=20)


def test_what_the_provider_rejects_is_not_tried_again(example: Example, queue: Queue) -> None:
    task = queue.add(topic="bad")
    example.start()
    eventually(lambda: queue.status(task) == "failed", within=20)
    assert queue.row(task)["error_message"] == "the provider answered 400"
    assert queue.row(task)["attempt"] == 1


def test_closed_gate_stops_it_until_it_opens(example: Example, queue: Queue, provider: Provider) -> None:
    queue.close_gate(provider.gate)
    task = queue.add(topic="Storage")
    example.start()
    eventually(lambda: queue.values("SELECT contentq.waits_for(id) FROM contentq.workers") != [None], within=20)
    assert provider.calls.total() == 0
    queue.open_gate(provider.gate)
    eventually(lambda: queue.status(task) == "completed", within=20)


def test_gate_keeps_all_workers_to_what_the_operator_set(
    example: Example, queue: Queue, provider: Provider
) -> None:
    queue.run("SELECT contentq.set_gate(%s, max_running => 1)", provider.gate)
    for _ in range(6):
        queue.add(topic="Storage")
    for _ in range(2):
        example.start()
    eventually(lambda: provider.calls["Storage"] == 6, within=30)
    assert provider.most["Storage"] == 1


def test_cap_of_an_account_holds_over_workers_and_others_go_on(
    example: Example, queue: Queue, provider: Provider
) -> None:
    capped = queue.add_account("capped", max_running=1)
    for _ in range(3):
        queue.add(account_id=capped, topic="slow")
    for _ in range(3):
        queue.add(topic="Storage")
    for _ in range(2):
        example.start()
    eventually(lambda: provider.calls["Storage"] == 3 and provider.running("slow") == 1, within=30)
    provider.held.set()
    eventually(lambda: provider.calls["slow"] == 3, within=30)
    assert provider.most["slow"] == 1


def test_it_claims_only_the_categories_that_it_was_started_with(example: Example, queue: Queue) -> None:
    wanted = [queue.add(topic="Storage", category="blog"), queue.add(topic="Storage", category="press")]
    other = queue.add(topic="Storage", category="news", priority=9)
    example.start("blog", "press")
    eventually(lambda: {queue.status(task) for task in wanted} == {"completed"}, within=20)
    assert queue.status(other) == "pending"
    assert queue.values("SELECT categories FROM contentq.workers") == [["blog", "press"]]


def test_it_beats_while_a_task_runs_and_leaves_after_it(
    example: Example, queue: Queue, provider: Provider
) -> None:
    task = queue.add(topic="slow")
    process = example.start()
    eventually(lambda: provider.running("slow") == 1, within=20)
    beat = queue.value("SELECT heartbeat_at FROM contentq.workers")
    eventually(lambda: queue.value("SELECT heartbeat_at FROM contentq.workers") > beat, within=10)
    os.kill(process.pid, signal.SIGTERM)
    provider.held.set()
    assert process.wait(20) == 0
    assert queue.status(task) == "completed"
    assert queue.value("SELECT count(*) FROM contentq.workers") == 0
    assert queue.value("SELECT count(*) FROM contentq.dead_workers") == 0
