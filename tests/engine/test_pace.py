"""The rate at which a worker with a gate begins tasks, with fake times."""

from __future__ import annotations

import heapq
import random
from itertools import pairwise

import pytest
from contentq.engine import pace as rules
from contentq.engine.pace import Pace


def run(pace: Pace, start: float, seconds: float, free: int = 1000) -> list[float]:
    """A worker that always has something to begin; when its tasks began."""
    began: list[float] = []
    now = start
    while True:
        now += max(pace.wait(now), 0.001)
        if now > start + seconds:
            return began
        number = min(free, pace.allows(now))
        if number:
            pace.record_start(number, now, is_limiting=True)
            began += [now] * number


def settled(rate: float = 20.0, now: float = 0.0) -> Pace:
    """A pace that was refused twice, the last time now: it is just below this rate."""
    pace = Pace(now)
    pace._rate = rate / rules.FIRST_CUT
    pace.record_refusal(now, now)
    return pace


def test_first_task_begins_at_once_and_the_rest_at_the_first_rate() -> None:
    pace = Pace(0.0)

    assert pace.allows(0.0) == 1
    assert pace.wait(0.0) == 0
    pace.record_start(1, 0.0, is_limiting=True)

    assert pace.allows(0.0) == 0
    assert pace.wait(0.0) == pytest.approx(1 / rules.FIRST_RATE)
    assert pace.allows(0.1001) == 1


def test_rate_doubles_until_the_first_refusal() -> None:
    pace = Pace(0.0)

    began = run(pace, 0.0, 4.0)

    a_second = [sum(second <= each < second + 1 for each in began) for second in range(4)]
    assert a_second[0] == pytest.approx(14, abs=3)
    for earlier, later in pairwise(a_second):
        assert later / earlier == pytest.approx(2, rel=0.2)


def test_rate_does_not_grow_while_something_else_limits() -> None:
    pace = Pace(0.0)

    for tenth in range(100):
        pace.record_start(1, tenth / 2, is_limiting=False)

    assert pace.rate == rules.FIRST_RATE


def test_rate_does_not_grow_while_nothing_begins() -> None:
    # Its slots are full, or the database is away for an hour.
    pace = Pace(0.0)
    pace.record_start(1, 0.0, is_limiting=True)

    for second in range(1, 3600):
        pace.allows(float(second))
    pace.record_start(1, 3600.0, is_limiting=True)

    assert pace.rate <= 2 * rules.FIRST_RATE


def test_hour_of_waiting_is_no_reason_for_a_burst() -> None:
    pace = settled(20.0)

    assert pace.allows(3600.0) <= 20 * rules.BURST
    pace = settled(2.0)
    assert pace.allows(3600.0) == 1


@pytest.mark.parametrize("later", [-1000.0, 0.0, 1e-9, 1e9])
def test_clock_that_jumps_does_no_harm(later: float) -> None:
    pace = settled(20.0, now=1000.0)
    pace.record_start(1, 1001.0, is_limiting=True)
    pace.close(1002.0, 1001.0, half_open=False)

    now = 1001.0 + later
    pace.record_start(pace.allows(now), now, is_limiting=True)
    pace.record_refusal(now, now)

    assert rules.LOWEST_RATE <= pace.rate <= 40
    assert 0 <= pace.wait(now) < 1e4
    assert pace.allows(now) <= 40 * rules.BURST


def test_first_refusal_halves_the_rate_and_the_peak_is_below_it() -> None:
    pace = Pace(0.0)
    run(pace, 0.0, 3.0)
    before = pace.rate

    pace.record_refusal(3.0, 3.0)

    assert before * 0.4 < pace.rate <= before * rules.FIRST_CUT


def test_refusals_of_calls_that_began_before_the_cut_cut_once() -> None:
    pace = settled(20.0)
    now = 20.0
    run(pace, 0.0, now)
    before = pace.rate

    pace.record_refusal(now - 1, now)
    once = pace.rate
    for tenth in range(1, 20):
        pace.record_refusal(now - tenth / 20, now + tenth / 10)

    assert once == pytest.approx(before * rules.CUT)
    assert pace.rate == once
    pace.record_refusal(now + 0.1, now + 2)
    assert pace.rate < once


def test_after_a_cut_it_returns_to_the_peak_and_after_a_while_goes_beyond() -> None:
    pace = settled(20.0)
    low = pace.rate

    run(pace, 0.0, rules.RETURN / 2)
    assert low < pace.rate < 20
    run(pace, rules.RETURN / 2, rules.RETURN / 2)
    assert pace.rate == pytest.approx(20, rel=0.03)
    run(pace, rules.RETURN, rules.RETURN / 2)
    assert 20 < pace.rate < 21
    run(pace, 1.5 * rules.RETURN, rules.RETURN * 2)
    assert pace.rate > 30


