"""A task that names content of another account exposes it to nobody (docs/explanation/security.md)."""

from __future__ import annotations

import json

import psycopg
import pytest
from contentq import Context, Task
from contentq.cli.main import execute
from contentq.models import Content, ContentGenerationTask
from contentq.testing import run_task, run_until_empty
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from tests.support.databases import Connection
from tests.support.engines import engine_of
from tests.support.queue import Queue

SECRET = "The merger is announced on Friday."


@pytest.fixture
def queue(database: Connection) -> Queue:
    return Queue(database)


@pytest.fixture
def secret(queue: Queue) -> int:
    """The id of a content of another account."""
    return int(
        queue.value(
            "INSERT INTO contents (account_id, title, body) VALUES (%s, 'Plans', %s) RETURNING id",
            queue.add_account("Victim"),
            SECRET,
        )
    )


@pytest.fixture
def forged(queue: Queue, secret: int) -> int:
    """The id of a task that names it, although it belongs to another account."""
    return queue.add(task_id="task-1", topic="x", content_id=secret, error_message="a note")


class Curious:
    """A handler that records what it learns about an earlier attempt."""

    def __init__(self) -> None:
        self.found: list[object] = []

    async def __call__(self, _task: Task, context: Context) -> None:
        self.found.append(context.previous_content)


def test_no_handler_finds_content_of_another_account(queue: Queue, dsn: str, forged: int) -> None:
    own = queue.value(
        "INSERT INTO contents (account_id, title, body) VALUES (%s, 'Mine', 'Text.') RETURNING id", queue.account
    )
    queue.add(content_id=own)
    curious = Curious()

    run_until_empty(dsn, curious)

    assert queue.status(forged) == "completed"
    first, second = sorted(curious.found, key=lambda found: found is not None)
    assert first is None
    assert second is not None  # so that this test would detect it
    assert getattr(second, "title", None) == "Mine"


@pytest.mark.usefixtures("forged")
def test_show_does_not_print_content_of_another_account(
    dsn: str, capsys: pytest.CaptureFixture[str], secret: int
) -> None:
    assert execute(["--dsn", dsn, "show", "task-1", "--content"]) == 0
    printed = capsys.readouterr().out
    assert SECRET not in printed
    assert f"content {secret} does not belong to the task's account" in printed

    assert execute(["--dsn", dsn, "show", "task-1", "--content", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["content"] is None


@pytest.mark.usefixtures("forged")
def test_follow_does_not_print_content_of_another_account(
    queue: Queue, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    queue.run("UPDATE content_generation_tasks SET status = 'completed', completed_at = now()")

    assert execute(["--dsn", dsn, "show", "task-1", "--follow", "--content"]) == 0
    assert SECRET not in capsys.readouterr().out


def test_test_tools_do_not_return_content_of_another_account(dsn: str, forged: int) -> None:
    assert run_task(dsn, Curious(), forged).content is None


@pytest.mark.usefixtures("forged")
def test_review_of_content_of_another_account_concerns_no_task(queue: Queue, forged: int, secret: int) -> None:
    queue.run("UPDATE contents SET review_status = 'rejected' WHERE id = %s", secret)
    queue.run("UPDATE content_generation_tasks SET status = 'completed', completed_at = now()")

    assert "rejected" not in " ".join(queue.explain(forged))
    assert queue.requeue(forged) is None


def test_completing_a_task_does_not_approve_content_of_another_account(queue: Queue, secret: int) -> None:
    task = queue.running()

    queue.complete(task.worker, [task], content_ids=[secret])

    assert queue.value("SELECT review_status FROM contents WHERE id = %s", secret) == "pending"


@pytest.mark.parametrize("eager", [False, True])
def test_models_do_not_lead_from_a_task_to_content_of_another_account(
    dsn: str, forged: int, secret: int, eager: bool
) -> None:
    options = (selectinload(ContentGenerationTask.content),) if eager else ()
    with Session(engine_of(dsn)) as session:
        content = session.get(Content, secret)
        assert content is not None
        assert content.generation_tasks == []
        task = session.get(ContentGenerationTask, forged, options=options)
        assert task is not None
        assert task.content_id == secret
        assert task.content is None
        assert session.scalars(select(ContentGenerationTask).join(ContentGenerationTask.content)).all() == []


def test_content_that_a_result_names_leads_nowhere(
    queue: Queue, dsn: str, secret: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker in psql can set any content_id for its task; readers follow the column."""
    task = queue.running(queue.register(), task_id="task-1", topic="x")
    result = json.dumps({"success": True, "content_id": secret, "word_count": 6})

    assert queue.complete(task.worker, [task], [result]) == [task.id]

    assert queue.row(task.id)["content_id"] is None
    assert execute(["--dsn", dsn, "show", "task-1", "--content"]) == 0
    assert SECRET not in "".join(capsys.readouterr())


@pytest.mark.parametrize("name", ["content_id", r"c\u006fntent_id", "success", "word_count", "failed_checks"])
def test_extras_cannot_name_another_content(queue: Queue, secret: int, name: str) -> None:
    task = queue.running(queue.register())
    extra = f'{{"model": "m", "{name}": {secret}}}'

    with pytest.raises(psycopg.errors.InvalidParameterValue, match="extras may not contain members"):
        queue.store(task.worker, [task], extras=[extra])
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="extras may not contain members"):
        queue.run(
            "SELECT contentq.revise(%s, %s, %s, 'too short', 'Title', 'Body', 1, %s)",
            task.worker,
            task.id,
            task.attempt,
            extra,
        )

    assert queue.status(task.id) == "processing"
