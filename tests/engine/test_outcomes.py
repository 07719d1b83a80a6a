"""The result or exception of a handler, and the resulting row."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

import pytest
from contentq import (
    Context,
    GeneratedContent,
    PermanentError,
    RateLimited,
    Task,
    TemporaryError,
    ThreadContext,
)

from tests.engine.conftest import Database, Insert, Row, StartWorker
from tests.support.waiting import eventually

WorkOff = Callable[..., Any]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def returning(value: Any) -> Callable[[Task, ThreadContext], Any]:
    def handler(_task: Task, _context: ThreadContext) -> Any:
        return value

    return handler


def raising(error: BaseException) -> Any:
    async def handler(_task: Task, _context: Context) -> None:
        raise error

    return handler


def test_dict_of_an_async_handler_becomes_the_result(work_off: WorkOff, insert: Insert, row: Row) -> None:
    async def handler(task: Task, _context: Context) -> dict[str, Any]:
        return {"topic": task.topic, "keywords": task.keyword_list, "note": "中文 \\u0000 is text"}

    id_ = insert(topic="Queues", keywords="a, b,")
    work_off(handler)
    task = row(id_)
    assert (task.status, task.result) == (
        "completed",
        {"topic": "Queues", "keywords": ["a", "b"], "note": "中文 \\u0000 is text"},
    )
    assert task.completed_at >= task.started_at >= task.submitted_at
    assert (task.attempt, task.worker_id, task.error_message) == (1, None, None)


def test_none_of_a_plain_function_is_success(work_off: WorkOff, insert: Insert, row: Row) -> None:
    id_ = insert()
    work_off(returning(None))
    assert row(id_).result == {"success": True}


@pytest.mark.parametrize(("auto_approve", "review"), [(True, "approved"), (False, "pending")])
def test_content_is_stored_with_its_completion(
    work_off: WorkOff, insert: Insert, row: Row, database: Database, auto_approve: bool, review: str
) -> None:
    id_ = insert(auto_approve=auto_approve)
    work_off(returning(GeneratedContent("Title" * 200, "# Two words\n\n三个字", result={"model": "m"})))
    task = row(id_)
    assert task.status == "completed"
    assert task.result == {"success": True, "content_id": task.content_id, "word_count": 5, "model": "m"}
    stored = database.execute("SELECT account_id, title, body, word_count, review_status FROM contents").fetchall()
    assert stored == [(task.account_id, ("Title" * 200)[:500], "# Two words\n\n三个字", 5, review)]


def test_result_of_content_cannot_say_what_is_for_contentq_to_say(
    work_off: WorkOff, insert: Insert, row: Row, database: Database
) -> None:
    id_ = insert()
    own = {"success": False, "content_id": 999, "word_count": 7}
    work_off(returning(GeneratedContent("t", "two words", result={**own, "model": "m"})))
    task = row(id_)
    assert database.execute("SELECT result::text FROM content_generation_tasks").fetchone() == (
        f'{{"success": true, "content_id": {task.content_id}, "word_count": 2, "model": "m"}}',
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"when": datetime.datetime(2026, 1, 1)}, "cannot be stored as JSON"),
        ({"x": float("nan")}, "cannot be stored as JSON"),
        ({"x": "a\x00b"}, "u0000"),
        ({"x": "\ud800"}, "surrogate"),
        ({"x": {1, 2}}, "not JSON serializable"),
        (nested(10_000), "cannot be stored"),
        (nested(900), None),
        ("text", "returned a str"),
        (42, "returned an int"),
        (GeneratedContent("t", "a\x00b"), "body of the content"),
        (GeneratedContent("\udfff", "b"), "title of the content"),
        (GeneratedContent(None, "b"), "title of the content is a NoneType"),  # type: ignore[arg-type]
    ],
)
def test_value_that_cannot_be_stored_fails_its_task_and_no_other(
    work_off: WorkOff, insert: Insert, row: Row, database: Database, value: Any, said: str | None
) -> None:
    bad, good = insert(topic="bad"), [insert(topic="good") for _ in range(5)]

    def handler(task: Task, _context: ThreadContext) -> Any:
        return value if task.topic == "bad" else {"ok": True}

    work_off(handler)
    task = row(bad)
    if said is None:
        assert task.status == "completed"
    else:
        assert (task.status, task.retry_count) == ("failed", 0)
        assert said in task.error_message
    assert [row(id_).status for id_ in good] == ["completed"] * 5
    assert database.execute("SELECT count(*) FROM contents").fetchone() == (0,)


def test_result_that_only_postgresql_refuses_fails_its_task_and_no_other(
    work_off: WorkOff, insert: Insert, row: Row, database: Database
) -> None:
    database.execute("ALTER TABLE contents ADD CONSTRAINT contents_body_check CHECK (body <> 'refused')")
    tasks = [insert(topic=str(n)) for n in range(8)]

    async def handler(task: Task, _context: Context) -> GeneratedContent:
        return GeneratedContent("t", "refused" if task.topic == "5" else "fine")

    work_off(handler)
    assert [row(id_).status for id_ in tasks] == ["completed"] * 5 + ["failed"] + ["completed"] * 2
    assert "contents_body_check" in row(tasks[5]).error_message


def test_temporary_error_is_retried_until_no_retry_is_left(work_off: WorkOff, insert: Insert, row: Row) -> None:
    id_ = insert(max_retries=2)
    work_off(raising(TemporaryError("try later", retry_after=0)))
    task = row(id_)
    assert (task.status, task.retry_count, task.attempt) == ("failed", 2, 3)
    assert task.error_message == "try later"
    assert [error["error_class"] for error in task.attempt_errors] == ["TemporaryError"] * 3


def test_retry_comes_after_the_backoff_and_not_after_the_poll(
    work_off: WorkOff, insert: Insert, row: Row, database: Database
) -> None:
    database.execute("UPDATE contentq.settings SET backoff_base = '100 milliseconds'")
    id_ = insert()

    async def handler(task: Task, _context: Context) -> None:
        if task.attempt < 3:
            raise RuntimeError("once more")

    work_off(handler, poll=60)
    task = row(id_)
    assert (task.status, task.retry_count, task.attempt, task.error_message) == ("completed", 2, 3, None)


def test_permanent_error_fails_at_once(work_off: WorkOff, insert: Insert, row: Row) -> None:
    id_ = insert()
    work_off(raising(PermanentError("the topic is forbidden")))
    task = row(id_)
    assert (task.status, task.retry_count, task.error_message) == ("failed", 0, "the topic is forbidden")


def test_rate_limited_task_is_snoozed_and_not_charged(work_off: WorkOff, insert: Insert, row: Row) -> None:
    id_ = insert(max_retries=0)

    async def handler(task: Task, _context: Context) -> None:
        if task.attempt < 3:
            raise RateLimited("429", retry_after=0.1)

    work_off(handler, poll=60)
    task = row(id_)
    assert (task.status, task.retry_count, task.attempt, task.attempt_errors) == ("completed", 0, 3, [])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("bad\x00value"), "ValueError: bad\\x00value"),
        (KeyError("k"), "KeyError: 'k'"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (MemoryError(), "MemoryError"),
        (RuntimeError("half \ud800"), "RuntimeError: half \\ud800"),
        (Unspeakable(), "Unspeakable: (the error's own text cannot be had: str() raised RuntimeError)"),
        (StopIteration("x"), "StopIteration"),
        (RuntimeError("x" * 10_000_000), "truncated from 10000000 characters"),
    ],
)
@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
def test_whatever_a_handler_raises_ends_its_task_and_not_the_worker(
    work_off: WorkOff, insert: Insert, row: Row, error: BaseException, said: str, plain: bool
) -> None:
    def plainly(task: Task, _context: ThreadContext) -> None:
        if task.topic == "bad":
            raise error

    async def async_(task: Task, context: Context) -> None:
        plainly(task, context)  # type: ignore[arg-type]

    bad, good = insert(topic="bad", max_retries=0), insert(topic="good")
    work_off(plainly if plain else async_)
    task = row(bad)
    assert (task.status, row(good).status) == ("failed", "completed")
    assert said in task.error_message
    assert len(task.error_message) < 9000


def test_unexpected_error_tells_its_place_in_the_row_and_its_traceback_in_the_log(
    work_off: WorkOff, insert: Insert, row: Row, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(_task: Task) -> str:
        return {"error": "no choices"}["choices"]

    async def handler(task: Task, _context: Context) -> dict[str, str]:
        return {"text": json.loads(answer(task))}

    id_ = insert(max_retries=0, task_id="task-buggy")
    work_off(handler)
    line = answer.__code__.co_firstlineno + 1
    assert row(id_).error_message == f"KeyError: 'choices' (test_outcomes.py:{line}, in answer)"
    assert "handler raised task=task-buggy attempt=1\nTraceback (most recent call last):" in caplog.text
    assert 'return {"text": json.loads(answer(task))}' in caplog.text


def test_error_inside_a_library_tells_where_the_handler_called_it(
    work_off: WorkOff, insert: Insert, row: Row
) -> None:
    async def handler(_task: Task, _context: Context) -> dict[str, str]:
        return dict(json.loads("no JSON"))

    id_ = insert(max_retries=0)
    work_off(handler)
    line = handler.__code__.co_firstlineno + 1
    assert row(id_).error_message.endswith(f" (test_outcomes.py:{line}, in handler)")


@pytest.mark.slow
@pytest.mark.parametrize("megabytes", [5, 50])
def test_results_of_megabytes_are_stored(work_off: WorkOff, insert: Insert, row: Row, megabytes: int) -> None:
    id_ = insert()
    work_off(returning({"text": "x" * megabytes * 1_000_000}))
    assert len(row(id_).result["text"]) == megabytes * 1_000_000


@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
def test_work_on_the_context_connection_commits_with_the_completion(
    work_off: WorkOff, insert: Insert, row: Row, database: Database, plain: bool
) -> None:
    database.execute("CREATE TABLE ledger (task integer)")
    write = "INSERT INTO ledger VALUES (%s)"

    async def async_(task: Task, context: Context) -> dict[str, Any]:
        connection = await context.connection()
        await connection.execute(write, [task.id])
        if task.topic == "bad":
            raise PermanentError("no")
        return {"n": 1}

    def plainly(task: Task, context: ThreadContext) -> dict[str, Any]:
        context.connection().execute(write, [task.id])
        if task.topic == "bad":
            raise PermanentError("no")
        return {"n": 1}

    good, bad = [insert() for _ in range(4)], insert(topic="bad")
    work_off(plainly if plain else async_)
    assert [row(id_).status for id_ in good] == ["completed"] * 4
    assert row(bad).status == "failed"
    assert sorted(database.execute("SELECT task FROM ledger").fetchall()) == [(id_,) for id_ in good]


@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
def test_work_on_the_context_connection_is_rolled_back_when_the_outcome_does_not_count(
    work_off: WorkOff, insert: Insert, row: Row, database: Database, plain: bool
) -> None:
    database.execute("CREATE TABLE ledger (task integer)")

    def plainly(task: Task, context: ThreadContext) -> None:
        context.connection().execute("INSERT INTO ledger VALUES (%s)", [task.id])
        database.execute("UPDATE content_generation_tasks SET status = 'failed' WHERE id = %s", [task.id])

    async def async_(task: Task, context: Context) -> None:
        await (await context.connection()).execute("INSERT INTO ledger VALUES (%s)", [task.id])
        database.execute("UPDATE content_generation_tasks SET status = 'failed' WHERE id = %s", [task.id])

    id_ = insert()
    running = work_off(plainly if plain else async_)
    assert row(id_).status == "failed"
    assert database.execute("SELECT count(*) FROM ledger").fetchone() == (0,)
    assert running.worker.counts.refused == 1


class Careless(TemporaryError):
    """Does not call the constructor of its base."""

    def __init__(self, code: int) -> None:
        self.code = code


class Numbered(TemporaryError):
    """Sets its delay as a number, bypassing the constructor of its base."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.retry_after = 0.01  # type: ignore[assignment]


