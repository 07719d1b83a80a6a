"""Every command and the worker on a database with unusual DateStyle, IntervalStyle and time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.conftest import Run
from tests.support.queue import Queue

STYLES = [("German, DMY", "sql_standard"), ("SQL, DMY", "postgres_verbose"), ("Postgres, MDY", "iso_8601")]


@pytest.fixture(params=STYLES, ids=lambda styles: str(styles[0]))
def styled(request: pytest.FixtureRequest, queue: Queue) -> Queue:
    """The queue in a database with these styles; this connection keeps the defaults."""
    dates, intervals = request.param
    database = queue.value("SELECT current_database()")
    for name, value in (("DateStyle", dates), ("IntervalStyle", intervals), ("TimeZone", "Asia/Kolkata")):
        queue.run(f"ALTER DATABASE \"{database}\" SET {name} = '{value}'")
    return queue


def test_times_are_read_and_written_as_ever(contentq: Run, styled: Queue, account: str) -> None:
    options = ("--task-id", "a", "--timeout-at", "2130-02-01T12:00:00+00:00", "--delay", "2h")
    assert contentq("submit", "--account", account, "--topic", "Tea", *options).code == 0
    styled.add(
        task_id="far", scheduled_at="infinity", timeout_at="-infinity", completed_at="20000-01-01 00:00 UTC"
    )

    first, listed = contentq("list", "--json").json

    assert first["scheduled_at"] == "infinity"
    assert first["timeout_at"] == "-infinity"
    assert first["completed_at"] == "20000-01-01 00:00:00+00"
    assert datetime.fromisoformat(listed["timeout_at"]) == datetime(2130, 2, 1, 12, tzinfo=UTC)
    submitted, scheduled = (datetime.fromisoformat(listed[name]) for name in ("submitted_at", "scheduled_at"))
    assert timedelta(hours=2) <= scheduled - submitted < timedelta(hours=2, minutes=1)
    assert (contentq("list").code, contentq("show", "far").code) == (0, 0)
    assert "timeout_at           2130-02-01 " in contentq("show", "a").out
    assert contentq("show", "a", "--json").json["timeout_at"].startswith("2130-02-01T")


def test_pauses_last_as_long_as_was_said(contentq: Run, styled: Queue, account: str) -> None:
    for subject in (["--account", account], ["--gate", "api.example"], ["--all"]):
        found = contentq("pause", *subject, "--for", "10m", "--json").json

        left = datetime.fromisoformat(found["paused_until"]) - datetime.now(UTC)
        assert timedelta(minutes=9) < left <= timedelta(minutes=10)
        assert contentq("pause", *subject).code == 0
        assert contentq("resume", *subject).code == 0
    assert styled.value("SELECT count(*) FROM contentq.gates WHERE opens_at > clock_timestamp()") == 0


def test_views_and_operations_work(contentq: Run, styled: Queue) -> None:
    styled.add(task_id="late", timeout_at="2020-01-01 00:00 UTC")
    worker = styled.register()
    styled.add(task_id="old", status="completed", started_at="2020-01-01 UTC", completed_at="2020-01-02 UTC")

    assert contentq("stats").code == 0
    assert contentq("stats", "--json").json["worker_status"][0]["id"] == worker
    assert contentq("maintain").out == "1 timed out, 0 rescued\n"
    assert contentq("requeue", "late").out == "late is pending again\n"
    assert contentq("explain", "late").code == 0
    assert contentq("cleanup", "--older-than", "30d").out == "1 completed task deleted\n"
    assert contentq("cancel", "late").out == "late is cancelled\n"


def test_worker_runs_tasks_with_deadlines_and_retries(program: Run, styled: Queue) -> None:
    styled.add(task_id="a", timeout_at="2130-01-01 UTC", topic="Tea")

    assert program("worker", "--until-empty").code == 0
    assert program("show", "a", "--follow").code == 0
    assert styled.value("SELECT status FROM content_generation_tasks WHERE task_id = 'a'") == "completed"
