"""The functions of contentq in the caller's transaction, on every kind of connection."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import contentq
import pytest
from contentq import aio

from tests.api.conftest import Caller
from tests.support.databases import Connection

TASK = "SELECT {} FROM content_generation_tasks ORDER BY id"


def rows(database: Connection, columns: str) -> list[tuple[Any, ...]]:
    return database.execute(TASK.format(columns).encode()).fetchall()


def test_task_is_there_once_the_caller_has_committed(call: Caller, database: Connection, account: int) -> None:
    task_id = call("submit", account_id=account, topic="Tea: 100% {good} :x %s", priority=8, auto_approve=False)

    assert rows(database, "task_id") == []
    call.commit()
    assert rows(database, "task_id, account_id, topic, priority, auto_approve, status") == [
        (task_id, account, "Tea: 100% {good} :x %s", 8, False, "pending")
    ]
    assert task_id.startswith("task-")


def test_task_is_gone_when_the_caller_rolls_back(call: Caller, database: Connection, account: int) -> None:
    call("submit", account_id=account)
    call.rollback()

    assert rows(database, "task_id") == []


def test_what_is_left_out_or_none_gets_its_default(call: Caller, database: Connection, account: int) -> None:
    call("submit", account_id=account, topic=None, priority=None, task_id=None, submitted_at=None)
    call.commit()

    assert rows(database, "topic, priority, max_retries, submitted_at = created_at") == [(None, 5, 3, True)]


def test_times_are_those_that_were_named(call: Caller, database: Connection, account: int) -> None:
    noon = datetime(2031, 5, 1, 12, tzinfo=timezone(timedelta(hours=-7)))

    call("submit", account_id=account, scheduled_at=noon, timeout_at=timedelta(minutes=10))
    call.commit()

    [(scheduled_at, deadline)] = rows(
        database, "scheduled_at, timeout_at - created_at BETWEEN '10 minutes' AND '10 minutes 5 seconds'"
    )
    assert scheduled_at == noon
    assert deadline


def test_task_that_exists_is_left_as_it_is(call: Caller, database: Connection, account: int) -> None:
    assert call("submit", account_id=account, task_id="post-1", topic="Tea") == "post-1"
    assert call("submit", account_id=account, task_id="post-1", topic="Coffee") == "post-1"
    call.commit()

    assert rows(database, "task_id, topic") == [("post-1", "Tea")]


def test_many_at_once(call: Caller, database: Connection, account: int) -> None:
    call("submit", account_id=account, task_id="post-1", topic="first")
    tasks: list[contentq.NewTask] = [
        {"account_id": account, "topic": "second"},
        {"account_id": account, "task_id": "post-1", "priority": 9},
        {"account_id": account, "task_id": "post-2", "timeout_at": timedelta(days=1)},
        {"account_id": account},
    ]

    task_ids = call("submit_many", tasks)
    call.commit()

    stored = dict(rows(database, "task_id, coalesce(topic, '')"))
    assert [stored[task_id] for task_id in task_ids] == ["second", "first", "", ""]
    assert task_ids[1:3] == ["post-1", "post-2"]
    assert len(stored) == len(set(task_ids)) == 4


def test_more_than_one_statement_takes(call: Caller, database: Connection, account: int) -> None:
    task_ids = call("submit_many", ({"account_id": account, "topic": f"Topic {n}"} for n in range(1_203)))
    call.commit()

    assert rows(database, "task_id, topic") == [(task_id, f"Topic {n}") for n, task_id in enumerate(task_ids)]


def test_none_at_all(call: Caller) -> None:
    assert call("submit_many", []) == []


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"priority": 11}, "priority is '11'; it must be a whole number from 1 to 10"),
        ({"topic": "x" * 501}, "topic has 501 characters; at most 500 fit"),
        ({"status": "failed"}, "a producer cannot set status; these can be set: task_id, account_id"),
        ({"account_id": None}, "account_id is missing"),
        ({"timeout_at": datetime(2031, 1, 1)}, "timeout_at .* has no time zone"),
        ({"timeout_at": "tomorrow"}, "timeout_at is 'tomorrow'; it must be a datetime, or a timedelta from now"),
    ],
)
def test_refusal_is_a_sentence_and_leaves_the_transaction_alone(
    call: Caller, database: Connection, account: int, columns: dict[str, Any], message: str
) -> None:
    call("submit", account_id=account)

    with pytest.raises(contentq.InputRefused, match=f"^{message}"):
        call("submit", **{"account_id": account, **columns})
    with pytest.raises(contentq.InputRefused, match=f"^task 2: {message}"):
        call("submit_many", [{"account_id": account}, {"account_id": account, **columns}])

    call.commit()
    assert len(rows(database, "id")) == 1


def test_account_that_does_not_exist(call: Caller) -> None:
    with pytest.raises(contentq.InputRefused) as refused:
        call("submit", account_id=7)

    assert str(refused.value) == (
        "there is no account 7; add one with: INSERT INTO accounts (name) VALUES ('…') RETURNING id"
    )


def test_cancel_requeue_and_explain(call: Caller, database: Connection, account: int) -> None:
    task_id = call("submit", account_id=account)

    assert call("explain", task_id) == ["there is no live worker: start one with contentq worker"]
    assert call("requeue", task_id) is None
    assert call("cancel", task_id) == "failed"
    assert call("cancel", task_id) is None
    assert rows(database, "status") == []
    call.commit()
    assert rows(database, "status, error_message") == [("failed", "Task cancelled")]

    assert call("requeue", task_id, note="shorter") == "pending"
    call.commit()
    assert rows(database, "status, error_message") == [("pending", "shorter")]


def test_approve_and_reject(call: Caller, database: Connection, account: int) -> None:
    contents = "SELECT id, review_status, reviewed_by, review_note FROM contents ORDER BY id"
    insert = "INSERT INTO contents (account_id, title, body) VALUES (%s, 'T', 'B') RETURNING id"
    (first,), (second,) = (database.execute(insert, [account]).fetchall()[0] for _ in range(2))
    database.execute(
        "INSERT INTO content_generation_tasks (account_id, status, completed_at, content_id) "
        "VALUES (%s, 'completed', now(), %s)",
        [account, second],
    )

    assert call("approve", first, "anna", note="fine") == "approved"
    assert database.execute(contents.encode()).fetchall()[0] == (first, "pending", None, None)
    call.commit()
    assert call("reject", second, reviewer="ben", note="shorter", revise=True) == "pending"
    call.commit()

    assert database.execute(contents.encode()).fetchall() == [
        (first, "approved", "anna", "fine"),
        (second, "rejected", "ben", "shorter"),
    ]
    assert rows(database, "status, revision_note") == [("pending", "shorter")]
    with pytest.raises(contentq.ReviewRefused, match=f"^content {first} was approved by anna \\d+ seconds? ago$"):
        call("reject", first)
    call.rollback()
    assert call("reject", first, review_status="approved") == "rejected"
    assert call("approve", first, review_status="rejected") == "approved"
    call.commit()
    (login,) = database.execute("SELECT session_user::text").fetchall()[0]
    assert database.execute(contents.encode()).fetchall()[0] == (first, "approved", login, None)


def test_task_that_does_not_exist(call: Caller) -> None:
    assert call("cancel", "nothing") is None
    assert call("requeue", "nothing", "note") is None
    assert call("explain", "nothing") == ["there is no task nothing"]


def test_task_that_is_locked_is_a_sentence(call: Caller, database: Connection, account: int) -> None:
    task_id = call("submit", account_id=account)
    call.commit()
    # The function sets it to 3 seconds.
    database.execute("ALTER FUNCTION contentq.cancel(text) SET lock_timeout = '50ms'")

    with database.transaction():
        database.execute("SELECT FROM content_generation_tasks FOR UPDATE")
        with pytest.raises(contentq.ContentQueueError, match="another session has locked the task"):
            call("cancel", task_id)


def test_database_that_is_not_migrated(call: Caller, database: Connection) -> None:
    database.execute("DROP SCHEMA contentq CASCADE")
    database.execute("DROP TABLE content_generation_tasks")

    calls: dict[str, dict[str, Any]] = {"submit": {"account_id": 1}, "cancel": {"task_id": "x"}}
    for function, values in calls.items():
        with pytest.raises(contentq.SchemaMismatch, match=r"not migrated.*run: contentq migrate"):
            call(function, **values)
        call.rollback()


def test_role_without_the_right(call: Caller, database: Connection) -> None:
    role = database.info.dbname
    database.execute(f"CREATE ROLE {role}".encode())
    try:
        call("explain", "nothing")
        database.execute(f"SET ROLE {role}".encode())
        with pytest.raises(contentq.ContentQueueError, match="refused the call: permission denied"):
            contentq.submit(database, account_id=1)
    finally:
        database.execute("RESET ROLE")
        database.execute(f"DROP ROLE {role}".encode())


@pytest.mark.parametrize("connection", [None, "postgresql://", object()])
def test_what_is_no_connection_is_refused(connection: Any) -> None:
    with pytest.raises(TypeError, match="needs a connection of psycopg or SQLAlchemy, or a Session, not"):
        contentq.cancel(connection, "x")
    with pytest.raises(TypeError, match="needs an asyncio connection"):
        aio.cancel(connection, "x").send(None)
