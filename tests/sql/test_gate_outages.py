"""A provider that does not answer: its gate closes, one task of the fleet probes, an answer opens it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.support.queue import Held, Queue

GATE = "api.example"


def held(queue: Queue, worker: int, number: int = 1) -> list[Held]:
    """Inserts tasks and claims as many as the worker gets."""
    for _ in range(number):
        queue.add()
    return [Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker, number)]


def gate(queue: Queue) -> dict[str, Any]:
    """The relevant columns of the gate's row."""
    (row,) = queue.rows(
        "SELECT half_open, opens_at > clock_timestamp() AS is_closed, reason, closed_by, "
        "extract(epoch FROM opens_at - clock_timestamp())::float8 AS seconds, outage_since IS NOT NULL AS "
        "is_outage FROM contentq.gates"
    )
    return row


@pytest.fixture
def workers(queue: Queue) -> list[int]:
    """Two workers with the gate."""
    return [queue.register(gate=GATE), queue.register(gate=GATE)]


@pytest.fixture
def struck(queue: Queue, workers: list[int]) -> list[Held]:
    """Running tasks, and a gate that an outage has closed."""
    tasks = held(queue, workers[0], 3) + held(queue, workers[1], 5)
    for task in tasks[:3]:
        assert queue.fail(task, "503", unanswered=True) == "pending"
    queue.add()
    assert queue.claim(workers[0]) == []
    return tasks[3:]


def test_three_calls_without_an_answer_close_the_gate_for_a_second(
    queue: Queue, workers: list[int], struck: list[Held]
) -> None:
    found = gate(queue)
    assert (found["half_open"], found["is_closed"], found["reason"]) == (True, True, "503")
    assert 0.5 < found["seconds"] <= 1.1
    assert queue.claim(workers[1], 10) == []
    assert (queue.next_claim_in(workers[1]) or timedelta()) > timedelta(seconds=0.4)


@pytest.mark.parametrize("number", [1, 2])
def test_one_or_two_calls_without_an_answer_are_no_outage(queue: Queue, workers: list[int], number: int) -> None:
    for task in held(queue, workers[0], number):
        queue.fail(task, "503", unanswered=True)

    assert len(held(queue, workers[1], 5)) >= 5


def test_answer_to_a_newer_call_ends_the_count(queue: Queue, workers: list[int]) -> None:
    first, second, third = held(queue, workers[0], 3)
    for task in (first, second):
        queue.fail(task, "503", unanswered=True)
    queue.complete(workers[1], held(queue, workers[1], 1))
    queue.fail(third, "503", unanswered=True)

    assert len(held(queue, workers[1], 5)) >= 5


def test_few_calls_without_an_answer_among_many_that_are_answered_are_no_outage(
    queue: Queue, workers: list[int]
) -> None:
    """Calls of one minute: the answered ones began before the others failed."""
    tasks = held(queue, workers[0], 20)
    queue.fail(tasks[0], "reset", unanswered=True)
    for task in tasks[1:16]:
        queue.complete(workers[0], [task])
    for task in tasks[16:18]:
        queue.fail(task, "reset", unanswered=True)

    assert len(held(queue, workers[1], 5)) >= 5


def test_other_failures_are_answers(queue: Queue, workers: list[int]) -> None:
    for task in held(queue, workers[0], 4):
        queue.fail(task, "refused by the content filter", permanent=True)

    assert len(held(queue, workers[1], 5)) == 5
    assert queue.value("SELECT sum(answered) FROM contentq.claimers") == 4


def test_one_task_of_the_fleet_tries_when_the_time_has_come(
    queue: Queue, workers: list[int], struck: list[Held]
) -> None:
    queue.let_gate_time_pass(1.2)

    assert len(held(queue, workers[0], 10)) == 1
    assert queue.claim(workers[1], 10) == queue.claim(workers[0], 10) == []
    assert queue.waits_for(workers[1]) == f"gate {GATE}: one task checks whether the provider is back"


def test_its_answer_opens_the_gate_and_wakes_the_fleet(
    queue: Queue, workers: list[int], struck: list[Held], connect_queue: Callable[[], Queue]
) -> None:
    queue.let_gate_time_pass(1.2)
    probe = held(queue, workers[0], 10)
    listener = connect_queue()
    listener.run("LISTEN contentq_ready")

    queue.complete(workers[0], probe)

    assert [one.payload for one in listener.connection.notifies(timeout=5, stop_after=1)] == [""]
    assert len(queue.claim(workers[1], 5)) == 5
    assert gate(queue)["half_open"] is False


