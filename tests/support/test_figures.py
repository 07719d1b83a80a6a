"""The figures of a fault run in several processes are added up."""

from __future__ import annotations

from tests.faults.figures import Figures


def test_figures_of_another_process_are_added() -> None:
    own, other = Figures(), Figures()
    own.took("a restart", 1.0)
    own.counted("faults", 2)
    other.took("a restart", 3.0, 5.0)
    other.counted("faults", 4)
    other.found("provider", "used=1")

    own.add(other.as_sent())

    assert own.lines() == ["faults: 6", "a restart: median 3.0 s, worst 5.0 s, 3 times", "provider: used=1"]
