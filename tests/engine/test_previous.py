"""What a handler learns about earlier attempts: why they failed, and what they produced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from contentq import Context, GeneratedContent, PreviousContent, RateLimited, Task, TemporaryError, ThreadContext
from contentq.database.connect import connect_async
from contentq.queue import contract

from tests.engine.conftest import Database, Insert, Row, StartWorker
from tests.support.waiting import eventually

REQUEUE = "SELECT contentq.requeue(task_id, %s) FROM content_generation_tasks WHERE id = %s"
REJECT = "UPDATE contents SET review_status = 'rejected'"


class Author:
    """A handler with one outcome per call, which records the earlier attempts that it sees."""

    def __init__(self, *doings: Any) -> None:
        self.doings = list(doings)
        self.found: list[tuple[str | None, PreviousContent | None]] = []

    async def __call__(self, _task: Task, context: Context) -> Any:
        self.found.append((context.previous_error, context.previous_content))
        doing = self.doings.pop(0)
        if isinstance(doing, Exception):
            raise doing
        return doing


class PlainAuthor(Author):
    def __call__(self, _task: Task, context: ThreadContext) -> Any:  # type: ignore[override]
        self.found.append((context.previous_error, context.previous_content))
        return self.doings.pop(0)


def test_first_attempt_finds_nothing(start_worker: StartWorker, insert: Insert, row: Row) -> None:
    author = Author(None)
    start_worker(author)
    id_ = insert()
    eventually(lambda: row(id_).status == "completed")

    assert author.found == [(None, None)]


@pytest.mark.parametrize("error", [TemporaryError("cut off", retry_after=0), RateLimited("slow", retry_after=0.1)])
def test_next_attempt_finds_why_the_last_one_ended(
    start_worker: StartWorker, insert: Insert, row: Row, error: Exception
) -> None:
    author = Author(error, None)
    start_worker(author)
    id_ = insert()
    eventually(lambda: row(id_).status == "completed")

    assert author.found == [(None, None), (str(error), None)]


@pytest.mark.parametrize("kind", [Author, PlainAuthor])
def test_revision_of_rejected_content_finds_it_and_the_reviewers_note(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, kind: type[Author]
) -> None:
    author = kind(GeneratedContent("Tea", "# 茶\n\nHot \\u0000 water."), GeneratedContent("Tea, again", "Better."))
    start_worker(author)
    id_ = insert(auto_approve=False)
    eventually(lambda: row(id_).status == "completed")
    first = row(id_).content_id
    assert database.execute(REQUEUE, ["not yet reviewed", id_]).fetchone() == (None,)
    database.execute(REJECT)

    assert database.execute(REQUEUE, ["say how long it steeps", id_]).fetchone() == ("pending",)

    eventually(lambda: row(id_).status == "completed" and len(author.found) == 2)
    draft = PreviousContent(first, "Tea", "# 茶\n\nHot \\u0000 water.", 4, "rejected")
    assert author.found[1] == ("say how long it steeps", draft)
    assert row(id_).content_id != first
    bodies = database.execute("SELECT body, review_status FROM contents ORDER BY id").fetchall()
    assert bodies == [("# 茶\n\nHot \\u0000 water.", "rejected"), ("Better.", "pending")]


def test_revision_without_a_note_finds_the_content_alone(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    author = Author(TemporaryError("busy", retry_after=0), GeneratedContent("Tea", "Water."), None)
    start_worker(author)
    id_ = insert(auto_approve=False)
    eventually(lambda: row(id_).status == "completed")
    database.execute(REJECT)
    database.execute(REQUEUE, [None, id_])

    eventually(lambda: len(author.found) == 3)

    error, content = author.found[2]
    assert error is None  # the attempt before has not failed
    assert content is not None
    assert (content.title, content.review_status) == ("Tea", "rejected")


def test_revision_that_fails_finds_the_content_again(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    author = Author(GeneratedContent("Tea", "Water."), TemporaryError("busy", retry_after=0), None)
    start_worker(author)
    id_ = insert(auto_approve=False)
    eventually(lambda: row(id_).status == "completed")
    database.execute(REJECT)
    database.execute(REQUEUE, ["longer", id_])

    eventually(lambda: len(author.found) == 3)

    error, content = author.found[2]
    assert error == "busy"
    assert content is not None
    assert content.body == "Water."


@pytest.mark.slow
def test_big_content_is_found_whole(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    body = 'A long way to go, \U0001f600 said „she“. \\ " \t\n' * 250_000
    author = Author(GeneratedContent("Long", body, word_count=7), None)
    start_worker(author)
    id_ = insert(auto_approve=False)
    eventually(lambda: row(id_).status == "completed", within=30)
    database.execute(REJECT)
    database.execute(REQUEUE, [None, id_])

    eventually(lambda: len(author.found) == 2, within=30)

    content = author.found[1][1]
    assert content is not None
    assert content.body == body
    assert content.word_count == 7


def test_content_that_someone_has_deleted_is_not_found(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    author = Author(GeneratedContent("Tea", "Water."), None)
    running = start_worker(author, listen=False, poll=60)
    eventually(lambda: database.execute("SELECT FROM contentq.workers").fetchone() is not None)
    id_ = insert(auto_approve=False)
    running._loop.call_soon_threadsafe(running.worker._wake_up.signal)
    eventually(lambda: row(id_).status == "completed")
    database.execute(REJECT)
    database.execute(REQUEUE, [None, id_])
    database.execute("UPDATE content_generation_tasks SET content_id = NULL")
    database.execute("DELETE FROM contents")
    running._loop.call_soon_threadsafe(running.worker._wake_up.signal)

    eventually(lambda: len(author.found) == 2)

    assert author.found[1][1] is None


def test_each_of_many_tasks_finds_its_own(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    found: dict[str | None, str | None] = {}

    async def handler(task: Task, context: Context) -> GeneratedContent | None:
        if task.attempt == 1:
            return GeneratedContent(f"On {task.topic}", "Draft.")
        found[task.topic] = context.previous_content.title if context.previous_content else None
        return None

    start_worker(handler)
    topics = [f"topic {number}" for number in range(20)]
    tasks = [insert(topic=topic, auto_approve=False) for topic in topics]
    eventually(lambda: all(row(id_).status == "completed" for id_ in tasks))
    database.execute("UPDATE contents SET review_status = 'rejected' WHERE title LIKE '%2' OR title LIKE '%7'")

    database.execute("SELECT contentq.requeue(task_id) FROM content_generation_tasks")

    eventually(lambda: len(found) == 4)
    assert found == {topic: f"On {topic}" for topic in topics if topic[-1] in "27"}


def test_draft_that_is_committed_while_the_claim_is_under_way_is_found(
    dsn: str, insert: Insert, database: Database, connect: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement of the claim starts before the revision, and claims the task after it."""
    database.execute(
        "CREATE FUNCTION claim_later(bigint, integer, task_ids bigint[]) RETURNS SETOF content_generation_tasks "
        "LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_lock(1); "
        "RETURN QUERY SELECT * FROM contentq.claim($1, $2, NULL, task_ids); END $$"
    )
    late_claim = contract._CLAIM.replace("FROM contentq.claim(", "FROM claim_later(")
    assert late_claim != contract._CLAIM
    monkeypatch.setattr(contract, "_CLAIM", late_claim)
    register = "SELECT contentq.register_worker('h', 1, 1, 'test')"
    worker = database.execute(register).fetchone()
    assert worker is not None
    id_ = insert()
    database.execute("SELECT contentq.claim(%s, 1)", [worker[0]])

    async def claim() -> contract.Claimed:
        async with await connect_async(dsn, "contentq test", plain=True) as connection:
            return await contract.claim(connection, worker[0], 1)

    locking = connect()
    locking.execute("SELECT pg_advisory_lock(1)")
    with ThreadPoolExecutor(1) as thread:
        claiming = thread.submit(asyncio.run, claim())
        eventually(lambda: database.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is not None)
        locking.execute("SELECT contentq.revise(%s, %s, 1, 'too short', 'Tea', 'A draft', 2)", [worker[0], id_])
        locking.execute("SELECT pg_advisory_unlock(1)")
        claimed = claiming.result(20)

    assert [task.revision_note for task in claimed.tasks] == ["too short"]
    assert claimed.previous[id_].body == "A draft"
