"""The verdict of contentq bench on its figures."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from contentq.bench.commits import Timings
from contentq.bench.drain import Drained
from contentq.bench.figures import Figures, Limit, Server
from contentq.bench.verdict import SIZING, spoken, spoken_ms, verdict

from tests.docs.markdown import ROOT

SERVER = Server(
    "db", 5432, "queue", "app", "18.1", fsync="on", synchronous_commit="on", standbys="", is_direct=True
)
DRAINED = Drained(completed=20_000, seconds=2.0, claims=200, reports=150, computing=0.3)
FIGURES = Figures(SERVER, Timings(0.1, 0.5, 0.8), [3.0] * 98 + [4.0, 90.0], 20_000, DRAINED)


def _said(figures: Figures) -> str:
    return " ".join(verdict(figures)).replace("\u00a0", " ")


def test_rate_is_told_with_what_is_not_in_it() -> None:
    said = _said(FIGURES)

    assert "completes 10,000 tasks a second on this database if they are already in the table and their" in said
    assert "Inserting the tasks and storing content are not included, and cost the server more" in said
    assert "600 handlers at once that take 30 s each need 20 tasks a second" in said
    assert "a day" not in said


def test_rest_of_a_start_is_told_beside_its_two_commits() -> None:
    said = _said(FIGURES)

    assert "starts a task 3 ms after the INSERT began, 99 of 100 within 4 ms" in said
    assert "This includes two commits, of the INSERT and of the claim; each takes 0.8 ms after a pause" in said
    assert ". The other 1.4 ms are the rest of the INSERT and of the claim, the notification, and the" in said


def test_section_that_the_verdict_points_to_exists() -> None:
    document, _, anchor = SIZING.partition("#")
    headings = re.findall("^## (.+)$", (ROOT / document).read_text(encoding="utf-8"), re.MULTILINE)

    assert anchor in [heading.lower().replace(" ", "-") for heading in headings]


@pytest.mark.parametrize(
    ("round_trip", "commit", "computing", "limit", "words"),
    [
        (9.0, 9.5, 0.3, Limit.NETWORK, "The limit is the network to the database: a round trip takes 9 ms."),
        (6.0, 6.5, 0.9, Limit.WORKER, "The limit is the worker's own process."),
        (0.1, 8.1, 0.3, Limit.DISK, "The limit is the disk: a commit takes 8.1 ms."),
        (0.1, 0.5, 0.8, Limit.WORKER, "The limit is the worker's own process."),
        (0.1, 0.5, 0.3, Limit.SERVER, "The limit is the processor of the database server: "),
        (0.1, 0.05, 0.3, Limit.SERVER, "The limit is the processor of the database server: "),
        (0.02, 3.8, 0.3, Limit.SEVERAL, "There is no single limit. A round trip takes 0.02 ms, a commit 3.8 ms."),
        (4.0, 4.2, 0.3, Limit.SEVERAL, "There is no single limit. A round trip takes 4 ms, a commit 4.2 ms."),
        (0.1, 0.5, 0.55, Limit.SEVERAL, "There is no single limit. A round trip takes 0.1 ms, a commit 0.5 ms."),
    ],
)
def test_only_what_takes_clearly_more_than_half_of_the_time_is_what_limits(
    round_trip: float, commit: float, computing: float, limit: Limit, words: str
) -> None:
    timings = Timings(round_trip, commit, commit)
    figures = replace(FIGURES, timings=timings, drained=replace(DRAINED, computing=computing))

    assert figures.limit is limit
    assert words in _said(figures)


def test_shares_of_the_busier_connection_are_told_and_not_their_sum_with_the_other() -> None:
    said = _said(replace(FIGURES, timings=Timings(2.0, 3.0, 3.0)))

    assert (
        "Of the drain's time, at most 20% went into waiting for the network and at most 10% into waiting for the "
        "disk; for 30% of it the worker's process computed."
    ) in said


def test_standby_that_confirms_commits_is_named_beside_the_disk() -> None:
    said = _said(replace(FIGURES, timings=Timings(0.1, 8.0, 8.0), server=replace(SERVER, standbys="b")))

    assert "The limit is the disk, or the standby that confirms commits: " in said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"fsync": "off"}, "These figures mean little: fsync is off, "),
        ({"fsync": "off", "synchronous_commit": "off"}, "These figures mean little: fsync is off, "),
        ({"synchronous_commit": "off"}, "These figures mean little: synchronous_commit is off, "),
        ({"synchronous_commit": "local"}, "One worker completes "),
    ],
)
def test_database_that_may_forget_what_it_has_confirmed_is_told_first(settings: dict[str, Any], said: str) -> None:
    assert verdict(replace(FIGURES, server=replace(SERVER, **settings)))[0].startswith(said)


def test_drain_that_was_cut_or_short_is_told() -> None:
    cut = replace(FIGURES, drained=replace(DRAINED, completed=19_999))
    short = replace(FIGURES, drained=replace(DRAINED, seconds=0.5))

    assert "The drain was stopped at its time limit (--seconds)." in _said(cut)
    assert "The drain was short; --tasks 100000 gives a steadier figure." in _said(short)
    assert "drain was" not in _said(FIGURES)


def test_nothing_is_concluded_from_next_to_nothing() -> None:
    tiny = replace(FIGURES, latencies=[1.0], tasks=10, drained=replace(DRAINED, completed=10, seconds=0.019))

    assert _said(tiny) == (
        "The drain took 19 ms, too little for a verdict on rate and limit. Without --tasks it takes some seconds. "
        "Only one start was timed, too few for a verdict: --samples 100 takes a few seconds."
    )
    assert tiny.limit is None
    assert "Only 9 starts were timed, too few" in _said(replace(FIGURES, latencies=[1.0] * 9))


def test_few_samples_have_no_percentile() -> None:
    assert "all 12 within 7 ms" in _said(replace(FIGURES, latencies=[1.0, 7.0, 2.0] * 4))


@pytest.mark.parametrize(
    ("number", "said"),
    [(0.123, "0.12"), (9.96, "10"), (15, "15"), (9_812, "9,800"), (999_999, "1,000,000")],
)
def test_numbers_are_said_with_two_digits_that_count(number: float, said: str) -> None:
    assert spoken(number) == said
    assert spoken_ms(0.349) == "0.35\u00a0ms"