def test_it_never_falls_below_the_lowest_rate_and_comes_back_from_there() -> None:
    pace = settled(1.0)
    now = 0.0
    for _ in range(200):
        now += 60
        pace.record_start(1, now, is_limiting=True)
        pace.record_refusal(now, now)
        assert pace.rate >= rules.LOWEST_RATE

    began = run(pace, now, 600)

    assert pace.rate > 1
    assert all(later - earlier < 1.1 / rules.LOWEST_RATE for earlier, later in pairwise(began))


def test_at_a_low_rate_it_at_most_doubles_from_one_task_to_the_next() -> None:
    pace = settled(0.03)
    rates = [pace.rate]
    now = 0.0
    while now < 600:
        now += pace.wait(now) + 0.001
        pace.record_start(pace.allows(now), now, is_limiting=True)
        rates.append(pace.rate)

    assert max(later / earlier for earlier, later in pairwise(rates)) <= 2


def test_high_rate_does_not_mean_as_many_claims() -> None:
    pace = Pace(0.0)
    pace._rate = 1000.0
    now, claims = 0.0, 0
    while now < 1.0:
        number = pace.allows(now)
        if number:
            pace.record_start(number, now, is_limiting=False)
            claims += 1
            now += 0.002  # what a claim takes
        else:
            now += pace.wait(now)

    assert claims < 60


def test_nothing_begins_while_it_is_closed() -> None:
    pace = settled(20.0)
    pace.close(31.0, 1.0, half_open=False)

    assert pace.is_closed(30.9)
    assert pace.allows(30.9) == 0
    assert pace.wait(30.0) == pytest.approx(1.0)
    assert not pace.is_closed(31.0)


def test_shorter_closing_does_not_end_a_longer_one() -> None:
    pace = settled(20.0)
    pace.close(31.0, 1.0, half_open=True)
    pace.close(3.0, 2.0, half_open=False)

    assert pace.is_closed(30.0)
    pace.record_start(pace.allows(31.5), 31.5, is_limiting=True)
    assert pace.allows(31.9) == 0  # it is still to be tried with one


def test_after_a_short_closing_it_goes_on_as_before() -> None:
    pace = settled(20.0)
    pace.close(1.5, 0.5, half_open=False)

    began = run(pace, 1.5, 1.0)

    assert len(began) == pytest.approx(pace.rate, abs=2)


def test_after_a_long_closing_it_begins_with_few_and_doubles() -> None:
    pace = settled(80.0)
    full = pace.rate
    pace.close(30.0, 1.0, half_open=False)

    began = run(pace, 30.0, 3.0)

    parts = [sum(30 + i / 2 <= each < 30.5 + i / 2 for each in began) for i in range(6)]
    assert parts[0] < full / 2 / 4
    assert parts[0] < parts[1] < parts[2] < parts[3]
    assert parts[4] == pytest.approx(full / 2, rel=0.15)


def test_ramp_of_a_low_rate_does_not_take_longer_than_the_ramp() -> None:
    pace = settled(1.0)
    pace.close(30.0, 1.0, half_open=False)
    pace.record_start(pace.allows(30.0), 30.0, is_limiting=True)

    began = run(pace, 30.0, 10.0)

    assert began[0] - 30.0 < rules.RAMP + 1 / pace.rate
    assert len(began) >= 7


def test_opening_before_its_time_ends_the_closing_gently() -> None:
    pace = settled(80.0)
    pace.close(float("inf"), 1.0, half_open=False)
    pace.open(5.0)

    assert not pace.is_closed(5.0)
    assert len(run(pace, 5.0, 0.5)) < 80 / 2 / 4


def test_opening_of_what_is_not_closed_changes_nothing() -> None:
    pace = settled(80.0)
    allowed = pace.allows(1.0)
    pace.open(1.0)

    assert allowed == pace.allows(1.0) == int(rules.BURST * pace.rate)


