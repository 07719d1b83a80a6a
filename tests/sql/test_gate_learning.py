"""How a gate learns from a provider's refusals. Time is simulated in rows, without sleeps."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tests.support.gate_simulation import Fleet, Provider, between
from tests.support.queue import Held, Queue

pytestmark = pytest.mark.newest

GATE = "api.example"


def held(queue: Queue, worker: int, number: int = 1) -> list[Held]:
    """Inserts tasks and claims as many as the worker gets."""
    for _ in range(number):
        queue.add()
    return [Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker, number)]


def state(queue: Queue, column: str) -> Any:
    """A column of the gate's row, or None without a row."""
    return queue.value(f"SELECT {column} FROM contentq.gates WHERE key = %s", GATE)


def refuse_most(queue: Queue, worker: int, delay: str | None = None) -> None:
    """A provider refuses 40 of 90 calls within a second, or more on a busy machine."""
    first, *tasks = held(queue, worker, 60)
    queue.refuse(first, GATE, delay)
    for task in tasks[:19]:
        queue.refuse(task, GATE, delay)
    for task in held(queue, worker, 30)[:20]:
        queue.refuse(task, GATE, delay)
    queue.let_gate_time_pass(1)


def test_refused_task_waits_as_the_provider_said_and_a_little_longer_and_is_not_charged(queue: Queue) -> None:
    (task,) = held(queue, queue.register(gate=GATE))

    assert queue.refuse(task, GATE, "10 seconds", "slow down")

    (row,) = queue.rows(
        "SELECT status, retry_count, error_message, extract(epoch FROM scheduled_at - clock_timestamp()) AS delay "
        "FROM content_generation_tasks"
    )
    assert (row["status"], row["retry_count"], row["error_message"]) == ("pending", 0, "slow down")
    assert 9.9 < row["delay"] <= 12


def test_task_that_waits_for_a_reason_of_its_own_waits_exactly_and_no_gate_hears_of_it(queue: Queue) -> None:
    task = queue.running(queue.register(gate=GATE))
    until = queue.value("SELECT clock_timestamp() + interval '10 seconds'")

    queue.run("SELECT contentq.snooze(%s, %s, %s, %s)", task.worker, task.id, task.attempt, until)

    assert queue.row(task.id)["scheduled_at"] == until
    assert queue.value("SELECT count(*) FROM contentq.gate_events") == 0


def test_delay_that_the_provider_does_not_name_doubles_with_each_refusal_of_the_task(queue: Queue) -> None:
    task = queue.running(queue.register(gate=GATE))
    for shortest in (1, 2, 4, 8, 16, 32, 60, 60):
        queue.refuse(task, GATE)
        delay = queue.value(
            "SELECT extract(epoch FROM scheduled_at - clock_timestamp())::float8 FROM content_generation_tasks"
        )
        assert shortest - 0.1 < delay <= 1.2 * shortest
        assert queue.claim_named(task.worker, [task.id]) == [task.id]
        task = Held(task.worker, task.id, task.attempt + 1)


@pytest.mark.parametrize("key", ["somebody's", "*", ""])
def test_gate_that_is_none_of_the_logins_workers_hears_nothing(queue: Queue, key: str) -> None:
    task = queue.running(queue.register(gate=GATE))

    assert queue.refuse(task, key, "10 seconds")

    assert queue.value("SELECT count(*) FROM contentq.gate_events") == 0


def test_gate_of_another_worker_of_the_login_can_be_named(queue: Queue) -> None:
    queue.register(gate=GATE)
    task = queue.running(queue.register())

    queue.refuse(task, GATE, "10 seconds")

    assert queue.values("SELECT key FROM contentq.gate_events") == [GATE]


def test_refusal_of_one_task_among_many_closes_and_slows_nothing(queue: Queue) -> None:
    worker = queue.register(gate=GATE)
    task, *_ = held(queue, worker, 30)

    queue.refuse(task, GATE, "1 minute")

    assert len(held(queue, worker, 30)) == 30
    assert state(queue, "contentq.gate_pace(gates)") is None


def test_some_refusals_among_few_calls_limit_nothing_while_all_slots_are_taken(queue: Queue) -> None:
    """With long calls, only the slots of refused ones are free: chance decides how many more are refused."""
    worker = queue.register(150, GATE)
    first = held(queue, worker, 150)
    queue.refuse(first[0], GATE)
    queue.let_gate_time_pass(3)
    for task in held(queue, worker, 22)[:6]:
        queue.refuse(task, GATE)

    held(queue, worker, 1)

    assert state(queue, "contentq.gate_pace(gates)") is None


