"""Random faults in a seeded sequence, and proof that the auditor detects violations."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow

from tests.faults.figures import FIGURES
from tests.faults.torture import TAKEOVERS, Report, Torture
from tests.support.cluster import Cluster

SHORT = 15
"""Faults in the short form, which takes half a minute."""

ROUND = 100
"""Faults in one round of the long form."""

FENCED = ("complete", "store", "fail", "revise", "snooze", "release", "end_cancelled_or_overdue")
"""The functions whose fencing is removed to test the auditor."""


def run(cluster: Cluster, folder: Path, faults: int, seed: int) -> Report:
    folder.mkdir()
    report = Torture(cluster, folder, seed).run(faults)
    print("\n".join(report.lines()))
    FIGURES.counted("faults of the torture", sum(report.faults.values()))
    FIGURES.counted("tasks of the torture", report.tasks)
    FIGURES.counted("violations that the auditor found", len(report.violations))
    FIGURES.took("tasks of a killed worker pending again, in the torture", *report.rescued_after)
    FIGURES.took("first completion after the database was back, in the torture", *report.recovered_after)
    return report


@pytest.fixture
def seed() -> int:
    """A new seed each time; FAULTS_SEED repeats one."""
    return int(os.environ.get("FAULTS_SEED") or int.from_bytes(os.urandom(3), "big"))


def test_nothing_is_lost_or_done_twice_under_random_faults(
    cluster: Cluster, tmp_path: Path, seed: int, minutes: float
) -> None:
    give_up = time.monotonic() + minutes * 60
    round_ = 0
    while round_ == 0 or time.monotonic() < give_up:
        report = run(cluster, tmp_path / str(round_), ROUND if minutes else SHORT, seed + round_)
        assert report.violations == [], f"replay with FAULTS_SEED={report.seed} make faults"
        round_ += 1


LIMITS = {
    "account_room": [("AND t.account_id = account.id", "AND false")],
    "left_out_accounts": [("a.max_running <= r.running", "false"), ("a.max_running = 0", "false")],
    "gate_state": [
        ("running := contentq.gate_running(gate.key)", "running := 0"),
        ("gate.opens_at > now_", "false"),
    ],
    "choose_by_priority": [("settings.claim_order = 'fair'", "false")],
    "claim": [("coalesce(claim.categories, worker.categories)", "NULL")],
}
"""Changes that make claims ignore caps, gates, shares and categories."""


def test_auditor_notices_when_the_fence_is_down_and_claims_are_blind(cluster: Cluster, tmp_path: Path) -> None:
    def take_down_the_fence(dsn: str) -> None:
        """Replaces fencing in copies of the functions: any caller may report a task that is processing."""
        with psycopg.connect(dsn, autocommit=True) as connection:
            for name in FENCED:
                fenced = definition(connection, name)
                open_ = fenced
                for fence in (f"AND t.attempt = {name}.attempt", "AND t.attempt = r.attempt"):
                    open_ = open_.replace(fence, "")
                open_ = open_.replace(f"AND t.worker_id = {name}.worker_id", "")
                assert open_ != fenced, name
                connection.execute(open_.encode())
            for name, changes in LIMITS.items():
                body = definition(connection, name)
                for old, new in changes:
                    assert old in body, (name, old)
                    body = body.replace(old, new)
                connection.execute(body.encode())
            connection.execute("UPDATE contentq.settings SET claim_order = 'fair'")

    report = Torture(cluster, tmp_path, 4, take_down_the_fence, TAKEOVERS).run(12)
    print("\n".join(report.lines()))
    for said in (
        "completed it during attempt",
        "account 4: a claim left",
        "gate provider: a claim left",
        "tasks were seen running, of",
        "was started while it was closed",
        "got a slot of priority",
        "which its worker does not claim",
    ):
        assert any(said in each for each in report.violations), (said, report.violations)


def definition(connection: psycopg.Connection[TupleRow], name: str) -> str:
    """The statement that creates a function of contentq."""
    row = connection.execute(
        "SELECT pg_get_functiondef(oid) FROM pg_proc "
        "WHERE proname = %s AND pronamespace = 'contentq'::regnamespace",
        [name],
    ).fetchone()
    assert row is not None, name
    return str(row[0])
