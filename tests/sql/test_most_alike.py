"""most_alike(): the most similar of an account's latest contents."""

from __future__ import annotations

import psycopg
import pytest
from contentq import Context, GeneratedContent, Task, ThreadContext
from contentq.checks import MaxLikeness, MinWords, check, check_in_thread
from contentq.testing import run_task

from tests.support.queue import Queue

TEXT = "Lentils need no soaking, and an hour on a low flame; the salt comes last, and lemon with it."


@pytest.fixture
def trigrams(queue: Queue) -> None:
    if not queue.values("SELECT name FROM pg_available_extensions WHERE name = 'pg_trgm'"):
        pytest.skip("this server has no pg_trgm")
    queue.run("CREATE SCHEMA elsewhere")
    queue.run("CREATE EXTENSION pg_trgm SCHEMA elsewhere")


def add_content(queue: Queue, body: str, account: int | None = None, review: str = "approved") -> int:
    insert = "INSERT INTO contents (account_id, title, body, review_status) VALUES (%s, 'T', %s, %s) RETURNING id"
    return int(queue.value(insert, account or queue.account, body, review))


def most_alike(queue: Queue, task: int, body: str, last: int = 50) -> tuple[int, float] | None:
    rows = queue.rows("SELECT * FROM contentq.most_alike(%s, %s, %s)", task, body, last)
    return (rows[0]["content_id"], round(rows[0]["likeness"], 2)) if rows else None


@pytest.mark.usefixtures("trigrams")
def test_the_most_alike_of_the_last_contents_is_found(queue: Queue) -> None:
    task = queue.add()
    assert most_alike(queue, task, TEXT) is None
    same, other = add_content(queue, TEXT), add_content(queue, "How to read a weather map")

    assert most_alike(queue, task, TEXT) == (same, 1.0)
    found = most_alike(queue, task, TEXT, last=1)
    assert found is not None
    assert found[0] == other
    assert found[1] < 0.2


@pytest.mark.usefixtures("trigrams")
def test_rejected_content_and_that_of_others_does_not_count(queue: Queue) -> None:
    own = add_content(queue, TEXT)
    task = queue.add(content_id=own)
    add_content(queue, TEXT, review="rejected")
    add_content(queue, TEXT, queue.add_account())

    assert most_alike(queue, task, TEXT) is None


@pytest.mark.usefixtures("trigrams")
def test_long_texts_are_compared_by_their_beginning(queue: Queue) -> None:
    content = add_content(queue, TEXT * 20_000)

    assert most_alike(queue, queue.add(), TEXT * 20_000) == (content, 1.0)


def test_missing_extension_is_named(queue: Queue) -> None:
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="pg_trgm is not installed") as caught:
        most_alike(queue, queue.add(), TEXT)

    assert caught.value.diag.message_hint is not None
    assert "CREATE EXTENSION pg_trgm" in caught.value.diag.message_hint


@pytest.mark.usefixtures("trigrams")
def test_draft_that_is_like_an_earlier_one_is_written_differently(queue: Queue, dsn: str) -> None:
    earlier = add_content(queue, TEXT)
    told: list[str | None] = []

    async def write(task: Task, context: Context) -> GeneratedContent:
        told.append(task.revision_note)
        body = (
            f"Slightly changed: {TEXT}" if task.revision_note is None else "Isobars are lines of equal pressure."
        )
        return await check(GeneratedContent("Lentils", body), [MaxLikeness(0.6), MinWords(3)], context)

    def plain(task: Task, context: ThreadContext) -> GeneratedContent:
        return check_in_thread(GeneratedContent("Lentils", TEXT), [MaxLikeness(0.6)], context, max_revisions=0)

    task, refused = queue.add(), queue.add(topic="plain")
    run_task(dsn, write, task)
    run_task(dsn, write, task)
    run_task(dsn, plain, refused)

    assert queue.row(task)["status"] == "completed"
    assert told[0] is None
    assert told[1] is not None
    assert f"like 'T' (content {earlier}); make that 60% at most" in told[1]
    assert queue.status(refused) == "failed"
    assert "it is 100% like" in queue.row(refused)["error_message"]


def test_check_without_the_extension_fails_its_task_with_what_to_do(queue: Queue, dsn: str) -> None:
    async def write(_task: Task, context: Context) -> GeneratedContent:
        return await check(GeneratedContent("Lentils", TEXT), [MaxLikeness(0.6)], context)

    task = queue.add()
    run_task(dsn, write, task)

    assert queue.status(task) == "failed"
    assert "pg_trgm is not installed" in queue.row(task)["error_message"]
    assert "CREATE EXTENSION pg_trgm" in queue.row(task)["error_message"]