@pytest.mark.parametrize(
    "error",
    [
        Careless(503),
        Numbered("soon"),
        TemporaryError("later", retry_after=1e13),
        RateLimited("no", retry_after=1e13),
    ],
    ids=["careless", "numbered", "in ages", "snoozed for ages"],
)
@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
def test_error_of_the_users_own_making_is_as_good_as_any(
    start_worker: StartWorker, insert: Insert, row: Row, error: TemporaryError, plain: bool
) -> None:
    def plainly(task: Task, _context: ThreadContext) -> None:
        if task.topic == "bad" and task.attempt == 1:
            raise error

    async def async_(task: Task, context: Context) -> None:
        plainly(task, context)  # type: ignore[arg-type]

    bad, good = insert(topic="bad"), [insert() for _ in range(5)]
    running = start_worker(plainly if plain else async_)
    eventually(lambda: all(row(id_).status == "completed" for id_ in good))
    eventually(lambda: row(bad).status in ("pending", "completed"))
    eventually(lambda: running.worker._runner.busy == 0)


def test_outcome_that_the_database_refuses_for_reasons_of_its_own_fails_its_task_and_no_other(
    work_off: WorkOff, insert: Insert, row: Row, database: Database
) -> None:
    database.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.title = 'bad' THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NEW; END $$"
    )
    database.execute("CREATE TRIGGER refuse BEFORE INSERT ON contents FOR EACH ROW EXECUTE FUNCTION refuse()")

    async def handler(task: Task, _context: Context) -> GeneratedContent:
        return GeneratedContent(task.topic or "", "text")

    bad, good = insert(topic="bad"), [insert() for _ in range(5)]
    work_off(handler)
    assert [row(id_).status for id_ in good] == ["completed"] * 5
    assert row(bad).status == "failed"
    assert "not this one" in row(bad).error_message


