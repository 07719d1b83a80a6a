"""State that a handler stores for its next attempt: it stays in the row as long as the task exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.support.queue import Held, Queue

SNOOZE = "SELECT contentq.snooze(%s, %s, %s, clock_timestamp() - interval '1 second', state => %s)"


def keep(queue: Queue, task: Held, state: str | None) -> bool:
    """Snoozes a task for zero seconds with this state."""
    return bool(queue.value(SNOOZE, task.worker, task.id, task.attempt, state))


def kept(queue: Queue, id_: int) -> Any:
    return queue.row(id_)["handler_state"]


def again(queue: Queue, task: Held) -> Held:
    """The next attempt."""
    [row] = queue.claim(task.worker)
    assert row["id"] == task.id
    return Held(task.worker, task.id, row["attempt"])


def snoozed(queue: Queue, **columns: Any) -> Held:
    """A running task, in an attempt after one that stored a state."""
    task = queue.running(**columns)
    assert keep(queue, task, '{"job": 1}')
    return again(queue, task)


def test_next_attempt_finds_what_was_kept_until_another_state_takes_its_place(queue: Queue) -> None:
    task = queue.running()
    assert keep(queue, task, '{"job": 1}')
    task = again(queue, task)
    assert kept(queue, task.id) == {"job": 1}
    assert keep(queue, task, None)
    assert kept(queue, task.id) == {"job": 1}

    assert keep(queue, again(queue, task), '{"page": 2}')
    assert kept(queue, task.id) == {"page": 2}

    assert keep(queue, again(queue, task), "{}")
    assert kept(queue, task.id) is None


@pytest.mark.parametrize("state", ["[]", '"text"', "null", "1", '{"text": "' + 8192 * "x" + '"}'])
def test_state_that_is_no_small_object_is_refused(queue: Queue, state: str) -> None:
    task = queue.running()

    with pytest.raises(psycopg.errors.CheckViolation, match="handler_state"):
        keep(queue, task, state)

    assert queue.status(task.id) == "processing"


def test_retry_release_and_rescue_keep_it(queue: Queue) -> None:
    task = snoozed(queue)
    fail = "SELECT contentq.fail(%s, %s, %s, 'busy', retry_after => '0', state => %s)"
    queue.run(fail, task.worker, task.id, task.attempt, None)
    assert kept(queue, task.id) == {"job": 1}
    task = again(queue, task)
    queue.run(fail, task.worker, task.id, task.attempt, '{"job": 2}')
    assert kept(queue, task.id) == {"job": 2}
    task = again(queue, task)
    assert queue.release(task.worker, [task]) == [task.id]
    assert kept(queue, task.id) == {"job": 2}
    task = again(queue, task)
    queue.silence(task.worker)
    assert queue.value("SELECT contentq.rescue_dead_workers()") == 1
    assert (queue.status(task.id), kept(queue, task.id)) == ("pending", {"job": 2})


ENDS: dict[str, Callable[[Queue, Held], Any]] = {
    "complete": lambda queue, task: queue.complete(task.worker, [task]),
    "store": lambda queue, task: queue.run(
        "SELECT contentq.store(%s, %s, %s, '{t}', '{b}', '{1}')", task.worker, [task.id], [task.attempt]
    ),
    "fail": lambda queue, task: queue.run(
        "SELECT contentq.fail(%s, %s, %s, 'no', permanent => true)", task.worker, task.id, task.attempt
    ),
    "cancel": lambda queue, task: (
        queue.release(task.worker, [task]),
        queue.run("SELECT contentq.cancel(task_id) FROM content_generation_tasks"),
    ),
    "deadline": lambda queue, task: (
        queue.run("UPDATE content_generation_tasks SET timeout_at = '2020-01-01'"),
        queue.run("SELECT contentq.sweep_timeouts()"),
    ),
    "by hand": lambda queue, task: queue.run("UPDATE content_generation_tasks SET status = 'failed'"),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_task_that_has_ended_keeps_nothing(queue: Queue, end: Callable[[Queue, Held], Any]) -> None:
    task = snoozed(queue)

    end(queue, task)

    assert queue.status(task.id) in ("completed", "failed", "timeout")
    assert kept(queue, task.id) is None


def test_stale_attempt_cannot_replace_it(queue: Queue) -> None:
    task = snoozed(queue)

    assert not keep(queue, Held(task.worker, task.id, task.attempt - 1), '{"job": 2}')

    assert kept(queue, task.id) == {"job": 1}