def test_first_limit_is_no_lower_than_the_rate_at_which_the_running_tasks_started(queue: Queue) -> None:
    worker = queue.register(200, GATE)
    first = held(queue, worker, 150)
    queue.refuse(first[0], GATE)
    queue.let_gate_time_pass(3)
    for task in held(queue, worker, 30)[:20]:
        queue.refuse(task, GATE)

    held(queue, worker, 1)

    # 150 have started within 3 seconds, or more on a busy machine. The 10 that were accepted last would tell 10/s.
    assert 25 <= state(queue, "contentq.gate_pace(gates)") <= 55


def test_many_refusals_limit_the_pace(queue: Queue) -> None:
    worker = queue.register(gate=GATE)

    refuse_most(queue, worker)

    assert len(held(queue, worker, 60)) == 1
    assert 1 <= state(queue, "contentq.gate_pace(gates)") <= 50
    assert "limited to" in (queue.waits_for(worker) or "")


def test_refusals_of_what_began_before_the_cut_do_not_cut_again(queue: Queue) -> None:
    worker = queue.register(gate=GATE)
    older = held(queue, worker, 50)
    refuse_most(queue, worker)
    held(queue, worker, 10)
    peak = state(queue, "peak")
    assert peak is not None

    for task in older:
        queue.refuse(task, GATE)
    queue.let_gate_time_pass(1)
    held(queue, worker, 10)

    assert state(queue, "peak") == peak


def refuse_all(queue: Queue, worker: int, seconds: float) -> None:
    """A provider refuses every call that starts within this time."""
    for _ in range(round(seconds / 0.1)):
        queue.let_gate_time_pass(0.1)
        for task in held(queue, worker, 10):
            queue.refuse(task, GATE)


@pytest.mark.slow
def test_refusals_right_after_a_cut_are_its_echo_and_later_ones_are_not(queue: Queue) -> None:
    worker = queue.register(gate=GATE)
    refuse_most(queue, worker)
    held(queue, worker, 1)
    peak = state(queue, "peak")
    queue.run("UPDATE contentq.gates SET is_ramping = false, cut_at = clock_timestamp()")

    refuse_all(queue, worker, 0.5)
    assert queue.value("SELECT contentq.gate_refused(gates) FROM contentq.gates") >= 5
    assert state(queue, "peak") == peak

    queue.let_gate_time_pass(0.8)
    refuse_all(queue, worker, 1)
    assert state(queue, "peak") < 0.8 * peak


def test_pace_that_was_cut_by_far_too_little_is_cut_again_at_once(queue: Queue) -> None:
    worker = queue.register(gate=GATE)
    refuse_most(queue, worker)
    held(queue, worker, 1)
    queue.run("UPDATE contentq.gates SET is_ramping = false, peak = 1000, cut_at = clock_timestamp()")
    queue.let_gate_time_pass(0.1)
    for task in held(queue, worker, 40):
        queue.refuse(task, GATE)
    queue.let_gate_time_pass(0.1)
    for task in held(queue, worker, 40):
        queue.refuse(task, GATE)
    queue.let_gate_time_pass(0.1)
    held(queue, worker, 1)

    assert state(queue, "peak") < 500


def test_pace_that_busy_workers_do_not_reach_is_cut_to_half_of_their_calls(queue: Queue) -> None:
    """Half of a pace that is not the limit is not the limit either."""
    worker = queue.register(gate=GATE)
    refuse_most(queue, worker)
    held(queue, worker, 1)
    queue.run("UPDATE contentq.gates SET is_ramping = false, peak = 1000, cut_at = clock_timestamp()")

    calls = 0
    while state(queue, "peak") == 1000:
        queue.let_gate_time_pass(0.02)
        for task in held(queue, worker, 1):
            queue.refuse(task, GATE)
        calls += 1
        assert calls < 40

    assert state(queue, "peak") <= 0.5 / 0.02


@pytest.mark.parametrize(("cut_from", "pace"), [(25, 22.5), (40, 42.2)], ids=["a little", "by half"])
def test_pace_doubles_sooner_after_a_cut_by_more_than_a_third(queue: Queue, cut_from: float, pace: float) -> None:
    queue.run("SELECT contentq.add_gate(%s)", GATE)
    queue.run("UPDATE contentq.gates SET peak = 20, cut_from = %s, grown = 11.5", cut_from)

    assert round(state(queue, "contentq.gate_pace(gates)"), 1) == pace


