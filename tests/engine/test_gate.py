"""What a worker makes of what its provider says: when the gate is closed, and for how long."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest
from contentq.engine import gate as rules
from contentq.engine.gate import Gate
from contentq.engine.pace import FIRST_RATE, PROBE_PATIENCE
from contentq.queue.contract import ClosedGate
from contentq.queue.outcomes import (
    CANCELLED,
    Completed,
    Failed,
    Held,
    Outcome,
    Overdue,
    Released,
    Snoozed,
)
from contentq.task import Task

HELD = Held(1, 7, 1, "cgt-7")
TASK = Task(**{**dict.fromkeys(Task._fields), "id": 7, "retry_count": 0})  # type: ignore[arg-type]


class Clock:
    """time.monotonic() of the gate, which stands still until it is told to go on."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.fixture
def gate(clock: Clock) -> Gate:
    return Gate("openai")


def seconds(outcome: Outcome) -> float:
    assert isinstance(outcome, Snoozed)
    assert outcome.delay is not None
    return outcome.delay.total_seconds()


def closed_for(outcome: Outcome) -> float:
    """For how long it wants the gate to be closed; 0 when not at all."""
    assert isinstance(outcome, Snoozed | Failed)
    return 0.0 if outcome.closing is None else outcome.closing.until - time.monotonic()


def refused(
    gate: Gate, after: float | None = None, *, began: float | None = None, key: str | None = None
) -> Outcome:
    delay = None if after is None else timedelta(seconds=after)
    began = time.monotonic() if began is None else began
    return gate.judge(Snoozed(HELD, "slow down", delay, gate=key), TASK, began)


def unanswered(gate: Gate, *, began: float | None = None, retries: int = 0, after: float | None = None) -> Failed:
    delay = None if after is None else timedelta(seconds=after)
    failed = Failed(HELD, "502", "ProviderUnavailable", retry_after=delay, is_outage=True)
    began = time.monotonic() if began is None else began
    outcome = gate.judge(failed, TASK._replace(retry_count=retries), began)
    assert isinstance(outcome, Failed)
    return outcome


def well(gate: Gate, began: float | None = None) -> None:
    completed = Completed(HELD, "{}")
    assert gate.judge(completed, TASK, time.monotonic() if began is None else began) is completed


def begin(gate: Gate) -> int:
    """Claims and begins what is allowed, of ten."""
    number = gate.allows(10)
    if number:
        assert gate.pace is not None
        gate.learn_open(time.monotonic())
        gate.pace.record_start(number, time.monotonic(), is_limiting=True)
    return number


def confirm_closing(gate: Gate, outcome: Outcome) -> None:
    assert isinstance(outcome, Snoozed | Failed)
    assert outcome.closing is not None
    gate.confirm_closing(outcome.closing)


def test_provider_that_says_for_how_long_is_taken_at_its_word(gate: Gate) -> None:
    outcome = refused(gate, 20)

    assert seconds(outcome) == 20
    assert isinstance(outcome, Snoozed)
    assert outcome.closing is not None
    assert (outcome.closing.key, outcome.closing.half_open) == ("openai", False)
    assert outcome.closing.reason == "slow down"
    assert closed_for(outcome) == pytest.approx(20)


