"""contentq submit with options: one task."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.cli.conftest import Run
from tests.support.queue import Queue, Row


def _only_task(queue: Queue) -> Row:
    rows = queue.rows("SELECT * FROM content_generation_tasks")
    assert len(rows) == 1
    return rows[0]


def test_task_id_is_printed(contentq: Run, queue: Queue, account: str) -> None:
    outcome = contentq("submit", "--account", account, "--topic", "Tea")

    row = _only_task(queue)
    assert (outcome.code, outcome.out, outcome.err) == (0, f"{row['task_id']}\n", "")
    assert (row["status"], row["priority"], row["max_retries"], row["auto_approve"]) == ("pending", 5, 3, True)


def test_json_has_the_task_id(contentq: Run, queue: Queue, account: str) -> None:
    printed = contentq("submit", "--account", account, "--topic", "Tea", "--json").json

    assert printed == {"task_id": _only_task(queue)["task_id"]}


def test_every_option_sets_its_column(contentq: Run, queue: Queue, account: str) -> None:
    given = {
        "--topic": "It's 100 % {true}\n\\N",
        "--keywords": "a, b",
        "--category": "blog",
        "--requirements": "短く",
        "--tone": "dry",
        "--priority": "9",
        "--max-retries": "0",
        "--timeout-at": "2130-01-01T00:00:00+02:00",
        "--schedule-at": "2129-01-01 10:00",
        "--task-id": "post-7",
    }

    options = [text for pair in given.items() for text in pair]
    outcome = contentq("submit", "--account", account, "--no-auto-approve", *options)

    assert outcome.out == "post-7\n"
    row = _only_task(queue)
    assert {name: str(row[name]) for name in ("topic", "keywords", "category", "requirements", "tone")} == {
        "topic": given["--topic"],
        "keywords": "a, b",
        "category": "blog",
        "requirements": "短く",
        "tone": "dry",
    }
    assert (row["priority"], row["max_retries"], row["auto_approve"]) == (9, 0, False)
    assert queue.value("SELECT timeout_at = '2129-12-31T22:00:00Z' FROM content_generation_tasks")
    assert queue.value("SELECT scheduled_at = '2129-01-01T10:00:00Z' FROM content_generation_tasks")


def test_durations_count_from_the_databases_now(contentq: Run, queue: Queue, account: str) -> None:
    contentq("submit", "--account", account, "--topic", "Tea", "--timeout", "1h30m", "--delay", "10m")

    row = _only_task(queue)
    second = timedelta(seconds=1)
    assert timedelta(0) <= row["timeout_at"] - row["created_at"] - timedelta(minutes=90) < second
    assert timedelta(0) <= row["scheduled_at"] - row["created_at"] - timedelta(minutes=10) < second


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--account", "999"], "there is no account 999; add one with: INSERT INTO accounts"),
        (["--account", "0"], "there is no account 0; ids are from 1"),
        (["--account", "9" * 5000], "ids are from 1"),
        (["--priority", "11"], "priority is '11'; it must be a whole number from 1 to 10"),
        (["--priority", "high"], "priority is 'high'; it must be a whole number from 1 to 10"),
        (["--max-retries", "-1"], "max_retries is '-1'; it must be a whole number of 0 or more"),
        (["--topic", "x" * 501], "topic has 501 characters; at most 500 fit"),
        (["--tone", "x" * 51], "tone has 51 characters; at most 50 fit"),
        (["--timeout-at", "soon"], "timeout_at is 'soon'; it must be a time such as 2030-01-31T12:00:00+00:00"),
        (["--timeout-at", "2020-01-01T00:00:00Z"], "timeout_at is 2020-01-01 00:00:00+00, which is in the past"),
        (["--timeout-at", ""], "timeout_at is ''; it must be a time"),
        (["--topic", ""], "topic is empty; describe the subject"),
        (["--task-id", ""], "task_id is empty; omit it to get a generated one"),
        (["--timeout", "5m", "--delay", "10m"], "it could never run"),
    ],
)
def test_value_that_is_refused_is_explained(
    contentq: Run, queue: Queue, account: str, arguments: list[str], message: str
) -> None:
    outcome = contentq("submit", "--account", account, "--topic", "Tea", *arguments)

    assert outcome.code == 5
    assert message in outcome.error
    assert not outcome.error.startswith("line")
    assert queue.value("SELECT count(*) FROM content_generation_tasks") == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--account", "1", "--timeout", "5m", "--timeout-at", "2130-01-01"],
        ["--account", "1", "--delay", "5m", "--schedule-at", "2130-01-01"],
        ["--account", "1", "--timeout", "5"],
        ["--account", "1", "--timeout", "9999999999d"],
    ],
)
def test_options_that_make_no_sense_are_wrong_usage(contentq: Run, arguments: list[str]) -> None:
    assert contentq("submit", "--topic", "Tea", *arguments).code == 2


@pytest.mark.parametrize("others", [[], ["--tone", "dry"], ["--priority", "9"], ["--no-auto-approve"]])
def test_empty_task_is_wrong_usage(contentq: Run, queue: Queue, account: str, others: list[str]) -> None:
    outcome = contentq("submit", "--account", account, *others)

    assert outcome.code == 2
    assert "no task given: describe one, for example with --topic, or name a FILE of tasks" in outcome.err
    assert queue.value("SELECT count(*) FROM content_generation_tasks") == 0


@pytest.mark.parametrize("option", ["--keywords", "--category", "--requirements", "--task-id"])
def test_task_can_be_about_something_else_than_a_topic(contentq: Run, account: str, option: str) -> None:
    assert contentq("submit", "--account", account, option, "tea").code == 0


def test_task_id_that_exists_is_left_as_it_is(contentq: Run, queue: Queue, account: str) -> None:
    contentq("submit", "--account", account, "--task-id", "post-7", "--topic", "first")

    outcome = contentq("submit", "--account", account, "--task-id", "post-7", "--topic", "second")

    assert outcome.code == 1
    assert outcome.error == "task post-7 already exists; it was not changed"
    assert _only_task(queue)["topic"] == "first"


def test_rule_of_this_database_on_top_is_told(contentq: Run, queue: Queue, account: str) -> None:
    queue.run("ALTER TABLE content_generation_tasks ADD CONSTRAINT tone_known CHECK (tone IN ('dry', 'warm'))")

    outcome = contentq("submit", "--account", account, "--topic", "Tea", "--tone", "loud")

    assert outcome.code == 5
    assert 'violates check constraint "tone_known"' in outcome.error
