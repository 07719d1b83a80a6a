"""Closing a gate: one call stops every worker of a provider, immediately or at its next claim."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest

from tests.sql.test_wake import heard
from tests.support.queue import Queue

GATE = "api.example"


@pytest.fixture
def gated(queue: Queue) -> int:
    """A worker with a gate; two tasks wait."""
    queue.add()
    queue.add()
    return queue.register(gate=GATE)


@pytest.fixture
def listener(connect_queue: Callable[[], Queue]) -> Queue:
    """A session that listens."""
    listener = connect_queue()
    listener.run("LISTEN contentq_ready")
    return listener


def let_time_pass(queue: Queue, key: str) -> None:
    """Moves a gate's time so that it is due."""
    assert queue.run("UPDATE contentq.gates SET opens_at = clock_timestamp() WHERE key = %s", key)


def test_worker_of_a_closed_gate_claims_nothing_and_is_told_until_when_and_why(queue: Queue, gated: int) -> None:
    queue.close_gate(GATE, "10 minutes", "429: slow down")

    assert queue.claim(gated, 10) == []
    assert queue.value(
        "SELECT contentq.waits_for(%s) = format('gate %%s: closed until %%s; reason: 429: slow down', key, "
        "date_trunc('second', opens_at)) FROM contentq.gates",
        gated,
    )
    assert queue.values("SELECT DISTINCT attempt FROM content_generation_tasks") == [0]


def test_tasks_that_run_go_on_and_are_reported(queue: Queue) -> None:
    task = queue.running(queue.register(gate=GATE))
    queue.close_gate(GATE)

    assert queue.complete(task.worker, [task]) == [task.id]


@pytest.mark.parametrize("gate", [None, "other.example", "", "API.EXAMPLE"])
def test_workers_of_other_gates_and_of_none_claim_on(queue: Queue, gated: int, gate: str | None) -> None:
    queue.close_gate(GATE)

    worker = queue.register(gate=gate)
    assert queue.waits_for(worker) is None
    assert len(queue.claim(worker, 10)) == 2


@pytest.mark.parametrize("gate", [None, GATE, "*"])
def test_gate_of_all_stops_every_worker(queue: Queue, gated: int, gate: str | None) -> None:
    queue.close_gate("*", reason="Maintenance")

    worker = queue.register(gate=gate)
    assert queue.claim(worker, 10) == []
    assert "gate *: closed until" in (queue.waits_for(worker) or "")


@pytest.mark.parametrize(("own", "everyones"), [("2 hours", "1 hour"), ("1 hour", "2 hours")])
def test_of_two_closed_gates_the_one_that_opens_last_counts(
    queue: Queue, gated: int, own: str, everyones: str
) -> None:
    queue.close_gate(GATE, own)
    queue.close_gate("*", everyones)

    assert queue.claim(gated) == []
    assert timedelta(minutes=119) < (queue.next_claim_in(gated) or timedelta()) <= timedelta(hours=2)
    queue.open_gate("*" if own == "1 hour" else GATE)
    assert queue.claim(gated) == []
    queue.open_gate(GATE if own == "1 hour" else "*")
    assert len(queue.claim(gated)) == 1


def test_gate_that_is_closed_for_ever_opens_only_when_someone_opens_it(queue: Queue, gated: int) -> None:
    queue.close_gate("*", "5 hours")
    queue.close_gate(GATE, "infinity", "The key was revoked")

    assert queue.claim(gated) == []
    assert "until someone opens it" in (queue.waits_for(gated) or "")
    assert queue.next_claim_in(gated) is None
    queue.open_gate("*")
    assert queue.claim(gated) == []
    assert queue.open_gate(GATE)
    assert len(queue.claim(gated, 10)) == 2


def test_idle_worker_sleeps_until_the_gate_opens_whatever_else_there_is(queue: Queue, gated: int) -> None:
    queue.add(scheduled_at=queue.value("SELECT clock_timestamp() + interval '1 minute'"))
    queue.close_gate(GATE, "1 hour")

    queue.claim(gated)

    wait = queue.next_claim_in(gated)
    assert wait is not None
    assert timedelta(minutes=59) < wait <= timedelta(hours=1)
    let_time_pass(queue, GATE)
    queue.claim(gated, 10)
    wait = queue.next_claim_in(gated)
    assert wait is not None
    assert timedelta(seconds=50) < wait <= timedelta(minutes=1)


def test_gate_whose_time_has_come_is_open(queue: Queue, gated: int) -> None:
    queue.close_gate(GATE)
    queue.claim(gated)
    let_time_pass(queue, GATE)

    assert queue.waits_for(gated) is None
    assert len(queue.claim(gated, 10)) == 2