def test_provider_that_does_not_say_is_asked_again_after_a_time_that_doubles(gate: Gate, clock: Clock) -> None:
    delays = []
    for _ in range(9):
        outcome = refused(gate)
        assert seconds(outcome) == pytest.approx(closed_for(outcome))
        delays.append(seconds(outcome))
        clock.now += delays[-1] + 0.1

    for delay, expected in zip(delays, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
        assert expected * 0.8 <= delay <= expected * 1.2
    well(gate)
    assert seconds(refused(gate)) <= 1.2


def test_calls_that_were_under_way_at_a_refusal_do_not_double_the_time(gate: Gate, clock: Clock) -> None:
    began = clock.now
    clock.now += 1
    refused(gate, began=began)
    for _ in range(20):
        clock.now += 0.2

        outcome = refused(gate, began=began)

        assert seconds(outcome) <= 1.2


def test_gate_of_another_provider_is_closed_and_not_its_own(gate: Gate) -> None:
    outcome = refused(gate, 20, key="images")

    assert isinstance(outcome, Snoozed)
    assert outcome.closing is not None
    assert outcome.closing.key == "images"
    assert closed_for(outcome) == pytest.approx(20)
    assert 20 <= seconds(outcome) <= 20 * (1 + rules.JITTER)
    assert gate.allows(10) == 1
    assert gate.pace is not None
    assert gate.pace.rate == FIRST_RATE


@pytest.mark.usefixtures("clock")
def test_worker_without_a_gate_only_puts_off_each_a_little_differently() -> None:
    gate = Gate(None)

    delays = {seconds(refused(gate, 20)) for _ in range(20)}

    assert len(delays) > 10
    assert all(20 <= delay <= 20 * (1 + rules.JITTER) for delay in delays)
    assert closed_for(refused(gate, 20)) == 0
    assert 0.8 <= seconds(refused(Gate(None))) <= 1.2 * (1 + rules.JITTER)
    for _ in range(5):
        failed = unanswered(gate)
        assert (failed.closing, failed.retry_after) == (None, None)
    assert gate.allows(10) == 10


@pytest.mark.parametrize(("key", "named"), [(None, None), ("openai", "another")])
def test_refusal_for_no_time_at_all_is_not_tried_again_at_once_where_no_pace_is_kept(
    clock: Clock, key: str | None, named: str | None
) -> None:
    gate = Gate(key)

    waits = []
    for _ in range(4):
        waits.append(seconds(refused(gate, 0, key=named)))
        clock.now += waits[-1]

    assert all(first < second for first, second in pairwise(waits))
    assert waits[0] >= 0.8


def test_gate_is_closed_for_an_hour_at_most_and_then_one_is_to_try(gate: Gate) -> None:
    outcome = refused(gate, 365 * 24 * 3600)

    assert seconds(outcome) == 365 * 24 * 3600
    assert closed_for(outcome) == rules.LONGEST_CLOSING
    assert isinstance(outcome, Snoozed)
    assert outcome.closing is not None
    assert outcome.closing.half_open
    for _ in range(2):
        unanswered(gate)
    failed = unanswered(gate, after=365 * 24 * 3600)
    assert failed.retry_after == timedelta(seconds=rules.LONGEST_CLOSING)


@pytest.mark.usefixtures("clock")
def test_worker_without_a_gate_closes_that_which_its_handler_names() -> None:
    assert closed_for(refused(Gate(None), 20, key="images")) == pytest.approx(20)


@pytest.mark.parametrize("after", [0.0, 1e9])
def test_odd_delays_do_no_harm(gate: Gate, clock: Clock, after: float) -> None:
    assert seconds(refused(gate, after)) == after
    clock.now += 1
    assert gate.allows(10) in (0, 1)


def test_nothing_begins_until_the_database_knows_and_then_it_is_asked_for_one(gate: Gate, clock: Clock) -> None:
    outcome = refused(gate, 20)
    assert gate.allows(10) == 0

    confirm_closing(gate, outcome)

    assert gate.allows(10) == 1
    gate.learn_closed(ClosedGate("openai", 20.0, "slow down", False))
    assert gate.is_closed
    assert gate.allows(10) == 1
    clock.now += 5
    gate.learn_open(clock.now)
    assert [gate.is_closed] == [False]
    clock.now += 5
    assert gate.allows(10) >= 1


def test_claim_from_before_the_closing_does_not_open_it(gate: Gate, clock: Clock) -> None:
    asked_at = clock.now
    clock.now += 0.01
    outcome = refused(gate, 20)
    gate.learn_open(asked_at)
    assert gate.allows(10) == 0
    clock.now += 0.01
    confirm_closing(gate, outcome)
    gate.learn_open(asked_at)
    assert gate.pace is not None

    assert gate.pace.is_closed(clock.now)


def test_closing_that_the_database_was_never_told_of_ends_all_the_same(gate: Gate, clock: Clock) -> None:
    refused(gate, 20)
    clock.now += 19.9
    assert gate.allows(10) == 0
    clock.now += 1.0
    assert gate.allows(10) == 1


def test_refusal_that_another_worker_got_cuts_the_rate_once(gate: Gate, clock: Clock) -> None:
    assert gate.pace is not None
    gate.learn_closed(ClosedGate("openai", 1.0, "slow down", False))
    cut = gate.pace.rate
    assert cut < FIRST_RATE
    for _ in range(5):  # others that were under way are refused as well, and it is found closed again and again
        clock.now += 1.01
        gate.learn_closed(ClosedGate("openai", 1.0, "slow down", False))
    assert gate.pace.rate == cut
    clock.now += 1.01
    gate.learn_open(clock.now)

    gate.learn_closed(ClosedGate("openai", 1.0, "slow down", False))

    assert gate.pace.rate < cut


def test_own_refusal_that_is_found_in_the_database_cuts_no_second_time(gate: Gate, clock: Clock) -> None:
    assert gate.pace is not None
    confirm_closing(gate, refused(gate, 20))
    cut = gate.pace.rate
    clock.now += 0.1

    gate.learn_closed(ClosedGate("openai", 19.9, "slow down", False))

    assert gate.pace.rate == cut


@pytest.mark.parametrize(
    "found",
    [
        ClosedGate("openai", None, "Sunday", False),
        ClosedGate("*", 60.0, "all stop", False),
        ClosedGate("openai", 3.0, "502", True),
    ],
    ids=["until someone opens it", "every worker's", "an outage"],
)
def test_what_is_no_refusal_does_not_cut_the_rate(gate: Gate, clock: Clock, found: ClosedGate) -> None:
    assert gate.pace is not None
    for _ in range(3):
        gate.learn_closed(found)
        clock.now += 100

    assert gate.pace.rate == FIRST_RATE


def test_three_calls_in_a_row_without_an_answer_are_an_outage(gate: Gate) -> None:
    assert [closed_for(unanswered(gate)) for _ in range(2)] == [0, 0]

    outcome = unanswered(gate)

    assert outcome.closing is not None
    assert (outcome.closing.key, outcome.closing.half_open, outcome.closing.reason) == ("openai", True, "502")
    assert 0.9 <= closed_for(outcome) <= 1.1


def test_failures_of_a_slow_queue_are_an_outage_too(gate: Gate, clock: Clock) -> None:
    closings = []
    for _ in range(3):
        closings.append(closed_for(unanswered(gate)))
        clock.now += rules.FORGOTTEN * 0.7

    assert [closing > 0 for closing in closings] == [False, False, True]


@pytest.mark.parametrize("answer", [well, refused], ids=["success", "refusal"])
def test_calls_that_are_answered_in_between_are_no_outage(gate: Gate, answer: Callable[[Gate], object]) -> None:
    for _ in range(5):
        unanswered(gate)
        unanswered(gate)
        answer(gate)

    assert closed_for(unanswered(gate)) == 0


def test_failures_that_are_not_the_providers_are_no_outage(gate: Gate) -> None:
    unanswered(gate)
    unanswered(gate)
    gate.judge(Failed(HELD, "no such key", "KeyError"), TASK, time.monotonic())
    unanswered(gate)

    assert closed_for(unanswered(gate)) == 0


def test_calls_that_began_before_the_closing_do_not_close_it_again(gate: Gate, clock: Clock) -> None:
    began = clock.now
    clock.now += 1
    outcomes = [unanswered(gate, began=began) for _ in range(5)]
    assert [outcome.closing is not None for outcome in outcomes] == [False, False, True, False, False]
    clock.now += 2  # it is open again

    late = unanswered(gate, began=began)

    assert late.closing is None
    assert late.retry_after is not None  # it is spread like the others


def test_retries_of_an_outage_are_spread_and_the_more_the_more_were_used(gate: Gate) -> None:
    unanswered(gate)
    unanswered(gate)
    for retries in range(3):
        delays = []
        for _ in range(50):
            outcome = unanswered(gate, retries=retries)
            assert outcome.retry_after is not None
            delays.append(outcome.retry_after.total_seconds())
        widest = rules.SPREAD * (retries + 1)
        assert min(delays) >= widest / 2
        assert max(delays) <= widest + 1.1
        assert max(delays) - min(delays) > widest / 4


def test_provider_that_says_when_it_is_back_is_not_asked_earlier(gate: Gate) -> None:
    unanswered(gate)
    unanswered(gate)
    outcome = unanswered(gate, after=25)
    assert closed_for(outcome) == pytest.approx(25)
    clipped = unanswered(Gate("x"), after=500)
    assert clipped.retry_after == timedelta(seconds=500)


def _outage(gate: Gate, clock: Clock, seconds: float) -> list[float]:
    """The provider is away for so long and the only calls are those that are tried; how long the closings are."""
    closings, end = [], clock.now + seconds
    for _ in range(rules.OUTAGE):
        outcome = unanswered(gate)
    while clock.now < end:
        confirm_closing(gate, outcome)
        closings.append(closed_for(outcome))
        clock.now += closings[-1] + 0.01
        assert begin(gate) == 1
        assert begin(gate) == 0
        clock.now += 0.1
        outcome = unanswered(gate, began=clock.now - 0.1)
    return closings


def test_closings_grow_with_the_outage(gate: Gate, clock: Clock) -> None:
    closings = _outage(gate, clock, 600)

    assert closings[0] <= 1.1
    assert all(later >= earlier * 0.8 for earlier, later in pairwise(closings))
    assert 0.9 * rules.LONGEST_OUTAGE <= closings[-1] <= 1.1 * rules.LONGEST_OUTAGE
    assert len(closings) < 45


def test_provider_that_is_back_after_twenty_seconds_is_found_within_six(gate: Gate, clock: Clock) -> None:
    assert max(_outage(gate, clock, 20)) < 6


def test_success_of_the_one_that_was_tried_ends_the_outage(
    gate: Gate, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    _outage(gate, clock, 20)
    clock.now += 10
    assert begin(gate) == 1
    clock.now += 0.2

    well(gate, began=clock.now - 0.2)

    assert "the provider is back gate=openai" in caplog.text
    clock.now += 0.7
    assert begin(gate) == 1
    assert closed_for(unanswered(gate)) == 0  # that is one
    clock.now += 3
    assert begin(gate) >= 1


def test_stream_that_was_open_before_the_outage_does_not_end_it(gate: Gate, clock: Clock) -> None:
    began = clock.now
    clock.now += 1
    for _ in range(3):
        outcome = unanswered(gate)
    confirm_closing(gate, outcome)
    clock.now += 0.1

    well(gate, began=began)

    clock.now += 2
    assert begin(gate) == 1
    assert begin(gate) == 0
    assert closed_for(unanswered(gate)) > 0


def test_worker_that_was_only_told_of_the_outage_closes_at_the_first_failure_of_its_own(
    gate: Gate, clock: Clock
) -> None:
    gate.learn_closed(ClosedGate("openai", 2.0, "502", True))
    clock.now += 2.1
    assert begin(gate) == 1
    clock.now += 0.1

    assert closed_for(unanswered(gate, began=clock.now - 0.1)) > 0


def test_outage_is_forgotten_when_nothing_was_tried_for_long(gate: Gate, clock: Clock) -> None:
    _outage(gate, clock, 20)
    clock.now += 3600

    assert closed_for(unanswered(gate)) == 0


@pytest.mark.parametrize(
    "outcome",
    [Released(HELD), Overdue(HELD), Failed(HELD, "Task cancelled", CANCELLED, permanent=True)],
    ids=["released", "overdue", "cancelled"],
)
def test_when_the_one_that_is_tried_is_stopped_another_is_tried(
    gate: Gate, clock: Clock, outcome: Outcome
) -> None:
    _outage(gate, clock, 5)
    clock.now += 5
    assert begin(gate) == 1
    clock.now += 0.1

    assert gate.judge(outcome, TASK, clock.now) is outcome

    assert begin(gate) == 1
    assert begin(gate) == 0


def test_outage_is_seen_although_calls_from_before_it_still_end_well(gate: Gate, clock: Clock) -> None:
    began = clock.now
    closings = []
    for _ in range(5):
        clock.now += 0.1
        closings.append(closed_for(unanswered(gate)))
        well(gate, began=began)

    assert any(closings)


def test_few_failures_among_many_long_calls_that_end_well_are_no_outage(gate: Gate, clock: Clock) -> None:
    for second in range(300):
        clock.now += 1
        for _ in range(9):
            well(gate, began=clock.now - 30)
        if second % 5 == 0:
            assert closed_for(unanswered(gate, began=clock.now - 30)) == 0


def test_attempt_that_is_stopped_says_nothing_of_the_provider(gate: Gate) -> None:
    unanswered(gate)
    unanswered(gate)
    gate.judge(Released(HELD), TASK, time.monotonic())

    assert closed_for(unanswered(gate)) > 0


def test_reasons_are_logged_on_one_line(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    gate.learn_closed(ClosedGate("openai", 2.0, "slow\ndown " + "x" * 1000, False))
    failed = Failed(HELD, "502\n<html>", "ProviderUnavailable", is_outage=True)
    for _ in range(3):
        gate.judge(failed, TASK, time.monotonic())

    assert len(caplog.messages) == 2
    assert "slow down" in caplog.messages[0]
    assert all("\n" not in message and len(message) < 450 for message in caplog.messages)


def test_wait_ends_as_soon_as_the_provider_is_back() -> None:
    async def main() -> float:
        gate = Gate("openai")
        assert gate.pace is not None
        gate.learn_closed(ClosedGate("openai", 0.0, None, True))
        assert begin(gate) == 1
        began = time.monotonic()
        asyncio.get_running_loop().call_later(0.05, well, gate)
        await gate.wait(30)
        return time.monotonic() - began

    assert asyncio.run(main()) < PROBE_PATIENCE / 2


def test_wait_ends_as_soon_as_the_database_knows() -> None:
    async def main() -> float:
        gate = Gate("openai")
        outcome = refused(gate, 60)
        began = time.monotonic()
        asyncio.get_running_loop().call_later(0.05, confirm_closing, gate, outcome)
        await gate.wait(30)
        assert gate.allows(10) == 1
        return time.monotonic() - began

    assert asyncio.run(main()) < 5
