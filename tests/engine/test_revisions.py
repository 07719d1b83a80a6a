"""CheckFailed: the draft is stored, the next attempt gets it with the problem, and no retry is charged."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from contentq import CheckFailed, Context, GeneratedContent, Task, ThreadContext, count_words
from contentq.queue import contract

from tests.engine.conftest import Database, Insert, Row, StartWorker
from tests.support.waiting import eventually

WorkOff = Callable[..., Any]

PAID = {"model": "m", "prompt_tokens": 10, "cost": 0.5}
DRAFTS = "SELECT title, body, word_count, review_status FROM contents ORDER BY id"
USAGE = "SELECT attempts, prompt_tokens, cost::float8 FROM contentq.usage"


def write(task: Task, context: Context | ThreadContext) -> GeneratedContent:
    """A handler that adds a word in each revision and accepts three."""
    before = "" if context.previous_content is None else context.previous_content.body
    draft = GeneratedContent("Tea", f"{before} word".strip(), result={"told": task.revision_note, **PAID})
    if len(draft.body.split()) < 3:
        raise CheckFailed(f"it has {len(draft.body.split())} words\nwrite 3", draft=draft)
    return draft


async def write_async(task: Task, context: Context) -> GeneratedContent:
    return write(task, context)


@pytest.mark.parametrize("handler", [write, write_async], ids=["plain", "async"])
def test_draft_is_revised_until_its_checks_pass(
    work_off: WorkOff, insert: Insert, row: Row, database: Database, handler: Any
) -> None:
    id_ = insert(max_retries=0)

    running = work_off(handler)

    task = row(id_)
    assert (task.status, task.attempt, task.retry_count, task.revision_count) == ("completed", 3, 0, 2)
    assert task.result["told"] == "it has 2 words\nwrite 3"
    assert (task.error_message, task.revision_note) == (None, None)
    assert [error["message"] for error in task.attempt_errors] == [
        "it has 1 words\nwrite 3",
        "it has 2 words\nwrite 3",
    ]
    assert database.execute(DRAFTS).fetchall() == [
        ("Tea", "word", 1, "rejected"),
        ("Tea", "word word", 2, "rejected"),
        ("Tea", "word word word", 3, "approved"),
    ]
    assert database.execute(USAGE).fetchall() == [(3, 30, 1.5)]
    assert (running.worker.counts.revised, running.worker.counts.completed) == (2, 1)


def test_many_that_fail_at_once_each_keep_their_own_draft(
    work_off: WorkOff, insert: Insert, row: Row, database: Database
) -> None:
    async def handler(task: Task, _context: Context) -> None:
        text = f'{task.id} {{"quoted", \\ and NULL}}'
        raise CheckFailed(text, draft=None if task.id % 3 == 0 else GeneratedContent("NULL", text))

    with database.transaction():
        tasks = [insert() for _ in range(30)]

    work_off(handler, concurrency=30)

    for id_ in tasks:
        task = row(id_)
        text = f'{id_} {{"quoted", \\ and NULL}}'
        assert (task.status, task.revision_count, task.error_message) == ("failed", 2, text)
        stored = database.execute("SELECT title, body FROM contents WHERE id = %s", [task.content_id]).fetchone()
        assert stored == (None if id_ % 3 == 0 else ("NULL", text))


@pytest.mark.parametrize("max_revisions", [0, 1])
def test_last_draft_waits_for_a_reviewer_when_the_handler_says_so(
    work_off: WorkOff, insert: Insert, row: Row, database: Database, max_revisions: int
) -> None:
    async def handler(_task: Task, _context: Context) -> None:
        draft = GeneratedContent("Tea", "two words", result={"failed_checks": "mine", "note": "n"})
        raise CheckFailed("short", draft=draft, max_revisions=max_revisions, keep_for_review=True, usage=PAID)

    id_ = insert()

    running = work_off(handler)

    task = row(id_)
    assert (task.status, task.revision_count) == ("completed", max_revisions)
    assert task.result == {
        "success": True,
        "content_id": task.content_id,
        "word_count": 2,
        "failed_checks": ["short"],
        "note": "n",
        **PAID,
    }
    assert database.execute(DRAFTS).fetchall()[-1] == ("Tea", "two words", 2, "pending")
    assert running.worker.counts.completed == 1


@pytest.mark.parametrize(
    ("draft", "said"),
    [
        (GeneratedContent("t", "a\x00b"), "the body of the content cannot be stored"),
        (GeneratedContent("t", 5), "the body of the content is an int"),  # type: ignore[arg-type]
        (GeneratedContent("t", "b", result={"raw": ...}), "cannot be stored as JSON"),
        ("# Markdown", "the draft of a failed check is a str, not GeneratedContent"),
        ({"title": "t", "body": "b"}, "the draft of a failed check is a dict, not GeneratedContent"),
    ],
    ids=["nul", "no text", "no json", "text", "dict"],
)
def test_draft_that_cannot_be_stored_fails_its_task_and_what_it_has_cost_counts(
    work_off: WorkOff, insert: Insert, row: Row, database: Database, draft: Any, said: str
) -> None:
    async def handler(task: Task, _context: Context) -> None:
        if task.topic == "bad":
            raise CheckFailed("short", draft=draft, usage=PAID)

    bad, good = insert(topic="bad"), insert()

    work_off(handler)

    assert (row(bad).status, row(good).status) == ("failed", "completed")
    assert said in row(bad).error_message
    assert database.execute(USAGE).fetchall() == [(1, 10, 0.5)]


def test_draft_that_only_postgresql_refuses_fails_its_task_and_no_other(
    work_off: WorkOff, insert: Insert, row: Row, database: Database
) -> None:
    database.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.title = 'bad' THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NEW; END $$"
    )
    database.execute("CREATE TRIGGER refuse BEFORE INSERT ON contents FOR EACH ROW EXECUTE FUNCTION refuse()")

    async def handler(task: Task, _context: Context) -> GeneratedContent:
        content = GeneratedContent(task.topic or "", "text", result=PAID)
        if task.revision_count == 0:
            raise CheckFailed("once more", draft=content)
        return content

    bad, good = insert(topic="bad"), [insert() for _ in range(5)]
    work_off(handler)

    assert [row(id_).status for id_ in good] == ["completed"] * 5
    assert row(bad).status == "failed"
    assert "not this one" in row(bad).error_message
    assert database.execute(USAGE).fetchall() == [(11, 110, 5.5)]


def test_report_whose_answer_is_lost_keeps_one_draft(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    revise, calls = contract.revise, []

    async def lose_first_answer(connection: Any, *arguments: Any) -> dict[int, str]:
        answer = await revise(connection, *arguments)
        calls.append(answer)
        if len(calls) == 1:
            raise psycopg.OperationalError("the answer was lost")
        return answer

    monkeypatch.setattr(contract, "revise", lose_first_answer)
    go = threading.Event()

    async def handler(task: Task, _context: Context) -> GeneratedContent:
        if task.attempt == 1:
            raise CheckFailed("short", draft=GeneratedContent("t", "draft"))
        await asyncio.to_thread(go.wait, 30)
        return GeneratedContent("t", "article")

    start_worker(handler, first_backoff=0.01, longest_backoff=0.05)
    id_ = insert()
    eventually(lambda: len(calls) == 2)
    go.set()

    eventually(lambda: row(id_).status == "completed")
    assert calls == [{id_: "pending"}, {}]
    assert row(id_).revision_count == 1
    assert [body for _, body, *_ in database.execute(DRAFTS).fetchall()] == ["draft", "article"]


def test_cancelled_task_keeps_no_draft(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    go = threading.Event()

    def handler(_task: Task, _context: ThreadContext) -> None:
        go.wait(30)
        raise CheckFailed("short", draft=GeneratedContent("t", "draft", result=PAID))

    running = start_worker(handler, heartbeat=60)
    id_ = insert()
    eventually(lambda: row(id_).status == "processing")
    database.execute("SELECT contentq.cancel(task_id) FROM content_generation_tasks")
    go.set()

    eventually(lambda: row(id_).status == "failed")
    assert row(id_).error_message == "Task cancelled"
    assert database.execute(DRAFTS).fetchall() == []
    assert database.execute(USAGE).fetchall() == [(1, 10, 0.5)]
    running.stop()


def test_work_on_the_context_connection_is_rolled_back(
    work_off: WorkOff, insert: Insert, row: Row, database: Database
) -> None:
    database.execute("CREATE TABLE notes (task_id integer)")

    async def handler(task: Task, context: Context) -> GeneratedContent:
        connection = await context.connection()
        await connection.execute("INSERT INTO notes VALUES (%s)", [task.id])
        content = GeneratedContent("t", "text")
        if task.attempt == 1:
            raise CheckFailed("once more", draft=content)
        return content

    id_ = insert()
    work_off(handler)

    assert (row(id_).status, row(id_).revision_count) == ("completed", 1)
    assert database.execute("SELECT count(*) FROM notes").fetchone() == (1,)


def test_large_draft_does_not_hold_up_the_event_loop(
    work_off: WorkOff, insert: Insert, row: Row, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []

    def counting(text: str) -> int:
        threads.append(threading.current_thread().name)
        return count_words(text)

    monkeypatch.setattr("contentq.engine.results.count_words", counting)

    async def handler(task: Task, _context: Context) -> GeneratedContent:
        threads.append(threading.current_thread().name)
        raise CheckFailed("long", draft=GeneratedContent("t", "word " * 20_000), max_revisions=0)

    id_ = insert()
    work_off(handler)

    assert row(id_).status == "failed"
    loop, counter = threads
    assert counter != loop


@pytest.mark.parametrize("number", [-1, True, 1.5, "2", None])
def test_number_of_revisions_must_be_one(number: Any) -> None:
    with pytest.raises(ValueError, match="max_revisions must be a whole number of 0 or more"):
        CheckFailed("short", max_revisions=number)


@pytest.mark.parametrize(("number", "counts_as"), [(0, 0), (1, 1), (10**12, 2), ("many", 2)])
def test_number_that_a_subclass_has_made_of_it_does_not_cost_the_draft(
    work_off: WorkOff, insert: Insert, row: Row, number: Any, counts_as: int
) -> None:
    async def handler(_task: Task, _context: Context) -> None:
        error = CheckFailed("short", draft=GeneratedContent("t", "b"))
        error.max_revisions = number
        raise error

    id_ = insert()
    work_off(handler)

    assert (row(id_).status, row(id_).revision_count) == ("failed", counts_as)
