"""What a provider's refusals and outages do to a fleet that has a gate."""

from __future__ import annotations

from pathlib import Path

from tests.faults.fleet import WorkerProcess
from tests.faults.provider_fleet import Plan, run


def test_fleet_uses_the_allowed_rate_and_is_back_soon_after_an_outage(
    dsn: str, tmp_path: Path, workers: list[WorkerProcess]
) -> None:
    plan = Plan()

    found = run(dsn, tmp_path, workers, plan)

    assert found.statuses == {"completed": plan.tasks}, found
    assert found.charged_for_refusals == 0, found
    assert found.used >= 0.9, found
    assert found.refused < 0.1, found
    assert found.back_after is not None, found
    assert found.back_after <= 10, found
    # What was paid for is counted once, although nearly every call was made by another attempt than the first.
    assert round(found.cost, 6) == round(found.results_cost, 6) > 0, found
