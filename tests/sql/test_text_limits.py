"""A task text larger than settings.max_text_bytes is refused, whichever role writes it."""

from __future__ import annotations

import psycopg
import pytest
from contentq.database.migrations import migrate

from tests.support.queue import Queue

LIMIT = 1_000_000
OPEN = ("requirements", "error_message", "progress_note")
"""The columns without a length limit in their type."""


@pytest.mark.parametrize("column", OPEN)
def test_text_over_the_limit_is_refused_at_insert_with_a_sentence(queue: Queue, column: str) -> None:
    with pytest.raises(psycopg.errors.StringDataRightTruncation) as refused:
        queue.add(**{column: "x" * (LIMIT + 1)})

    said = refused.value.diag
    assert said.message_primary == (
        f"{column} is too large: 1000001 bytes, and the maximum is 1000000 (contentq.settings.max_text_bytes)"
    )
    assert (said.table_name, said.column_name) == ("content_generation_tasks", column)
    assert "UPDATE contentq.settings SET max_text_bytes" in str(said.message_hint)


@pytest.mark.parametrize("column", OPEN)
def test_text_over_the_limit_is_refused_at_update(queue: Queue, column: str) -> None:
    id_ = queue.add()

    with pytest.raises(psycopg.errors.StringDataRightTruncation, match=f"{column} is too large: 1000001 bytes"):
        queue.set(id_, **{column: "x" * (LIMIT + 1)})

    assert queue.row(id_)[column] is None


@pytest.mark.parametrize("column", OPEN)
def test_text_at_the_limit_is_accepted(queue: Queue, column: str) -> None:
    text = "x" * LIMIT

    assert queue.row(queue.add(**{column: text}))[column] == text


def test_it_is_bytes_that_count(queue: Queue) -> None:
    queue.add(requirements="é" * (LIMIT // 2))

    with pytest.raises(psycopg.errors.StringDataRightTruncation, match="requirements is too large: 1000002 bytes"):
        queue.add(requirements="é" * (LIMIT // 2 + 1))


def test_limit_is_a_setting_in_force_at_once(queue: Queue) -> None:
    queue.run("UPDATE contentq.settings SET max_text_bytes = 2000000")
    queue.add(requirements="x" * (LIMIT + 1))

    queue.run("UPDATE contentq.settings SET max_text_bytes = 100000")
    queue.add(requirements="x" * 100_000)
    with pytest.raises(psycopg.errors.StringDataRightTruncation, match="the maximum is 100000"):
        queue.add(requirements="x" * 100_001)


def test_limit_leaves_room_for_what_contentq_writes_itself(queue: Queue) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="settings_max_text_bytes_check"):
        queue.run("UPDATE contentq.settings SET max_text_bytes = 99999")

    queue.run("UPDATE contentq.settings SET max_text_bytes = 100000")
    task = queue.running(max_retries=0)
    assert queue.fail(task, "\U0001f4dd" * 1_000_000) == "failed"


@pytest.mark.parametrize("column", ["task_id", "topic", "keywords", "category", "tone"])
def test_texts_without_a_width_in_a_table_that_was_taken_over_are_bounded(
    empty_dsn: str, bare: Queue, column: str
) -> None:
    bare.run(
        "CREATE TABLE accounts (id serial PRIMARY KEY, name text);"
        "CREATE TABLE content_generation_tasks (id serial PRIMARY KEY, task_id text, account_id int, status text,"
        " topic text, keywords text, category text, tone text);"
        "INSERT INTO accounts (name) VALUES ('Ada');"
        "INSERT INTO content_generation_tasks (task_id, account_id, status, topic)"
        " VALUES ('old', 1, 'pending', repeat('x', 2000000))"
    )
    migrate(empty_dsn)
    assert bare.value("SELECT length(topic) FROM content_generation_tasks") == 2 * LIMIT

    with pytest.raises(psycopg.errors.StringDataRightTruncation, match=f"{column} is too large: 1000001 bytes"):
        bare.add(account_id=1, **{"task_id": "new", column: "x" * (LIMIT + 1)})


@pytest.fixture
def old(queue: Queue) -> int:
    """A task older than the limit."""
    queue.run("UPDATE contentq.settings SET max_text_bytes = 5000000")
    id_ = queue.add(requirements="x" * 3_000_000, error_message="y" * 3_000_000)
    queue.run("UPDATE contentq.settings SET max_text_bytes = DEFAULT")
    return id_


def test_larger_row_that_is_there_already_goes_on(queue: Queue, old: int) -> None:
    (row,) = queue.claim(queue.register())
    assert row["id"] == old

    queue.run(
        "UPDATE content_generation_tasks "
        "SET requirements = requirements, error_message = error_message, priority = 9"
    )
    queue.run("UPDATE content_generation_tasks SET status = 'pending'")

    assert len(queue.row(old)["requirements"]) == 3_000_000


def test_larger_row_that_is_there_already_may_not_become_another_large_one(queue: Queue, old: int) -> None:
    with pytest.raises(psycopg.errors.StringDataRightTruncation):
        queue.set(old, requirements="z" * 3_000_000)

    queue.set(old, requirements="z")


def test_larger_error_that_is_there_already_does_not_keep_deadlines_from_passing(queue: Queue, old: int) -> None:
    queue.set(old, attempt=1, timeout_at="2001-01-01")
    other = queue.add(timeout_at="2001-01-01")

    assert queue.sweep() == 2

    assert (queue.status(old), queue.status(other)) == ("timeout", "timeout")
    assert len(queue.row(old)["error_message"]) < 9000


def test_one_who_may_only_insert_is_told_the_same(queue: Queue) -> None:
    """Without any right on the settings."""
    account = queue.account
    schema = queue.schema
    queue.run("CREATE ROLE only_inserts")
    try:
        queue.run(f"GRANT USAGE ON SCHEMA {schema} TO only_inserts")
        queue.run("GRANT INSERT ON content_generation_tasks TO only_inserts")
        queue.run("SET ROLE only_inserts")
        insert = "INSERT INTO content_generation_tasks (account_id, requirements) VALUES (%s, repeat('x', %s))"
        with pytest.raises(
            psycopg.errors.StringDataRightTruncation, match="requirements is too large: 1000001 bytes"
        ):
            queue.run(insert, account, LIMIT + 1)
        queue.run(insert, account, LIMIT)
    finally:
        queue.run("RESET ROLE")
        queue.run("DROP OWNED BY only_inserts")
        queue.run("DROP ROLE only_inserts")
