"""contentq gates: limits that operators set at the gates of providers."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Run
from tests.support.queue import Queue

KEY = "api.example"


def test_what_is_set_holds_for_the_next_claim_and_is_shown(contentq: Run, queue: Queue) -> None:
    worker = queue.register(gate=KEY)
    for _ in range(5):
        queue.add()

    ran = contentq("gates", "set", KEY, "--max-running", "2")

    said = f"gate {KEY}: requests_per_minute none, tokens_per_minute none, max_running 2\n"
    assert (ran.code, ran.out, ran.err) == (0, said, "")
    assert len(queue.claim(worker, 5)) == 2
    (gate,) = json.loads(contentq("gates", "list", "--json").out)
    assert (gate["key"], gate["state"], gate["running"], gate["max_running"]) == (KEY, "waits", 2, 2)


def test_what_is_not_given_stays_as_it_is(contentq: Run, queue: Queue) -> None:
    contentq("gates", "set", KEY, "--max-running", "2", "--tokens-per-minute", "500")

    assert json.loads(contentq("gates", "set", KEY, "--max-running", "none", "--json").out) == {
        "gate": KEY,
        "requests_per_minute": None,
        "tokens_per_minute": 500,
        "max_running": None,
    }


def test_what_was_set_is_taken_away(contentq: Run, queue: Queue) -> None:
    worker = queue.register(gate=KEY)
    for _ in range(3):
        queue.add()
    contentq("gates", "set", KEY, "--max-running", "1")
    assert len(queue.claim(worker, 5)) == 1

    assert contentq("gates", "unset", KEY).code == 0

    assert len(queue.claim(worker, 5)) == 2


@pytest.mark.usefixtures("queue")
def test_without_gates_it_says_so(contentq: Run) -> None:
    assert contentq("gates", "list").out.startswith("no gates")


@pytest.mark.usefixtures("queue")
@pytest.mark.parametrize("value", ["-1", "many", "1.5"])
def test_value_that_is_no_limit_is_refused(contentq: Run, value: str) -> None:
    ran = contentq("gates", "set", KEY, "--max-running", value)

    assert ran.code == 2
    assert f"{value!r} is neither a whole number from 1 to 2147483647 nor none" in ran.err
