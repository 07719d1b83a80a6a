"""Findings of doctor() in a test."""

from __future__ import annotations

from typing import Any

from contentq.finding import SEVERITIES

from tests.support.findings import IN_SQL, OF_A_TEST_SERVER
from tests.support.queue import Queue, Row


def findings(queue: Queue, patience: str = "10 minutes") -> list[Row]:
    """All findings, without those of every test server."""
    found = queue.rows("SELECT * FROM contentq.doctor(%s)", patience)
    for each in found:
        assert None not in each.values(), each
        assert each["severity"] in SEVERITIES
        assert each["finding"] in IN_SQL
    return [each for each in found if each["subject"] not in OF_A_TEST_SERVER]


def found(queue: Queue, patience: str = "10 minutes") -> list[tuple[str, str, str]]:
    """The same, without the explanations."""
    return [(each["severity"], each["finding"], each["subject"]) for each in findings(queue, patience)]


def only(queue: Queue, patience: str = "10 minutes") -> Row:
    """The only finding."""
    (one,) = findings(queue, patience)
    return one


def fix(queue: Queue, finding: Row) -> None:
    """Runs the remedy."""
    queue.run(str(finding["fix"]))


def long_ago(queue: Queue, minutes: int = 5) -> Any:
    return queue.value("SELECT clock_timestamp() - %s * interval '1 minute'", minutes)