def test_gate_that_is_closed_for_longer_stays_so(queue: Queue, gated: int) -> None:
    """A worker's 429 of a few seconds does not end an operator's pause."""
    until = queue.close_gate(GATE, "1 day", "Paused by Ada")

    assert queue.close_gate(GATE, "5 seconds", "429", half_open=True) == until
    (gate,) = queue.rows("SELECT opens_at, reason, half_open FROM contentq.gates")
    assert (gate["opens_at"], gate["reason"], gate["half_open"]) == (until, "Paused by Ada", False)


def test_gate_can_be_closed_for_longer(queue: Queue) -> None:
    first = queue.close_gate(GATE, "1 minute", "429", half_open=True)

    second = queue.close_gate(GATE, "1 hour")

    assert second > first + timedelta(minutes=58)
    (gate,) = queue.rows("SELECT opens_at, reason, half_open FROM contentq.gates")
    assert (gate["opens_at"], gate["reason"], gate["half_open"]) == (second, None, False)


def test_opened_gate_can_be_closed_for_a_shorter_time(queue: Queue, gated: int) -> None:
    queue.close_gate(GATE, "infinity")
    queue.open_gate(GATE)

    queue.close_gate(GATE, "1 minute")
    queue.claim(gated)
    wait = queue.next_claim_in(gated)
    assert wait is not None
    assert timedelta(seconds=50) < wait <= timedelta(minutes=1)


def test_opening_says_whether_the_gate_was_closed(queue: Queue) -> None:
    queue.close_gate(GATE)

    assert queue.open_gate(GATE)
    assert not queue.open_gate(GATE)
    assert not queue.open_gate("never closed")


def test_closing_and_opening_wake_idle_workers_once(queue: Queue, listener: Queue) -> None:
    queue.close_gate(GATE, "1 hour")
    assert heard(listener) == [""]

    queue.close_gate(GATE, "1 second")
    queue.open_gate("never closed")
    assert heard(listener) == []

    queue.open_gate(GATE)
    assert heard(listener) == [""]


def test_who_closed_it_is_noted(queue: Queue) -> None:
    queue.close_gate(GATE)

    (gate,) = queue.rows("SELECT session_user::text AS me, closed_by FROM contentq.gates")
    assert gate["closed_by"].startswith(f"{gate['me']}, contentq test")
    assert queue.value("SELECT clock_timestamp() - closed_at < interval '1 minute' FROM contentq.gates")


def test_long_reason_is_cut(queue: Queue) -> None:
    queue.close_gate(GATE, reason="x" * 600)

    assert queue.value("SELECT reason FROM contentq.gates") == "x" * 500 + " ... (truncated from 600 characters)"


@pytest.mark.parametrize(("key", "opens_at"), [("", "infinity"), (None, "infinity"), (GATE, None)])
def test_gate_without_a_key_or_a_time_is_refused(queue: Queue, key: str | None, opens_at: str | None) -> None:
    with pytest.raises(psycopg.errors.NullValueNotAllowed, match="requires its key and the time"):
        queue.run("SELECT contentq.close_gate(%s, %s::timestamptz)", key, opens_at)


def test_unregistered_worker_is_told_so_at_a_closed_gate_too(queue: Queue, gated: int) -> None:
    queue.close_gate("*")

    with pytest.raises(psycopg.Error) as refused:
        queue.claim(gated + 1)

    assert refused.value.sqlstate == "CQ001"


def test_tasks_that_become_due_while_the_gate_is_closed_are_claimed_when_it_opens(
    queue: Queue, gated: int
) -> None:
    due = queue.add(priority=10, scheduled_at="2001-01-01")
    queue.close_gate(GATE)
    assert queue.claim(gated, 10) == []

    queue.open_gate(GATE)

    assert queue.claim(gated, 10)[0]["id"] == due


def test_status_of_gates_shows_the_closed_ones_first(queue: Queue) -> None:
    queue.register(gate="b")
    queue.register(gate="c")
    for key, until in (("a", "1 hour"), ("b", "infinity"), ("c", "1 hour"), ("*", "1 hour")):
        queue.close_gate(key, until, "429 " * 20)
    for key in ("a", "*"):
        queue.open_gate(key)

    rows = queue.rows("SELECT key, state, workers, reason, opens_at::text, time_left FROM contentq.gate_status")

    assert [(row["key"], row["state"], row["workers"]) for row in rows] == [
        ("b", "closed", 1),
        ("c", "closed", 1),
        ("*", "open", 2),
        ("a", "open", 0),
    ]
    assert (rows[0]["opens_at"], rows[0]["time_left"]) == ("infinity", None)
    assert timedelta(minutes=59) < rows[1]["time_left"] <= timedelta(hours=1)
    assert [(row["opens_at"], row["time_left"]) for row in rows[2:]] == [(None, None)] * 2
    assert {len(row["reason"]) for row in rows} == {60}
