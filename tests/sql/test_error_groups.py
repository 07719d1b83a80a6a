"""error_group() and error_groups: kinds of task failures."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.security.test_parsers import LONGEST, TEXTS
from tests.support.plans import scans
from tests.support.queue import Queue

KINDS = {
    "answered 429: retry in 2.468s": "answered #: retry in #",
    "answered 503: retry in 2,468s": "answered #: retry in #",
    "task-1f0c9a2b0e": "task-#",
    "no task 123e4567-abcd-abcd-abcd-abcdefabcdef here": "no task # here",
    "in org-AbC123 at 0x7fff12, sha 5e884898da28": "in org-# at #, sha #",
    "at 2030-01-31T12:00:00+00:00, page 7/12": "at #+#, page #",
    "model 'gpt-4o' is unknown": "model <text> is unknown",
    'KeyError: "title"': "KeyError: <text>",
    "it can't be reached, and doesn't answer": "it can't be reached, and doesn't answer",
    "run `make 2`": "run <text>",
    "《红楼梦》 “foo” 「bar」 『x』 «y» ‘z’ 已存在": "<text> <text> <text> <text> <text> <text> 已存在",
    'one "is open': 'one "is open',
    "first line\n  second\tline": "first line second line",
    "  trimmed  ": "trimmed",
    "": "",
    "７ 个": "７ 个",
    "deadbeef": "deadbeef",
    "a" * 1000: "a" * 200,
}
"""Messages and their kinds."""

QUOTED: tuple[Callable[[int], str], ...] = (
    lambda n: "'" * n,
    lambda n: "'a" * (n // 2),
    lambda n: " 'a" * (n // 3) + "b",
    lambda n: "\u201c" * n,
    lambda n: "\u300a\u300b" * (n // 2),
    lambda n: "\"`'" * (n // 3),
    lambda n: "0123abcd-" * (n // 9),
    lambda n: "a_" * (n // 2) + "1",
    lambda n: "1." * (n // 2),
)
"""Texts to parse, of this length."""


@pytest.mark.parametrize("message", KINDS)
def test_numbers_ids_and_quoted_text_are_taken_out(queue: Queue, message: str) -> None:
    assert queue.value("SELECT contentq.error_group(%s)", message) == KINDS[message]


def test_no_message_is_of_no_kind(queue: Queue) -> None:
    assert queue.value("SELECT contentq.error_group(NULL)") is None


def test_kind_of_a_kind_is_the_same(queue: Queue) -> None:
    """The output of contentq errors is valid for --error."""
    for kind in KINDS.values():
        assert queue.value("SELECT contentq.error_group(%s)", kind) == kind


def test_errors_are_counted_by_kind(queue: Queue) -> None:
    other = queue.add_account("Grace")
    queue.add(status="failed", error_message="answered 503")
    newest = queue.add(status="failed", error_message="answered 504", account_id=other)
    retrying = queue.add(error_message="answered 500", retry_count=1)
    queue.add(status="timeout", error_message="Task execution timeout")
    queue.add(error_message="a note", retry_count=0)
    queue.add(status="completed", completed_at="now", error_message="answered 503")
    queue.add(status="processing", started_at="now", error_message="answered 503", retry_count=1)
    without = queue.add(status="failed")

    said, *others = queue.rows("SELECT * FROM contentq.error_groups")

    assert said["first_at"] <= said["last_at"] <= queue.now()
    assert {name: said[name] for name in said.keys() - {"first_at", "last_at"}} == {
        "error": "answered #",
        "tasks": 3,
        "failed": 2,
        "timeout": 0,
        "retrying": 1,
        "accounts": 2,
        "example": queue.row(retrying)["task_id"],
        "example_message": "answered 500",
    }
    assert retrying > newest
    assert {(row["error"], row["tasks"], row["failed"], row["timeout"], row["example"]) for row in others} == {
        ("Task execution timeout", 1, 0, 1, queue.row(without - 4)["task_id"]),
        (None, 1, 1, 0, queue.row(without)["task_id"]),
    }


def test_only_errors_since_a_time_are_counted(queue: Queue) -> None:
    queue.add(status="failed", error_message="before")
    since = queue.now()
    queue.add(status="failed", error_message="after")

    assert queue.values("SELECT error FROM contentq.group_errors(%s)", since) == ["after"]


def test_only_the_newest_tasks_with_an_error_are_counted_and_read(queue: Queue) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, retry_count, error_message) "
        "SELECT %s, CASE n %% 4 WHEN 0 THEN 'failed' ELSE 'pending' END, CASE n %% 4 WHEN 1 THEN 1 ELSE 0 END, "
        "CASE WHEN n %% 4 <= 1 THEN 'said ' || n END FROM generate_series(1, 8000) AS n",
        queue.account,
    )
    queue.run("ANALYZE content_generation_tasks")

    (row,) = queue.rows("SELECT * FROM contentq.group_errors(newest => 100)")
    read = scans(queue, "SELECT * FROM contentq.group_errors(newest => 100)")

    assert (row["tasks"], row["failed"], row["retrying"]) == (100, 50, 50)
    assert row["example_message"] == "said 8000"
    assert (read.sequential, read.rows <= 250) == (0, True), read


def test_long_message_is_shown_in_part(queue: Queue) -> None:
    queue.add(status="failed", error_message="x" * 50_000)

    (row,) = queue.rows("SELECT * FROM contentq.error_groups")
    assert row["error"] == "x" * 200
    assert row["example_message"] == f"{'x' * 1000} ... (truncated from 50000 characters)"


@pytest.mark.slow
@pytest.mark.newest
def test_no_text_takes_long(queue: Queue) -> None:
    """For any text of any length: of a million characters, only some are read."""
    queue.run("SET statement_timeout = '1s'")
    queue.run("CREATE TEMP TABLE texts (text text)")
    for make in (*TEXTS.values(), *QUOTED):
        text = make(LONGEST).replace("\0", "").encode("utf-8", "replace").decode()
        queue.run("TRUNCATE texts")
        queue.run("INSERT INTO texts VALUES (%s)", text)
        assert len(queue.value("SELECT contentq.error_group(text) FROM texts")) <= 200
        assert (
            len(
                queue.value("SELECT max(contentq.error_group(left(text, 500))) FROM texts, generate_series(1, 20)")
            )
            <= 200
        )


@pytest.mark.newest
def test_tasks_that_did_not_fail_are_not_read(queue: Queue) -> None:
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, completed_at, error_message) "
        "SELECT %s, CASE WHEN n <= 100 THEN 'failed' ELSE 'completed' END, now(), 'said ' || n "
        "FROM generate_series(1, 5000) AS n",
        queue.account,
    )
    queue.run("ANALYZE content_generation_tasks")

    read = scans(queue, "SELECT * FROM contentq.error_groups")

    assert (read.sequential, read.rows <= 250) == (0, True), read


def test_messages_that_differ_in_digits_are_taken_apart_once(queue: Queue) -> None:
    """100,000 of them in a fraction of a second."""
    queue.run(
        "INSERT INTO content_generation_tasks (account_id, status, error_message) "
        "SELECT %s, 'failed', format('job %%s of account \"%%s\"', n, n) FROM generate_series(1000, 1499) AS n",
        queue.account,
    )
    queue.run("SET track_functions = 'all'")
    with queue.connection.transaction():
        groups = queue.rows("SELECT error, tasks, example_message FROM contentq.group_errors()")
        calls = queue.value("SELECT calls FROM pg_stat_xact_user_functions WHERE funcname = 'error_group'")

    assert groups == [
        {"error": "job # of account <text>", "tasks": 500, "example_message": 'job 1499 of account "1499"'}
    ]
    assert calls < 5
