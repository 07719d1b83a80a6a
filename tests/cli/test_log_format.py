"""`--log-format json`: each log line is an object with the fields of the message."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from contentq.cli.logs import OneObject
from contentq.engine.tally import Counts

from tests.cli.conftest import Outcome, Run
from tests.support.queue import Queue

Said = Callable[..., dict[str, Any]]


@pytest.fixture
def said() -> Said:
    """The formatter's output for a message."""

    def format_one(message: str, *values: Any, logger: str = "contentq.worker", **more: Any) -> dict[str, Any]:
        record = logging.LogRecord(logger, logging.WARNING, __file__, 1, message, values, more.get("exc_info"))
        line = OneObject().format(record)
        assert "\n" not in line
        found: dict[str, Any] = json.loads(line)
        return found

    return format_one


def test_fields_of_a_message_are_members(said: Said) -> None:
    found = said("attempt failed task=%s attempt=%d status=%s error=%s", "a b", 2, "failed", "it broke: x=1")

    at = datetime.fromisoformat(found.pop("time"))
    assert at.utcoffset() == timedelta(0)
    assert found == {
        "level": "warning",
        "logger": "contentq.worker",
        "message": 'attempt failed task="a b" attempt=2 status=failed error=it broke: x=1',
        "task": "a b",
        "attempt": 2,
        "status": "failed",
        "error": "it broke: x=1",
    }


def test_numbers_have_the_digits_that_the_message_shows(said: Said) -> None:
    found = said("report held up for=%.0fs share=%g worker=%s key=%r: %s", 4.6, 0.25, 12, "k", "text")

    assert (found["for"], found["share"], found["worker"], found["key"]) == (5, 0.25, 12, "'k'")


def test_counts_are_members_of_their_own(said: Said) -> None:
    found = said("at work running=%d %s", 3, Counts(claimed=5, completed=2))

    assert (found["running"], found["claimed"], found["completed"], found["failed"]) == (3, 5, 2, 0)
    assert found["message"] == "at work running=3 claimed=5 completed=2"


def test_message_of_another_library_is_not_taken_apart(said: Said) -> None:
    found = said("at %s retries=%d", "host", 2, logger="httpx")

    assert found["message"] == "at host retries=2"
    assert "retries" not in found


def test_field_cannot_take_the_place_of_what_every_line_has(said: Said) -> None:
    assert said("odd level=%s", "forged")["level"] == "warning"


def test_traceback_is_a_member_and_what_cannot_be_seen_is_escaped() -> None:
    try:
        raise ValueError("one\ntwo \x1b[31m\u202e")
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "broke", (), (type(error), error, None))
    line = OneObject().format(record)

    assert not {"\x1b", "\u202e", "\n"} & set(line)
    assert json.loads(line)["traceback"].endswith("ValueError: one\ntwo \x1b[31m\u202e")


def test_worker_logs_objects(program: Run, queue: Queue) -> None:
    queue.add(task_id="one")
    queue.add(task_id="two", topic="\x1b[31m中文\n")

    outcome: Outcome = program("worker", "--until-empty", "--log-format", "json", "--log-level", "debug")

    assert outcome.code == 0
    *lines, summary = outcome.err.splitlines()
    assert summary.startswith("2 completed in ")
    registered = next(each for each in map(json.loads, lines) if each["message"].startswith("registered "))
    assert (registered["handler"], registered["slots"]) == ("template", 100)
    assert isinstance(registered["worker"], int)
