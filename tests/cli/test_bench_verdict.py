"""What contentq bench says of its figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from contentq.bench.drain import Drained
from contentq.bench.figures import Figures, Limit, Server
from contentq.bench.verdict import spoken, spoken_ms, verdict

SERVER = Server("18.1", fsync="on", synchronous_commit="on", standbys="", is_direct=True)
DRAINED = Drained(completed=20_000, seconds=2.0, calls=200, computing=0.3)
FIGURES = Figures(SERVER, 0.1, 0.5, [1.0] * 98 + [4.0, 90.0], 20_000, DRAINED)


def _said(figures: Figures) -> str:
    return " ".join(verdict(figures)).replace("\u00a0", " ")


def test_rate_is_told_by_second_and_day_and_in_handlers() -> None:
    said = _said(FIGURES)

    assert "works off 10,000 tasks a second on this database: 860 million a day at full speed" in said
    assert "At 30 s a task, the queue keeps up with 300,000 handlers at once" in said
    assert "starts a task 1 ms after the INSERT began, 99 of 100 within 4 ms" in said
    assert "Two commits are in that, 0.5 ms each" in said


@pytest.mark.parametrize(
    ("round_trip", "commit", "computing", "limit", "words"),
    [
        (
            15.0,
            15.5,
            0.3,
            Limit.NETWORK,
            "the way to the database: a round trip takes 15 ms, and 100% of the time",
        ),
        (6.0, 6.5, 0.9, Limit.NETWORK, "the way to the database: a round trip takes 6 ms, and 60% of the time"),
        (0.1, 8.1, 0.3, Limit.DISK, "the disk: a commit takes 8.1 ms, and 80% of the time went into them"),
        (0.1, 0.5, 0.8, Limit.WORKER, "the worker's own process, which computed for 80% of the time"),
        (0.1, 0.5, 0.3, Limit.SERVER, "the processor of the database server"),
        (0.1, 0.05, 0.3, Limit.SERVER, "the processor of the database server"),
    ],
)
def test_what_takes_most_of_the_time_is_what_limits(
    round_trip: float, commit: float, computing: float, limit: Limit, words: str
) -> None:
    figures = replace(FIGURES, round_trip=round_trip, commit=commit, drained=replace(DRAINED, computing=computing))

    assert figures.limit is limit
    assert f"What limits is {words}" in _said(figures)


def test_standby_that_confirms_commits_is_named_beside_the_disk() -> None:
    said = _said(replace(FIGURES, commit=8.0, server=replace(SERVER, standbys="b")))

    assert "What limits is the disk, or the standby that confirms commits: " in said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"fsync": "off"}, "These figures mean little: fsync is off, "),
        ({"fsync": "off", "synchronous_commit": "off"}, "These figures mean little: fsync is off, "),
        ({"synchronous_commit": "off"}, "These figures mean little: synchronous_commit is off, "),
        ({"synchronous_commit": "local"}, "One worker works off "),
    ],
)
def test_database_that_may_forget_what_it_has_confirmed_is_told_first(settings: dict[str, Any], said: str) -> None:
    assert verdict(replace(FIGURES, server=replace(SERVER, **settings)))[0].startswith(said)


def test_drain_that_was_cut_or_short_is_told() -> None:
    cut = replace(FIGURES, drained=replace(DRAINED, completed=19_999))
    short = replace(FIGURES, drained=replace(DRAINED, seconds=0.5))

    assert "The drain was stopped when its time was over (--seconds)." in _said(cut)
    assert "The drain was short: more --tasks give a steadier figure." in _said(short)
    assert "drain was" not in _said(FIGURES)


def test_few_samples_have_no_percentile() -> None:
    assert "all 3 within 7 ms" in _said(replace(FIGURES, latencies=[1.0, 7.0, 2.0]))


@pytest.mark.parametrize(
    ("number", "said"),
    [(0.123, "0.12"), (9.96, "10"), (15, "15"), (9_812, "9,800"), (999_999, "1,000,000"), (1.25e9, "1.2 billion")],
)
def test_numbers_are_said_with_two_digits_that_count(number: float, said: str) -> None:
    assert spoken(number) == said
    assert spoken_ms(0.349) == "0.35\u00a0ms"
