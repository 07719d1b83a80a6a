"""contentq show --follow."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.conftest import Run, Start
from tests.support.queue import Held, Queue
from tests.support.waiting import eventually


@pytest.fixture
def worker(queue: Queue) -> int:
    """The id of a registered worker."""
    return queue.register()


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs one action instead of each wait between two polls."""

    def do(*steps: Callable[[], object]) -> None:
        left = iter(steps)
        monkeypatch.setattr("contentq.cli.follow.sleep", lambda _seconds: next(left)())

    return do


def said(out: str) -> list[str]:
    """The lines, without the times."""
    return [line.partition("  ")[2] for line in out.splitlines()]


def test_each_change_is_a_line_until_the_task_is_completed(
    contentq: Run, queue: Queue, worker: int, between: Callable[..., None]
) -> None:
    id_ = queue.add(task_id="post-7")
    first, second = Held(worker, id_, 1), Held(worker, id_, 2)
    between(
        lambda: queue.claim(worker),
        lambda: queue.progress(worker, [first], [0.1], ["outline"]),
        lambda: None,
        lambda: queue.progress(worker, [first], [0.5], [None]),
        lambda: queue.fail(first, "503", retry_after="1 hour"),
        lambda: queue.set(id_, scheduled_at=None),
        lambda: queue.claim(worker),
        lambda: queue.complete(worker, [second]),
    )

    outcome = contentq("show", "post-7", "--follow")

    assert (outcome.code, outcome.err) == (0, "")
    lines = said(outcome.out)
    assert lines[4].startswith("pending until ")
    assert lines[4].endswith(": 503")
    assert lines[:4] + lines[5:] == [
        "pending",
        "processing, attempt 1",
        "10 %, outline",
        "50 %, outline",
        "pending: 503",
        "processing, attempt 2",
        "completed",
    ]
    assert all(len(line.partition("  ")[0]) in (8, 19) for line in outcome.out.splitlines())


def test_attempt_that_is_under_way_is_shown_with_its_progress(
    contentq: Run, queue: Queue, between: Callable[..., None]
) -> None:
    task = queue.running(task_id="post-7")
    queue.progress(task.worker, [task], [None], ["two\nlines"])
    between(lambda: queue.complete(task.worker, [task]))

    assert said(contentq("show", "post-7", "--follow").out) == ["processing, attempt 1: two lines", "completed"]


@pytest.mark.parametrize("status", ["failed", "timeout"])
def test_task_that_ends_otherwise_ends_with_1(contentq: Run, queue: Queue, status: str) -> None:
    queue.add(task_id="post-7", status=status, error_message="It broke")

    outcome = contentq("show", "post-7", "--follow")

    assert (outcome.code, outcome.err) == (1, "")
    assert said(outcome.out) == [f"{status}: It broke"]


def test_content_follows_when_it_is_asked_for(contentq: Run, queue: Queue, between: Callable[..., None]) -> None:
    task = queue.running(task_id="post-7")
    between(lambda: queue.store(task.worker, [task]))

    outcome = contentq("show", "post-7", "--follow", "--content")

    assert outcome.code == 0
    assert outcome.out.endswith(f" words, approved\n\nTitle {task.id}\n\ntwo words\n")


def test_json_is_one_object_a_line(contentq: Run, queue: Queue, between: Callable[..., None]) -> None:
    task = queue.running(task_id="post-7")
    between(
        lambda: queue.progress(task.worker, [task], [0.5], ["half"]),
        lambda: queue.store(task.worker, [task]),
    )

    outcome = contentq("show", "post-7", "--follow", "--json", "--content")

    *states, content = map(json.loads, outcome.out.splitlines())
    told: list[tuple[Any, ...]] = [
        (state["task_id"], state["status"], state["attempt"], state["progress"], state["note"]) for state in states
    ]
    assert told == [
        ("post-7", "processing", 1, None, None),
        ("post-7", "processing", 1, 0.5, "half"),
        ("post-7", "completed", 1, 0.5, "half"),
    ]
    assert content["content"]["body"] == "two words"


def test_unknown_task_ends_with_1(contentq: Run) -> None:
    outcome = contentq("show", "post-8", "--follow")

    assert outcome.code == 1
    assert outcome.error == "there is no task post-8; find it with: contentq list"


def test_task_that_is_deleted_meanwhile_ends_with_1(
    contentq: Run, queue: Queue, between: Callable[..., None]
) -> None:
    queue.add(task_id="post-7")
    between(lambda: queue.run("DELETE FROM content_generation_tasks"))

    outcome = contentq("show", "post-7", "--follow")

    assert (outcome.code, outcome.err) == (1, "Error: task post-7 was deleted\n")


def test_interrupt_ends_with_130(start: Start, dsn: str, queue: Queue) -> None:
    queue.add(task_id="post-7")
    process = start("show", "post-7", "--follow", DATABASE_URL=dsn)
    assert process.stdout is not None
    assert process.stdout.readline().decode().endswith("  pending\n")

    process.send_signal(signal.SIGINT)

    _, error = process.communicate(timeout=10)
    assert (process.returncode, error.decode().strip()) == (130, "interrupted")


@pytest.mark.slow
def test_changes_are_seen_within_seconds(start: Start, dsn: str, queue: Queue) -> None:
    task = queue.running(task_id="post-7")
    process = start("show", "post-7", "--follow", DATABASE_URL=dsn)
    assert process.stdout is not None
    process.stdout.readline()

    queue.complete(task.worker, [task])

    assert eventually(lambda: process.poll() is not None)
    assert process.returncode == 0
