"""A handler snoozes its task for its own reason: no retry is charged, and no gate learns of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from contentq import Context, HandlerError, RateLimited, Snooze, Task, TemporaryError, ThreadContext
from contentq.errors import LONGEST_DELAY

from tests.engine.conftest import Database, Insert, Row, StartWorker
from tests.support.waiting import eventually

WorkOff = Callable[..., Any]

EVENTS = "SELECT count(*) FROM contentq.gate_events"
WAIT = "SELECT extract(epoch FROM scheduled_at - clock_timestamp())::float8 FROM content_generation_tasks"


@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
def test_snoozed_task_is_tried_again_with_no_retry_charged(
    work_off: WorkOff, insert: Insert, row: Row, plain: bool
) -> None:
    def plainly(task: Task, _context: ThreadContext) -> None:
        if task.attempt < 3:
            raise Snooze("the article that it cites is not ready", delay=0.05)

    async def async_(task: Task, context: Context) -> None:
        plainly(task, context)  # type: ignore[arg-type]

    id_ = insert(max_retries=0)

    work_off(plainly if plain else async_, poll=60)

    task = row(id_)
    assert (task.status, task.retry_count, task.attempt, task.attempt_errors) == ("completed", 0, 3, [])


def test_no_gate_hears_of_a_snooze_and_the_delay_is_kept_exactly(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    async def handler(_task: Task, _context: Context) -> None:
        raise Snooze("in a week", delay=timedelta(days=7))

    id_ = insert()

    start_worker(handler, gate="p")

    eventually(lambda: row(id_).scheduled_at is not None)
    assert (row(id_).status, row(id_).error_message) == ("pending", "in a week")
    wait = database.execute(WAIT).fetchone()
    assert wait is not None
    assert 7 * 86400 - 60 < wait[0] <= 7 * 86400
    assert database.execute(EVENTS).fetchone() == (0,)


def test_snooze_without_a_message_leaves_the_last_error(
    start_worker: StartWorker, insert: Insert, row: Row
) -> None:
    async def handler(_task: Task, _context: Context) -> None:
        raise Snooze(delay=3600)

    id_ = insert(error_message="the answer was empty")

    start_worker(handler)

    eventually(lambda: row(id_).attempt == 1 and row(id_).status == "pending")
    assert row(id_).error_message == "the answer was empty"


def test_snooze_for_no_time_comes_back_after_a_second(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    async def handler(_task: Task, _context: Context) -> None:
        raise Snooze(delay=0)

    id_ = insert()

    start_worker(handler)

    eventually(lambda: row(id_).attempt == 1 and row(id_).scheduled_at is not None)
    wait = (row(id_).scheduled_at - row(id_).updated_at).total_seconds()
    assert 0.9 < wait < 1.5


def test_what_a_snoozed_attempt_has_cost_is_counted(
    start_worker: StartWorker, insert: Insert, row: Row, database: Database
) -> None:
    async def handler(_task: Task, _context: Context) -> None:
        raise Snooze("later", delay=3600, usage={"model": "m", "cost": 0.5})

    id_ = insert()

    start_worker(handler)

    eventually(lambda: row(id_).scheduled_at is not None)
    assert database.execute("SELECT model, cost::float8 FROM contentq.usage").fetchone() == ("m", 0.5)


@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
def test_next_attempt_finds_what_was_kept_and_the_end_forgets_it(
    work_off: WorkOff, insert: Insert, row: Row, plain: bool
) -> None:
    found: list[dict[str, Any]] = []

    def plainly(task: Task, context: ThreadContext) -> None:
        found.append(context.state)
        if task.attempt == 1:
            raise Snooze("asked", delay=0.05, state={"job": 'a "job", 中文 \\'})
        if task.attempt == 2:
            raise Snooze("not yet", delay=0.05)
        if task.attempt == 3:
            raise TemporaryError("busy", retry_after=0.05)

    async def async_(task: Task, context: Context) -> None:
        plainly(task, context)  # type: ignore[arg-type]

    id_ = insert()

    work_off(plainly if plain else async_, poll=60)

    assert found == [{}, *3 * [{"job": 'a "job", 中文 \\'}]]
    assert (row(id_).status, row(id_).handler_state) == ("completed", None)


@pytest.mark.parametrize(
    "error",
    [TemporaryError("x", retry_after=0.05, state={"n": 2}), RateLimited("x", retry_after=0.05, state={"n": 2})],
    ids=["temporary", "refused"],
)
def test_any_error_may_replace_what_was_kept(
    work_off: WorkOff, insert: Insert, row: Row, error: HandlerError
) -> None:
    found: list[dict[str, Any]] = []

    async def handler(task: Task, context: Context) -> None:
        found.append(context.state)
        if task.attempt == 1:
            raise Snooze(delay=0.05, state={"n": 1})
        if task.attempt == 2:
            raise error
        if task.attempt == 3:
            raise TemporaryError("x", retry_after=0.05, state={})

    id_ = insert()

    work_off(handler, poll=60)

    assert (found, row(id_).status) == ([{}, {"n": 1}, {"n": 2}, {}], "completed")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"text": 8192 * "x"}, "Snooze cannot be reported: its state has 8,204 bytes; at most 8,192 are kept"),
        ({"a": [1e300] * 200}, "Snooze cannot be reported: its state has 60,607 bytes; at most 8,192 are kept"),
        ({"set": {1}}, "Snooze cannot be reported: its state cannot be stored as JSON"),
        ({"text": "a\x00b"}, "Snooze cannot be reported: its state cannot be stored as JSON"),
        ([1, 2], "Snooze cannot be reported: its state cannot be stored as JSON"),
        ({"number": 10**5000}, "Snooze cannot be reported: its state cannot be stored as JSON"),
    ],
    ids=["large", "large in jsonb", "no JSON", "no text", "no object", "huge number"],
)
def test_state_that_cannot_be_kept_fails_its_task_and_no_other(
    work_off: WorkOff, insert: Insert, row: Row, state: Any, said: str
) -> None:
    async def handler(task: Task, _context: Context) -> None:
        if task.topic == "bad":
            raise Snooze(delay=1, state=state)

    bad, good = insert(topic="bad"), insert(topic="good")

    work_off(handler)

    assert (row(bad).status, row(good).status) == ("failed", "completed")
    assert row(bad).error_message.startswith(said)


@pytest.mark.parametrize(
    ("state", "size"),
    [
        ({"a": [1e300] * 26, "b": 298 * "x"}, 8192),
        ({"a": [1.5e-300] * 26}, 7937),
        ({"1e300": 8_169 * "x", "n": 0.5}, 8192),
        ({"a": [*100 * [True], *100 * [0.1], *100 * [1e16], *100 * [1e-5], '\\"\n\x7f\u2028é\x01']}, 3929),
    ],
    ids=["large numbers", "small numbers", "text", "others"],
)
def test_state_is_as_large_as_postgresql_writes_it(
    start_worker: StartWorker, insert: Insert, database: Database, state: dict[str, Any], size: int
) -> None:
    async def handler(_task: Task, _context: Context) -> None:
        raise Snooze(delay=3600, state=state)

    insert()

    start_worker(handler)

    stored = "SELECT octet_length(handler_state::text) FROM content_generation_tasks WHERE attempt = 1"
    eventually(lambda: (found := database.execute(stored).fetchone()) and found[0])
    assert database.execute(stored).fetchone() == (size,)


def test_attempt_whose_state_is_too_large_costs_what_it_costs(
    work_off: WorkOff, insert: Insert, row: Row, database: Database
) -> None:
    async def handler(_task: Task, _context: Context) -> None:
        raise TemporaryError("busy", state={"a": [1e300] * 200}, usage={"model": "m", "cost": 0.5})

    id_ = insert()

    work_off(handler)

    assert row(id_).status == "failed"
    assert row(id_).error_message.endswith("; its message: busy")
    assert database.execute("SELECT model, cost::float8 FROM contentq.usage").fetchone() == ("m", 0.5)


def test_state_that_python_cannot_read_fails_its_own_attempt_and_no_other(
    work_off: WorkOff, insert: Insert, row: Row, database: Database
) -> None:
    async def handler(_task: Task, context: Context) -> None:
        _ = context.state

    bad, good = insert(max_retries=0), insert()
    database.execute(
        "UPDATE content_generation_tasks SET handler_state = %s WHERE id = %s",
        [f'{{"a": {1500 * "["}{1500 * "]"}}}', bad],
    )

    work_off(handler)

    assert row(good).status == "completed"
    assert row(bad).status in ("failed", "completed")  # newer Python versions read it


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (5, 5.0),
        (86_400, 86_400.0),
        (Decimal("2.5"), 2.5),
        (timedelta(days=30), 30 * 86_400.0),
        (-1, 0.0),
        (float("inf"), LONGEST_DELAY),
        pytest.param(10**400, LONGEST_DELAY, id="huge"),
        (timedelta.max, LONGEST_DELAY),
    ],
)
def test_delay_is_seconds_or_a_timedelta_and_kept(given: Any, seconds: float) -> None:
    assert Snooze(delay=given).delay == timedelta(seconds=seconds)


@pytest.mark.parametrize("given", ["soon", [5], float("nan"), None])
def test_what_is_no_delay_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match=r"^delay must be seconds \(a number\) or a timedelta, not "):
        Snooze(delay=given)