def test_failure_that_is_an_answer_opens_it_too(queue: Queue, workers: list[int], struck: list[Held]) -> None:
    queue.let_gate_time_pass(1.2)
    (probe,) = held(queue, workers[0], 10)

    queue.fail(probe, "no such model", permanent=True)

    assert len(queue.claim(workers[1], 5)) == 5


def test_refusal_opens_it_too(queue: Queue, workers: list[int], struck: list[Held]) -> None:
    queue.let_gate_time_pass(1.2)
    (probe,) = held(queue, workers[0], 10)

    queue.refuse(probe, GATE, "50 milliseconds")

    assert len(queue.claim(workers[1], 5)) == 5


def test_no_answer_closes_it_again_for_a_quarter_of_the_time_that_it_has_lasted(
    queue: Queue, workers: list[int], struck: list[Held]
) -> None:
    for passed, least in ((40, 9), (400, 26)):
        queue.let_gate_time_pass(passed)
        (probe,) = held(queue, workers[0], 10)[:1]
        queue.fail(probe, "503", unanswered=True)
        assert queue.claim(workers[1], 10) == []
        assert least <= gate(queue)["seconds"] <= 33


def test_what_began_before_the_outage_says_nothing(queue: Queue, workers: list[int], struck: list[Held]) -> None:
    queue.let_gate_time_pass(1.2)
    probe = held(queue, workers[0], 10)

    queue.fail(struck[0], "503", unanswered=True)
    queue.complete(workers[1], struck[1:2])
    assert queue.claim(workers[1], 10) == []
    assert gate(queue)["is_closed"] is False
    queue.complete(workers[0], probe)
    assert len(queue.claim(workers[1], 3)) == 3


@pytest.mark.parametrize("ending", ["released", "dead"])
def test_task_that_ends_without_an_outcome_makes_room_for_another(
    queue: Queue, workers: list[int], struck: list[Held], ending: str
) -> None:
    queue.let_gate_time_pass(1.2)
    probe = held(queue, workers[0], 10)
    if ending == "released":
        queue.release(workers[0], probe)
    else:
        queue.silence(workers[0])
        queue.rescue()

    assert len(queue.claim(workers[1], 10)) == 1


def test_task_that_runs_for_long_is_taken_to_be_answered(
    queue: Queue, workers: list[int], struck: list[Held]
) -> None:
    queue.let_gate_time_pass(1.2)
    held(queue, workers[0], 10)

    queue.let_gate_time_pass(3)
    assert queue.claim(workers[1], 10) == []
    queue.let_gate_time_pass(2.1)
    assert len(queue.claim(workers[1], 5)) == 5


def test_retries_of_what_an_outage_strikes_are_spread(
    queue: Queue, workers: list[int], struck: list[Held]
) -> None:
    for task in struck:
        queue.fail(task, "503", unanswered=True)
        delay = queue.value(
            "SELECT scheduled_at - clock_timestamp() FROM content_generation_tasks WHERE id = %s", task.id
        )
        assert timedelta(seconds=5.8) < delay < timedelta(seconds=12)
    assert queue.value("SELECT max(retry_count) FROM content_generation_tasks") == 1


def test_provider_that_names_a_time_is_left_alone_for_it_up_to_half_a_minute(
    queue: Queue, workers: list[int]
) -> None:
    for task in held(queue, workers[0], 3):
        queue.fail(task, "503", unanswered=True, retry_after="10 minutes")
    queue.add()

    assert queue.claim(workers[0]) == []
    assert 29 < gate(queue)["seconds"] <= 30


def test_outage_ends_no_longer_pause_of_an_operators(queue: Queue, workers: list[int], struck: list[Held]) -> None:
    queue.close_gate(GATE, "1 day", "Paused by Ada")
    for task in struck:
        queue.fail(task, "503", unanswered=True)

    assert queue.claim(workers[0], 10) == []
    found = gate(queue)
    assert (found["reason"], found["half_open"], found["is_outage"]) == ("Paused by Ada", False, False)
    assert found["seconds"] > 80_000


def test_gate_that_an_operator_opens_is_tried_at_once(
    queue: Queue, workers: list[int], struck: list[Held]
) -> None:
    assert queue.open_gate(GATE)

    assert len(held(queue, workers[0], 10)) == 1


def test_nothing_is_known_of_a_provider_whose_worker_has_no_gate(queue: Queue) -> None:
    worker = queue.register()
    for task in held(queue, worker, 5):
        queue.fail(task, "503", unanswered=True)

    assert len(held(queue, worker, 5)) >= 5
    assert queue.value("SELECT count(*) FROM contentq.gate_events") == 0