class TestProbe:
    """After an outage."""

    def closed(self) -> Pace:
        pace = settled(80.0)
        pace.close(10.0, 1.0, half_open=True)
        return pace

    def begun(self) -> Pace:
        """One whose half_open has begun at 10."""
        pace = self.closed()
        assert pace.allows(10.0) == 1
        pace.record_start(1, 10.0, is_limiting=True)
        return pace

    def test_one_task_begins_and_no_other(self) -> None:
        pace = self.begun()

        assert pace.allows(10.5) == 0
        assert pace.wait(10.5) == pytest.approx(rules.PROBE_PATIENCE - 0.5)

    def test_it_waits_for_a_task_when_there_is_none(self) -> None:
        pace = self.closed()
        pace.record_start(0, 10.0, is_limiting=False)

        assert pace.allows(1000.0) == 1
        pace.record_start(1, 1000.0, is_limiting=False)
        assert pace.allows(1001.0) == 0

    def test_when_it_went_well_the_ramp_begins(self) -> None:
        pace = self.begun()

        assert pace.record_success(10.0, 10.4)
        began = run(pace, 10.4, 3.0)

        assert began[0] < 10.6
        assert sum(each < 10.9 for each in began) < 80 / 2 / 4
        assert sum(each > 12.4 for each in began) > 55

    def test_tasks_that_began_earlier_show_nothing(self) -> None:
        pace = self.closed()
        assert not pace.record_success(0.5, 5.0)
        pace.record_start(1, 10.0, is_limiting=True)
        assert not pace.record_success(0.5, 10.2)
        assert not pace.record_undecided(0.5)

        assert pace.allows(10.5) == 0

    def test_when_it_shows_nothing_another_is_tried(self) -> None:
        pace = self.begun()

        assert pace.record_undecided(10.0)

        assert pace.allows(10.5) == 1
        pace.record_start(1, 10.5, is_limiting=True)
        assert pace.allows(10.6) == 0

    def test_when_it_takes_long_that_is_taken_for_well(self) -> None:
        pace = self.begun()

        assert pace.allows(10.0 + rules.PROBE_PATIENCE) >= 1
        assert not pace.record_success(10.0, 16.0)

    def test_many_of_them_in_a_long_outage_leave_no_debt(self) -> None:
        pace = settled(1.0)
        now = 10.0
        for _ in range(50):
            pace.close(now + 30, now, half_open=True)
            now += 30.1
            pace.record_start(pace.allows(now), now, is_limiting=True)
        pace.record_success(now, now)

        assert len(run(pace, now, 10)) >= 7

    def test_rate_does_not_grow_by_it(self) -> None:
        pace = self.begun()
        before = pace.rate
        for now in (15.1, 15.2, 15.3):
            pace.record_start(1, now, is_limiting=True)

        assert pace.rate == before


class Provider:
    """A token bucket: so many calls a second; it remembers what it has answered."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst, self._tokens, self._at = rate, burst, burst, 0.0
        self.taken: list[float] = []
        self.refused: list[float] = []

    def call(self, now: float) -> float | None:
        """None, or the seconds after which to come again."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens >= 1:
            self._tokens -= 1
            self.taken.append(now)
            return None
        self.refused.append(now)
        return (1 - self._tokens) / self._rate


@pytest.mark.parametrize("call_time", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_three_workers_use_what_a_provider_takes_and_are_seldom_refused(  # noqa: C901 (it plays a fleet)
    seed: int, call_time: float
) -> None:
    chance = random.Random(seed)
    provider = Provider(rate=20.0, burst=20.0)
    paces = [Pace(0.0) for _ in range(3)]
    gate_until = [0.0]
    was_closed = [False] * 3
    events: list[tuple[float, int, int, str, float]] = []
    number = 0

    def later(at: float, worker: int, what: str, began: float = 0.0) -> None:
        nonlocal number
        number += 1
        heapq.heappush(events, (at, number, worker, what, began))

    for worker in range(3):
        later(chance.random() / 10, worker, "look")
    while events:
        now, _, worker, what, began = heapq.heappop(events)
        pace = paces[worker]
        if now > 90:
            break
        if what == "call":
            wait = provider.call(now)
            if wait is not None:
                later(now + 0.05, worker, "refused", began)
        elif what == "refused":
            pace.record_refusal(began, now)
            pace.close(now + 0.05, now, half_open=False)
            gate_until[0] = max(gate_until[0], now + 0.05)
        else:
            if now < gate_until[0]:
                if not was_closed[worker] and not pace.is_closed(now):
                    pace.record_refusal(now, now)
                pace.close(gate_until[0], now, half_open=False)
                was_closed[worker] = True
            else:
                was_closed[worker] = False
                allowed = pace.allows(now)
                if allowed:
                    pace.record_start(allowed, now, is_limiting=True)
                for _ in range(allowed):
                    later(now + call_time * chance.uniform(0.5, 1.0), worker, "call", now)
            later(now + max(0.002, pace.wait(now)), worker, "look")

    taken = [each for each in provider.taken if each >= 30]
    refused = [each for each in provider.refused if each >= 30]
    assert len(taken) >= 0.9 * 20 * 60
    assert len(refused) < 0.1 * (len(taken) + len(refused))
