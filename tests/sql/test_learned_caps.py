"""How a gate learns that a provider limits the calls at once. Time is simulated in rows, without sleeps."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from tests.support.gate_simulation import Fleet, Provider, between
from tests.support.queue import Queue

pytestmark = [pytest.mark.newest, pytest.mark.slow]


def fleet(queue: Queue, shortest: float, longest: float, **provider: Any) -> Fleet:
    """A fleet of three workers whose calls take between these times, in seconds."""

    def seconds(chance: Random) -> float:
        return chance.uniform(shortest, longest)

    return Fleet(queue, Provider(**provider), seconds=seconds)


def used_and_refused(fleet: Fleet, seconds: float, rate: float) -> tuple[float, float]:
    """The share of the rate that was used in the next seconds, and the share of refused calls."""
    fleet.run(seconds)
    accepted, refused = (
        between(times, fleet.now - seconds, fleet.now)
        for times in (fleet.provider.accepted, fleet.provider.refused)
    )
    return accepted / (rate * seconds), refused / max(1, accepted + refused)


def gate(queue: Queue) -> dict[str, Any]:
    """The gate, as operators see it."""
    (row,) = queue.rows("SELECT state, max_running, max_running_is, pace FROM contentq.gate_status")
    return row


@pytest.mark.parametrize(
    ("at_once", "shortest", "longest", "most_refused"),
    [
        pytest.param(30, 1.7, 2.3, 0.04, id="many"),
        pytest.param(30, 0.5, 3.5, 0.04, id="calls of very different length"),
        # A trial costs three refusals, and one in thirty seconds is that share of two calls a second.
        pytest.param(4, 1.0, 3.0, 0.07, id="few"),
        pytest.param(20, 1.0, 1.0, 0.04, id="calls of equal length"),
    ],
)
def test_calls_at_once_are_used_to_the_limit_and_seldom_refused(
    queue: Queue, at_once: int, shortest: float, longest: float, most_refused: float
) -> None:
    calls = fleet(queue, shortest, longest, at_once=at_once)
    calls.run(15)

    used, refused = used_and_refused(calls, 30, at_once / ((shortest + longest) / 2))

    assert used >= 0.92
    assert refused <= most_refused
    found = gate(queue)
    assert found["max_running_is"] == "learned"
    assert at_once - 1 <= found["max_running"] <= at_once + 1
    assert found["pace"] is None


def test_waiting_worker_is_told_about_a_learned_cap(queue: Queue) -> None:
    calls = fleet(queue, 1.7, 2.3, at_once=30)
    calls.run(20)
    cap = gate(queue)["max_running"]
    worker = queue.value("SELECT min(id) FROM contentq.workers")
    running = queue.value("SELECT count(*) FROM content_generation_tasks WHERE status = 'processing'")
    queue.run(
        "UPDATE content_generation_tasks SET status = 'processing', worker_id = %s, attempt = attempt + 1, "
        "started_at = clock_timestamp() WHERE id IN (SELECT id FROM content_generation_tasks "
        "WHERE status = 'pending' ORDER BY id LIMIT %s)",
        worker,
        max(0, cap - running),
    )

    why = queue.waits_for(worker) or ""
    assert f"{max(cap, running)} of {cap} running, a limit learned from refusals" in why


@pytest.mark.parametrize(
    ("before", "now", "within", "least_used"),
    [pytest.param(30, 15, 20, 0.88, id="lower"), pytest.param(15, 30, 40, 0.88, id="higher")],
)
def test_limit_of_calls_at_once_that_changes_is_found(
    queue: Queue, before: int, now: int, within: float, least_used: float
) -> None:
    calls = fleet(queue, 1.7, 2.3, at_once=before)
    calls.run(20)

    calls.provider.at_once = now
    calls.run(within)
    used, refused = used_and_refused(calls, 15, now / 2)

    assert used >= least_used
    assert refused <= 0.1


@pytest.mark.parametrize(
    "length", [pytest.param((0.7, 1.3), id="similar"), pytest.param((0.1, 2.9), id="different")]
)
def test_provider_that_limits_the_rate_of_calls_of_different_length_gets_no_cap(
    queue: Queue, length: tuple[float, float]
) -> None:
    calls = fleet(queue, *length, rate=20, burst=20)

    known = []
    for _ in range(40):
        calls.run(1)
        known.append(queue.value("SELECT coalesce(bool_or(cap_is_known), false) FROM contentq.gates"))

    assert not any(known)


@pytest.mark.parametrize("seed", [0, 4])
def test_two_cuts_at_the_start_before_any_call_has_ended_are_no_cap(queue: Queue, seed: int) -> None:
    """The calls that a bucket has let through still run at the second cut, whatever the provider limits."""
    provider = Provider(rate=2, burst=2, chance=Random(seed + 100))
    calls = Fleet(queue, provider, seconds=lambda chance: chance.uniform(4, 8), chance=Random(seed))

    calls.run(3)

    assert queue.values("SELECT cap FROM contentq.gates") == [None]


def test_refusal_in_a_trial_that_an_operator_has_cut_short_leaves_the_cap(queue: Queue) -> None:
    worker = queue.register(gate="api.example")
    queue.set_gate("api.example", max_running=101)
    queue.run("UPDATE contentq.gates SET cap = 100, peak = 20, grown = 10, cut_at = '2001-01-01'")
    queue.refuse(queue.running(worker), "api.example")

    queue.claim(worker)

    assert queue.value("SELECT cap FROM contentq.gates") == 100


def test_second_refusal_of_the_repeated_step_confirms_a_cap_and_one_refusal_does_not(queue: Queue) -> None:
    """A provider whose window is used up refuses for a moment, too."""
    worker = queue.register(gate="api.example")
    queue.refuse(queue.running(worker), "api.example")
    queue.claim(worker)
    queue.run("UPDATE contentq.gates SET cap = 100, peak = 20, grown = 10")

    known = []
    for _ in range(2):
        queue.run("UPDATE contentq.gates SET grown = 10")
        queue.refuse(queue.running(worker), "api.example")
        queue.claim(worker)
        known.append(queue.value("SELECT cap_is_known FROM contentq.gates"))

    assert known == [False, True]


def test_refusal_after_many_accepted_tasks_of_a_trial_ends_the_cap(queue: Queue) -> None:
    """A provider that limits the calls at once would have refused the first."""
    worker = queue.register(gate="api.example")
    queue.refuse(queue.running(worker), "api.example")
    queue.claim(worker)
    queue.run("UPDATE contentq.gates SET cap = 100, peak = 20, grown = 10, cut_calls = cut_calls - 20")

    queue.refuse(queue.running(worker), "api.example")
    queue.claim(worker)

    assert queue.values("SELECT cap FROM contentq.gates") == [None]


@pytest.mark.parametrize(
    ("is_known", "may_be_learned"), [pytest.param(True, True, id="known"), pytest.param(False, False, id="tried")]
)
def test_cap_that_was_confirmed_may_be_learned_again_at_once(
    queue: Queue, is_known: bool, may_be_learned: bool
) -> None:
    worker = queue.register(gate="api.example")
    queue.refuse(queue.running(worker), "api.example")
    queue.claim(worker)
    queue.run(
        "UPDATE contentq.gates SET cap = 10, cap_is_known = %s, peak = 20, grown = 0, cut_at = clock_timestamp()",
        is_known,
    )
    for _ in range(5):
        queue.refuse(queue.running(worker), "api.example")

    queue.claim(worker)

    assert queue.values("SELECT cap FROM contentq.gates") == [None]
    assert queue.value("SELECT cap_tried_at = '-infinity' FROM contentq.gates") is may_be_learned


def test_refused_call_takes_its_place_at_a_learned_cap_for_a_moment_more(queue: Queue) -> None:
    worker = queue.register(gate="api.example")
    queue.refuse(queue.running(worker), "api.example")
    queue.claim(worker)
    queue.run("UPDATE contentq.gates SET cap = 10, peak = 20, grown = 0, cut_at = clock_timestamp()")
    running = queue.value("SELECT contentq.gate_running('api.example')")

    def room(later: float) -> int:
        found: int = queue.value(
            "SELECT s.room FROM contentq.gates AS g, (SELECT max(at) AS at FROM contentq.gate_events) AS e, "
            "contentq.gate_state(g, e.at + make_interval(secs => %s)) AS s",
            later,
        )
        return found

    assert room(0.4) == 10 - running - 1
    assert room(0.5) == 10 - running


def slower(chance: Random) -> float:
    """The duration of a call, in seconds."""
    return 2.5


def faster(chance: Random) -> float:
    """The duration of a call, in seconds."""
    return 0.5


@pytest.mark.parametrize("then", [slower, faster])
def test_rate_that_looked_like_a_cap_is_used_when_calls_take_another_time(
    queue: Queue, then: Callable[[Random], float]
) -> None:
    """With calls of equal length, a limit of the rate is one of the calls at once too."""
    calls = fleet(queue, 1.0, 1.0, rate=20, burst=20)
    calls.run(20)

    calls.seconds = then
    calls.run(25)
    used, refused = used_and_refused(calls, 20, 20)

    assert used >= 0.9
    assert refused <= 0.06
