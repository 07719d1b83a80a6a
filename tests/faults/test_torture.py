"""Random faults in a seeded sequence, and the proof that the auditor would notice."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psycopg
import pytest

from tests.faults.figures import FIGURES
from tests.faults.torture import TAKEOVERS, Report, Torture
from tests.support.cluster import Cluster

SHORT = 15
"""Faults in the short form: some 15 seconds."""

ROUND = 100
"""Faults in one round of the long form."""

FENCED = ("complete", "store", "fail", "snooze", "release", "end_cancelled_or_overdue")
"""The functions whose fence is taken down to see whether the auditor notices."""


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
    """A new one each time; FAULTS_SEED replays one."""
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


def test_auditor_notices_when_the_fence_is_down(cluster: Cluster, tmp_path: Path) -> None:
    def take_down_the_fence(dsn: str) -> None:
        """In copies of the functions: whoever names a task that is processing may report it."""
        with psycopg.connect(dsn, autocommit=True) as connection:
            for name in FENCED:
                row = connection.execute(
                    "SELECT pg_get_functiondef(oid) FROM pg_proc "
                    "WHERE proname = %s AND pronamespace = 'contentq'::regnamespace",
                    [name],
                ).fetchone()
                assert row is not None
                fenced = str(row[0])
                open_ = fenced
                for fence in (f"AND t.attempt = {name}.attempt", "AND t.attempt = r.attempt"):
                    open_ = open_.replace(fence, "")
                open_ = open_.replace(f"AND t.worker_id = {name}.worker_id", "")
                assert open_ != fenced, name
                connection.execute(open_.encode())

    report = Torture(cluster, tmp_path, 4, take_down_the_fence, TAKEOVERS).run(12)
    print("\n".join(report.lines()))
    assert any("completed it during attempt" in each for each in report.violations), report.violations
