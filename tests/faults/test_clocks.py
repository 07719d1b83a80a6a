"""A worker whose clock is wrong changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.scene import Scene


def fake_clock() -> str:
    """The library that fakes the time of a program. Skips the test if it is not installed."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        pytest.skip("libfaketime is not installed (Debian: apt-get install faketime)")
    return str(found[0])


@pytest.mark.parametrize("offset", [3600, -3600])
def test_worker_whose_clock_is_an_hour_off_changes_nothing(scene: Scene, offset: int) -> None:
    lie = {"LD_PRELOAD": fake_clock(), "FAKETIME": f"{offset:+}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    scene.start("--concurrency", "10", environment=lie)
    soon = scene.queue.value("SELECT now() + interval '2 seconds'")
    (normal,) = scene.insert(plan={"sleep": 0.1})
    (overdue,) = scene.insert(plan={"sleep": 30}, timeout_at=soon)
    (retried,) = scene.insert(plan={"fail": 1})
    (later,) = scene.insert(scheduled_at=soon)

    scene.wait_until_all_have_ended()

    row = {id_: scene.queue.row(id_) for id_ in (normal, overdue, retried, later)}
    assert [row[id_]["status"] for id_ in row] == ["completed", "timeout", "completed", "completed"]
    assert abs((row[normal]["started_at"] - row[normal]["submitted_at"]).total_seconds()) < 2
    assert abs((row[overdue]["updated_at"] - soon).total_seconds()) <= 1
    assert 0 <= (row[later]["started_at"] - soon).total_seconds() < 2
    silence = "SELECT extract(epoch FROM clock_timestamp() - heartbeat_at)::float8 FROM contentq.workers"
    assert 0 <= scene.queue.value(silence) < 5
    assert scene.audit() == []
    # The journal uses the worker's own clock, and shows that it was wrong.
    (started,) = (event["at"] for event in scene.events("start") if event["id"] == normal)
    assert abs(started - row[normal]["started_at"].timestamp() - offset) < 60