def test_provider_without_bursts_is_cut_to_about_the_pace_at_which_it_began_to_refuse(queue: Queue) -> None:
    """It then refuses every other call; the calls that it accepts are far fewer than it would at a lower pace."""
    worker = queue.register(gate=GATE)
    queue.run("SELECT contentq.add_gate(%s)", GATE)
    queue.run("UPDATE contentq.gates SET peak = 20, grown = 6, cut_at = clock_timestamp() - '6 s'::interval")
    pace = state(queue, "contentq.gate_pace(gates)")

    tried: list[Held] = []
    while state(queue, "peak") == 20:
        queue.let_gate_time_pass(0.05)
        tried += (claimed := held(queue, worker, 1))
        if claimed and len(tried) % 2:
            queue.refuse(claimed[0], GATE)
        assert len(tried) < 30

    assert 0.94 * pace <= state(queue, "peak") <= pace


def test_nothing_left_closes_the_gate_until_then(queue: Queue) -> None:
    worker = queue.register(gate=GATE)
    task, *_ = held(queue, worker, 30)

    queue.refuse(task, GATE, "10 minutes", "the quota of this hour is used up", nothing_left=True)

    assert held(queue, worker, 30) == []
    assert "the quota of this hour is used up" in (queue.waits_for(worker) or "")
    queue.let_gate_time_pass(590)
    assert queue.claim(worker, 30) == []
    queue.let_gate_time_pass(11)
    assert len(queue.claim(worker, 30)) == 30


def test_gate_is_closed_for_an_hour_at_most_and_then_one_task_tries(queue: Queue) -> None:
    worker = queue.register(gate=GATE)
    task, *_ = held(queue, worker, 30)

    queue.refuse(task, GATE, "1 month", "no money left", nothing_left=True)

    assert held(queue, worker, 30) == []
    queue.let_gate_time_pass(3601)
    (probe,) = [Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker, 30)]
    queue.refuse(probe, GATE, "1 month", "no money left", nothing_left=True)
    assert queue.claim(worker, 30) == []
    queue.let_gate_time_pass(3601)
    (probe,) = [Held(worker, row["id"], row["attempt"]) for row in queue.claim(worker, 30)]
    queue.complete(worker, [probe])
    assert len(held(queue, worker, 5)) == 5


def test_refusals_of_all_calls_that_name_a_long_time_close_the_gate(queue: Queue) -> None:
    worker = queue.register(gate=GATE)
    tasks = held(queue, worker, 6)

    for task in tasks:
        queue.refuse(task, GATE, "40 seconds")

    assert held(queue, worker, 5) == []
    queue.let_gate_time_pass(39)
    assert queue.claim(worker, 5) == []
    queue.let_gate_time_pass(2)
    assert len(queue.claim(worker, 5)) == 5


def test_refusals_beside_calls_that_go_on_do_not_close_it(queue: Queue) -> None:
    worker = queue.register(gate=GATE)
    tasks = held(queue, worker, 20)

    for task in tasks[::3]:
        queue.refuse(task, GATE, "40 seconds")

    assert len(held(queue, worker, 5)) == 5


def test_what_was_reported_long_ago_is_deleted(queue: Queue) -> None:
    worker = queue.register(gate=GATE)
    for task in held(queue, worker, 3):
        queue.refuse(task, GATE, "1 second")
    queue.let_gate_time_pass(500)
    queue.refuse(held(queue, worker)[0], GATE, "1 second")
    queue.let_gate_time_pass(200)

    queue.run("SELECT contentq.maintain()")

    assert queue.value("SELECT count(*) FROM contentq.gate_events") == 1


def test_status_shows_the_pace_what_is_set_and_what_was_refused(queue: Queue) -> None:
    worker = queue.register(gate=GATE)
    queue.register(gate="other.example")
    refuse_most(queue, worker)
    running = len(held(queue, worker, 60)) + 50
    queue.set_gate("set.example", requests_per_minute=90, tokens_per_minute=1000, max_running=7)
    queue.let_gate_time_pass(-10)

    rows = {row["key"]: row for row in queue.rows("SELECT * FROM contentq.gate_status")}

    learned, other, preset = rows[GATE], rows["other.example"], rows["set.example"]
    assert (learned["state"], learned["workers"], learned["refused"]) == ("waits", 1, 40)
    assert (learned["running"], learned["pace_is"]) == (running, "learned")
    assert (other["state"], other["pace"], other["refused"]) == ("open", None, 0)
    assert (preset["pace"], preset["pace_is"], preset["max_running"], preset["tokens_per_minute"]) == (
        1.5,
        "set",
        7,
        1000,
    )


