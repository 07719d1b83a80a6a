"""Progress of long operations, and their interruption."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contentq.cli.progress_bar import run_steps


def test_interruption_says_how_far_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    def steps() -> Iterator[int]:
        yield 2
        yield 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_steps("cancel", lambda: 5, steps(), lambda number: f"{number} tasks cancelled")

    assert capsys.readouterr().err == "3 tasks cancelled, so far\n"


def test_interruption_before_the_first_step_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def steps() -> Iterator[int]:
        yield 0
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_steps("cancel", lambda: 5, steps(), str)

    assert capsys.readouterr().err == ""