@pytest.mark.parametrize(
    ("refused", "error", "stored"),
    [
        ("NEW.error_message ~ 'secret'", PermanentError("a secret"), "its error message cannot be stored"),
        (
            "NEW.scheduled_at IS NOT NULL",
            RateLimited("429", retry_after=9),
            "the task could not be snoozed: RaiseException: no",
        ),
    ],
    ids=["failure", "snooze"],
)
def test_report_that_the_database_refuses_ends_its_task_in_another_way(
    work_off: WorkOff, insert: Insert, row: Row, database: Database, refused: str, error: Exception, stored: str
) -> None:
    database.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$"
    )
    database.execute(
        "CREATE TRIGGER refuse BEFORE UPDATE ON content_generation_tasks "
        f"FOR EACH ROW WHEN ({refused}) EXECUTE FUNCTION refuse()".encode()
    )
    id_ = insert(max_retries=0)

    work_off(raising(error))

    assert row(id_).status == "failed"
    assert row(id_).error_message.startswith(stored)


def test_usage_that_the_database_refuses_does_not_cost_the_error_message(
    work_off: WorkOff, insert: Insert, row: Row, database: Database
) -> None:
    database.execute("ALTER TABLE contentq.usage ADD CONSTRAINT usage_is_small CHECK (cost < 5)")
    id_ = insert()

    work_off(raising(PermanentError("the topic is forbidden", usage={"cost": 7})))

    assert (row(id_).status, row(id_).error_message) == ("failed", "the topic is forbidden")