def used_and_refused(fleet: Fleet, rate: float, warm_up: float = 10, measured: float = 30) -> tuple[float, float]:
    """The share of the rate that was used, and the share of refused calls, after the warm-up."""
    fleet.run(warm_up + measured)
    accepted, refused = (
        between(times, fleet.now - measured, fleet.now)
        for times in (fleet.provider.accepted, fleet.provider.refused)
    )
    return accepted / (rate * measured), refused / max(1, accepted + refused)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("provider", "rate", "least_used", "most_refused"),
    [
        pytest.param({"rate": 20, "burst": 20}, 20, 0.95, 0.04, id="token bucket"),
        pytest.param({"rate": 20, "burst": 1}, 20, 0.75, 0.06, id="bucket of one"),
        pytest.param(
            {"rate": 20, "window": 1, "whole": True},
            20,
            0.9,
            0.06,
            id="windows of a second",
        ),
    ],
)
def test_provider_is_used_to_its_limit_and_refuses_little(
    queue: Queue, provider: dict[str, Any], rate: float, least_used: float, most_refused: float
) -> None:
    used, refused = used_and_refused(Fleet(queue, Provider(**provider)), rate)

    assert used >= least_used
    assert refused <= most_refused


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "stalls"), [pytest.param(2, 0.0, id="steady"), pytest.param(0, 0.3, id="busy machine")]
)
def test_windows_whose_last_calls_are_all_refused_are_found_out_at_once(
    queue: Queue, seed: int, stalls: float
) -> None:
    provider = Provider(rate=20, window=1, whole=True, chance=Random(seed + 100))

    used, refused = used_and_refused(
        Fleet(queue, provider, stalls=stalls, chance=Random(seed)), 20, warm_up=5, measured=12
    )

    assert used >= 0.85
    assert refused <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_windows_are_used_well_although_the_workers_start_unevenly(queue: Queue, seed: int) -> None:
    """The first calls arrive within half a second, so the first windows tell little about the limit."""
    provider = Provider(rate=20, window=1, whole=True, chance=Random(seed + 100))
    fleet = Fleet(queue, provider, chance=Random(seed), late=0.25)
    fleet.run(0.8)
    fleet.late = 0.003
    fleet.run(8)

    fleet.run(20)

    accepted, refused = (
        between(times, fleet.now - 20, fleet.now) for times in (provider.accepted, provider.refused)
    )
    assert accepted >= 0.9 * 20 * 20
    assert refused <= 0.04 * (accepted + refused)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 4])
def test_low_limit_is_found_although_nearly_all_first_calls_are_refused(queue: Queue, seed: int) -> None:
    provider = Provider(rate=3, burst=3, chance=Random(seed + 100))
    calls = Fleet(queue, provider, seconds=lambda chance: chance.uniform(2, 6), chance=Random(seed))
    calls.run(20)

    calls.run(30)

    accepted, refused = (between(times, 20, 50) for times in (provider.accepted, provider.refused))
    assert accepted >= 0.9 * 3 * 30
    assert refused <= 0.1 * (accepted + refused)


@pytest.mark.slow
def test_window_of_a_minute_is_used_up_and_waited_for(queue: Queue) -> None:
    fleet = Fleet(queue, Provider(rate=5, window=60, whole=True), workers=2, slots=20)

    fleet.run(130)

    assert len(fleet.provider.accepted) >= 0.95 * 2 * 300
    assert len(fleet.provider.refused) <= 0.15 * 2 * 300


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.05, 0.1])
def test_refusals_by_chance_do_not_slow_the_fleet(queue: Queue, share: float) -> None:
    fleet = Fleet(queue, Provider(share=share), workers=2, slots=15)

    used, refused = used_and_refused(fleet, 30, measured=20)

    assert used >= 0.9
    assert refused <= 1.5 * share


@pytest.mark.slow
@pytest.mark.parametrize("factor", [2, 0.5])
def test_limit_that_changes_is_found_within_20_seconds(queue: Queue, factor: float) -> None:
    fleet = Fleet(queue, Provider(rate=20, burst=20))
    fleet.run(20)

    fleet.provider.rate = 20 * factor
    fleet.run(20)
    used, refused = used_and_refused(fleet, 20 * factor, warm_up=0, measured=10)

    assert used >= 0.9
    assert refused <= 0.1


@pytest.mark.slow
def test_fleet_is_back_soon_after_an_outage(queue: Queue) -> None:
    fleet = Fleet(queue, Provider(rate=20, burst=20))
    fleet.run(10)

    fleet.provider.is_down = True
    fleet.run(20)
    fleet.provider.is_down = False
    tried = len(fleet.provider.unanswered)
    fleet.run(10)

    assert tried <= fleet.workers * fleet.slots
    assert between(fleet.provider.accepted, fleet.now - 3, fleet.now) >= 0.9 * 3 * 20
