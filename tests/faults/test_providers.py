"""How gates handle providers that limit, refuse and fail: the share of the limit used, and of calls refused."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.figures import FIGURES
from tests.faults.provider_fleet import SCENARIOS, Findings, Fleet, Job, named, running
from tests.faults.two_providers import PAIRS
from tests.faults.two_providers import run as run_pair
from tests.support.cluster import Cluster
from tests.support.databases import Databases
from tests.support.programs import Programs

NEEDS_THE_MACHINE = True

AT_ONCE = 3
"""Concurrent scenarios: calls mostly wait, but the workers' programs must start."""


@dataclass(frozen=True)
class Target:
    """Bounds of a scenario.

    used: minimum share of the limit; overused: maximum. refused: maximum share of the calls. settled: maximum
    seconds. of_no_gate: minimum share of the call rate of the same fleet without a gate.
    """

    used: float = 0.0
    refused: float = 1.0
    settled: float | None = None
    of_no_gate: float | None = None
    overused: float | None = None


TARGETS = {
    "bucket": Target(0.95, 0.03),
    "bucket_of_one": Target(0.85, 0.05),
    "headers": Target(0.95, 0.03),
    "window_1s": Target(0.9, 0.05),
    "window_60s": Target(0.9, 0.05),
    "in_flight": Target(0.9, 0.05),
    "in_flight_named": Target(0.9, 0.05),
    "random_1": Target(refused=0.03, of_no_gate=0.9),
    "random_5": Target(refused=0.08, of_no_gate=0.9),
    "random_10": Target(refused=0.14, of_no_gate=0.9),
    "doubled": Target(settled=20),
    "halved": Target(settled=20),
    "tokens": Target(0.9, 0.05),
    "outage": Target(settled=10),
    "set_requests": Target(0.9, 0.0, overused=1.05),
    "set_tokens": Target(0.9, 0.05),
    "set_running": Target(0.9, 0.0),
}

SHORT = ("bucket", "window_1s", "random_10", "outage", "set_requests", "set_running")
"""The scenarios of the short form."""

REACHED = {
    # Calls arrive some milliseconds early or late and are refused: measured 0.76 to 0.85 and 2 to 4 %.
    "bucket_of_one": Target(0.65, 0.08),
    # The gate learns a rate of calls, not of tokens: 0.50 to 0.91, 0 to 3 %.
    "tokens": Target(0.5, 0.05),
}
"""Scenarios that miss their target. The target remains; these bounds prevent a regression."""

TOGETHER = "bucket+in_flight"
"""Two providers, each with its own gate, on one database at the same time."""

GATE, NO_GATE = Fleet(), Fleet(gate=False)


@dataclass(frozen=True)
class Runs:
    """Concurrent scenarios, and a repetition of single ones."""

    futures: dict[Job, Future[list[Findings]]]
    databases: Databases
    folders: pytest.TempPathFactory

    def first(self, names: str, having: Fleet) -> list[Findings]:
        """The results of the concurrent runs."""
        return self.futures[names, having].result()

    def alone(self, names: str) -> list[Findings]:
        """The results of a scenario that runs alone, after all others."""
        wait(self.futures.values())
        with running(self.databases, self.folders.mktemp("again"), [(names, GATE)], 1) as futures:
            return futures[names, GATE].result()


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, programs: Programs, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runs]:
    """Runs all scenarios that the selected tests of this module need, concurrently."""
    names: list[str] = [
        str(item.callspec.params["names"])
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.module is request.module
        and "names" in item.callspec.params
        and item.get_closest_marker("skip") is None
    ]
    jobs = [(each, GATE) for each in names]
    jobs += [(each, NO_GATE) for each in names if each in TARGETS and TARGETS[each].of_no_gate is not None]
    with (
        Cluster(programs.folder, tcp=True) as cluster,
        closing(Databases(cluster.dsn(host="127.0.0.1"))) as databases,
        running(databases, tmp_path_factory.mktemp("fleets"), jobs, AT_ONCE) as made,
    ):
        yield Runs(made, databases, tmp_path_factory)


@pytest.mark.parametrize(
    "names",
    [pytest.param(each, marks=[pytest.mark.long] * (each not in SHORT)) for each in (*SCENARIOS, TOGETHER)],
)
def test_fleet_uses_what_its_provider_allows_and_is_seldom_refused(names: str, runs: Runs) -> None:
    found = runs.first(names, GATE)
    check_counts(names, found)
    lines = missed(names, found, runs)
    if lines:
        # A stalled machine delays or bunches calls, which only makes figures worse. If the gate itself misses a
        # target, it misses it again.
        found = runs.alone(names)
        check_counts(names, found)
        lines = missed(names, found, runs)
    assert not lines, lines


def missed(names: str, findings: list[Findings], runs: Runs) -> list[str]:
    """The missed targets, as figures for the report."""
    lines = []
    for scenario, found in zip(named(names), findings, strict=True):
        FIGURES.found(f"provider {scenario.name}", found.line())
        target = REACHED.get(scenario.name, TARGETS[scenario.name])
        is_missed = found.refused > target.refused
        if found.used is not None:
            is_missed |= not target.used <= found.used <= (target.overused or found.used)
        if target.settled is not None:
            is_missed |= found.settled is None or found.settled > target.settled
        if target.of_no_gate is not None:
            [without] = runs.first(names, NO_GATE)
            FIGURES.found(f"provider {scenario.name} without a gate", without.line())
            is_missed |= found.calls < target.of_no_gate * without.calls
        if is_missed:
            lines.append(f"{scenario.name}: {found.line()} for {target}")
            FIGURES.found("missed", lines[-1])
    return lines


def check_counts(names: str, findings: list[Findings]) -> None:
    """Conditions that noise cannot change. Raises AssertionError."""
    for found in findings:
        # A refusal charges no task. An outage charges the tasks that it hits and those that probe.
        assert found.charged <= found.held + found.probe_calls, found
        assert found.probes <= 1, found
        if names != TOGETHER:
            # A worker that waits for a turn claims when it is due, once more if another was first, and not all
            # the time.
            assert found.claims <= 2 * GATE.workers * found.calls + GATE.workers, found
            # Costs are counted once, although later attempts made many of the calls.
            assert round(found.cost, 6) == round(found.results_cost, 6) > 0, found


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=[pytest.mark.long] * (each != "set")) for each in PAIRS]
)
def test_fleet_uses_what_both_providers_allow_and_counts_each_model(
    name: str, programs: Programs, tmp_path: Path
) -> None:
    with (
        Cluster(programs.folder, settings={"track_functions": "pl"}, tcp=True) as cluster,
        closing(Databases(cluster.dsn(host="127.0.0.1"))) as databases,
        databases.migrated() as dsn,
    ):
        found = run_pair(dsn, tmp_path, PAIRS[name], GATE)

    FIGURES.found(f"two providers {name}", found.line())
    assert found.used >= 0.85, found
    assert found.refused <= 0.1, found
    # Charged: tasks running when the outage started, and probes.
    assert found.charged <= (GATE.workers * GATE.slots + 20 if PAIRS[name].killed else 0), found
    assert found.claims <= 2 * GATE.workers * found.calls + GATE.workers, found
    usage, results = found.models
    assert usage == results, "what was paid for is of the model that has written it"
    assert round(found.cost, 6) == round(found.results_cost, 6) > 0, found