def test_word_count_that_no_integer_holds_fails_its_task(work_off: WorkOff, insert: Insert, row: Row) -> None:
    id_ = insert()
    work_off(returning(GeneratedContent("t", "b", word_count=3_000_000_000)))
    assert (row(id_).status, "word_count" in row(id_).error_message) == ("failed", True)


@pytest.mark.parametrize("date_style", ["ISO, MDY", "German", "SQL, DMY"])
def test_times_that_python_cannot_hold_are_read_all_the_same(
    work_off: WorkOff, insert: Insert, database: Database, date_style: str
) -> None:
    database.execute(
        f"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET DateStyle = %L', current_database(), '{date_style}'); "
        "EXECUTE format('ALTER DATABASE %I SET TimeZone = %L', current_database(), 'Asia/Shanghai'); END $$"
    )
    seen: dict[int, Task] = {}

    async def handler(task: Task, _context: Context) -> None:
        seen[task.id] = task

    endless = insert(timeout_at="infinity")
    far = insert(timeout_at="9999-12-31 23:59:59+00", submitted_at="4713-01-01 00:00:00+00 BC")
    plain = insert(timeout_at=datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC))
    work_off(handler)
    assert {endless, far, plain} == seen.keys()
    assert database.execute("SELECT DISTINCT status FROM content_generation_tasks").fetchall() == [("completed",)]
    assert seen[plain].timeout_at == datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)
    assert seen[endless].seconds_left is None
    assert (seen[plain].seconds_left or 0) > 0
