"""One row cannot break a view: for every possible row, all views, commands and functions return a result."""

from __future__ import annotations

import contextlib
from typing import Any

import psycopg
import pytest
from contentq.queue import inspection
from contentq.queue.selectors import Selector
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.queue import Queue

LAST = "294276-12-31 23:59:59.999999+00"
FIRST = "4713-11-24 00:00:00+00 BC"
"""The last and the first time that PostgreSQL can store."""

FINITE = (
    "submitted_at",
    "started_at",
    "completed_at",
    "created_at",
    "updated_at",
    "cancel_requested_at",
    "ready_at",
)


@pytest.mark.parametrize("time", ["infinity", "-infinity"])
@pytest.mark.parametrize("column", FINITE)
def test_infinite_time_is_refused(queue: Queue, column: str, time: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match=f"content_generation_tasks_{column}_check"):
        queue.add(**{column: time})

    id_ = queue.add()
    if column != "updated_at":  # the trigger sets it
        with pytest.raises(psycopg.errors.CheckViolation, match=f"content_generation_tasks_{column}_check"):
            queue.set(id_, **{column: time})


@pytest.mark.parametrize("column", ["scheduled_at", "timeout_at"])
def test_infinity_stays_what_it_means_where_it_means_never(queue: Queue, worker: int, column: str) -> None:
    id_ = queue.add(**{column: "infinity"})

    claimed = queue.values("SELECT id FROM contentq.claim(%s, 1)", worker)

    assert claimed == ([] if column == "scheduled_at" else [id_])
    assert queue.sweep() == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("task_id", ""),
        ("progress", "NaN"),
        ("progress", "Infinity"),
        ("attempt_errors", '[1, "x", null]'),
        ("attempt_errors", '{"message": "x"}'),
        ("attempt_errors", "null"),
        ("attempt_errors", "1"),
        ("attempt_errors", "{}"),
        ("attempt_errors", "[{}, 1]"),
        ("attempt_errors", "[[1]]"),
        ("attempt_errors", "[[]]"),
        ("attempt_errors", '[[{"message": "x"}]]'),
        ("handler_state", "null"),
        ("handler_state", "[]"),
        ("handler_state", "[{}]"),
        ("handler_state", '"{}"'),
        ("handler_state", '{"text": "' + 8181 * "x" + '"}'),
    ],
)
def test_value_that_is_none_is_refused(queue: Queue, column: str, value: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match=f"content_generation_tasks_{column}_check"):
        queue.add(**{column: value})


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("progress", "-0"),
        ("progress", "1"),
        ("attempt_errors", "[]"),
        ("attempt_errors", "[{}]"),
        ("attempt_errors", '[{"message": []}, {"at": {}}]'),
        ("handler_state", "{}"),
        ("handler_state", '{"text": "' + 8180 * "x" + '"}'),
        ("handler_state", None),
        ("started_at", None),
        ("completed_at", None),
    ],
)
def test_value_at_a_limit_is_accepted(queue: Queue, column: str, value: str | None) -> None:
    id_ = queue.add(**{column: value})

    given = queue.value(f"SELECT {column} IS NOT NULL FROM content_generation_tasks WHERE id = %s", id_)
    assert given == (value is not None)


@pytest.mark.parametrize(
    "row",
    [
        "usage (account_id, day, model, attempts, prompt_tokens, completion_tokens, cost) "
        "VALUES (1, now(), 'm', 1, 0, 0, 'NaN')",
        "usage (account_id, day, model, attempts, prompt_tokens, completion_tokens, cost) "
        "VALUES (1, now(), 'm', 1, 0, 0, 'Infinity')",
        "usage (account_id, day, model, attempts, prompt_tokens, completion_tokens, cost) "
        "VALUES (1, now(), 'm', 0, 0, 0, 0)",
        "usage (account_id, day, model, attempts, prompt_tokens, completion_tokens, cost) "
        "VALUES (1, 'infinity', 'm', 1, 0, 0, 0)",
        "usage (account_id, day, model, attempts, prompt_tokens, completion_tokens, cost) "
        "VALUES (1, now(), 'm', 1, -1, 0, 0)",
        "workers (hostname, pid, slots, handler, heartbeat_at) VALUES ('h', 1, 1, 'x', 'infinity')",
        "workers (hostname, pid, slots, handler, started_at) VALUES ('h', 1, 1, 'x', '-infinity')",
        "gates (key, opens_at, closed_at) VALUES ('g', 'infinity', 'infinity')",
    ],
)
def test_amounts_and_times_of_the_machinery_are_finite(queue: Queue, row: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        queue.run(f"INSERT INTO contentq.{row}")


@pytest.mark.parametrize(
    "change",
    [
        "retention = '2000 years'",
        "backoff_max = '20 years'",
        "heartbeat_timeout = '2 days'",
    ],
)
def test_settings_that_no_time_could_be_reckoned_with_are_refused(queue: Queue, change: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="settings_"):
        queue.run(f"UPDATE contentq.settings SET {change}")


TIMES = st.sampled_from(
    [
        None,
        LAST,
        FIRST,
        "infinity",
        "-infinity",
        "2001-01-01",
        "2999-01-01",
        "now",
        "10000-01-01",
        "0001-01-01 BC",
    ]
)
FINITE_TIMES = TIMES.filter(lambda time: time not in ("infinity", "-infinity"))
TEXTS = st.sampled_from(
    [None, "", "x", "\x1b[2J\n\u202e", "\U0001f4dd" * 100, "%s %% {} \\u0000", "'; --", "x" * 500]
)
INTEGERS = st.sampled_from([0, 1, 2_147_483_647])
JSON = st.sampled_from(
    [
        None,
        "null",
        "[]",
        "{}",
        '"x"',
        "1e400",
        '{"success": 1, "cost": 1e400, "prompt_tokens": -1, "completion_tokens": "NaN", "model": {}}',
        '{"cost": null, "prompt_tokens": 1e30, "word_count": []}',
        "[" * 100 + "]" * 100,
    ]
)
ERRORS = st.sampled_from(
    [
        "[]",
        "[{}]",
        '[{"attempt": null, "at": {}, "worker_id": [], "error_class": 1, "message": null}]',
        '[{"message": {"a": []}, "error_class": "ClaimUnheard", "at": "yesterday"}, {"attempt": 1e400}]',
    ]
)
TASK = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["pending", "processing", "completed", "failed", "timeout"]),
        "submitted_at": FINITE_TIMES.filter(bool),
        "started_at": FINITE_TIMES,
        "completed_at": FINITE_TIMES,
        "timeout_at": TIMES,
        "scheduled_at": TIMES,
        "cancel_requested_at": FINITE_TIMES,
        "created_at": FINITE_TIMES.filter(bool),
        "updated_at": FINITE_TIMES.filter(bool),
        "topic": TEXTS,
        "category": st.sampled_from([None, "", "x"]),
        "error_message": TEXTS,
        "progress": st.sampled_from([None, 0, 1, 1e-40]),
        "progress_note": TEXTS,
        "gate": TEXTS,
        "gate_entered_at": FINITE_TIMES,
        "retry_count": INTEGERS,
        "max_retries": INTEGERS,
        "attempt": INTEGERS,
        "worker_id": st.sampled_from([None, -1, 0, 9_223_372_036_854_775_807, "live"]),
        "result": JSON,
        "attempt_errors": ERRORS,
        "content_id": st.sampled_from([None, "a content"]),
    }
)
ACCOUNT = st.fixed_dictionaries(
    {
        "name": TEXTS.filter(lambda text: text is not None and len(text) < 200),
        "paused_until": TIMES,
        "created_at": FINITE_TIMES.filter(bool),
        "monthly_budget": st.sampled_from([None, "0", "1e-300", "1e300", "Infinity"]),
    }
)
GATE = st.fixed_dictionaries(
    {"opens_at": TIMES.filter(bool), "closed_at": FINITE_TIMES.filter(bool), "reason": TEXTS}
)
WORKER = st.fixed_dictionaries(
    {
        "heartbeat_at": FINITE_TIMES.filter(bool),
        "started_at": FINITE_TIMES.filter(bool),
        "busy": INTEGERS,
        "slots": INTEGERS,
        "gate": st.sampled_from([None, "", "g"]),
    }
)


class Rows:
    """Inserts rows that PostgreSQL accepts; refused rows are skipped."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def insert(self, table: str, columns: dict[str, Any]) -> Any:
        names = ", ".join(columns)
        values = ", ".join(["%s"] * len(columns))
        with contextlib.suppress(psycopg.errors.CheckViolation), self._queue.connection.transaction():
            return self._queue.value(
                f"INSERT INTO {table} ({names}) VALUES ({values}) RETURNING {table.rpartition('.')[2]}::text",
                *columns.values(),
            )
        return None


def look_everywhere(queue: Queue) -> None:
    """Reads every view, and every task in every way, without an error."""
    for view in queue.values("SELECT viewname FROM pg_views WHERE schemaname = 'contentq'"):
        # As text, so that only PostgreSQL has to parse it.
        queue.values(f"SELECT v::text FROM contentq.{view} AS v")
    for found in inspection.tasks(queue.connection, Selector(), limit=1000):
        task_id = found["task_id"]
        assert inspection.explain(queue.connection, task_id)
        assert inspection.task(queue.connection, task_id)
        assert inspection.state(queue.connection, task_id)
        assert inspection.task_as_json(queue.connection, task_id, True)


def keep_house(queue: Queue) -> None:
    """Calls every function on many rows; none may fail or report a failed step."""
    said: list[str] = []

    def listen(notice: psycopg.errors.Diagnostic) -> None:
        said.append(str(notice.message_primary))

    queue.connection.add_notice_handler(listen)
    worker = queue.register()
    for _ in range(2):
        queue.run("UPDATE contentq.maintenance SET cleaned_at = '2001-01-01', watched_since = '2001-01-01'")
        for call in (
            "contentq.maintain()",
            "contentq.sweep_timeouts()",
            "contentq.promote_scheduled()",
            "contentq.rescue_dead_workers()",
            "contentq.cleanup()",
            f"contentq.next_claim_in({worker})",
            f"contentq.heartbeat({worker}, 0, '{{}}', '{{}}', clock_timestamp())",
        ):
            queue.run(f"SELECT {call}")
        for row in queue.values(f"SELECT t::text FROM contentq.claim({worker}, 100) AS t"):
            assert row
    queue.connection.remove_notice_handler(listen)
    assert [line for line in said if "could not" in line] == []


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    accounts=st.lists(ACCOUNT, max_size=2),
    tasks=st.lists(TASK, min_size=1, max_size=6),
    gates=st.lists(GATE, max_size=2),
    workers=st.lists(WORKER, max_size=2),
)
def test_every_view_and_every_call_answers_whatever_rows_there_are(
    queue: Queue,
    accounts: list[dict[str, Any]],
    tasks: list[dict[str, Any]],
    gates: list[dict[str, Any]],
    workers: list[dict[str, Any]],
) -> None:
    account = queue.account
    with queue.connection.transaction(force_rollback=True):
        rows = Rows(queue)
        live = queue.register()
        content = queue.value(
            "INSERT INTO contents (account_id, title, body, created_at) "
            "VALUES (%s, '', '', 'infinity') RETURNING id",
            account,
        )
        for number, columns in enumerate(accounts):
            rows.insert("accounts", {"external_id": str(number), **columns})
        for key, columns in zip(("*", "g"), gates, strict=False):
            rows.insert("contentq.gates", {"key": key, **columns})
        for columns in workers:
            rows.insert("contentq.workers", {"hostname": "h\n", "pid": -1, "handler": "", **columns})
        for columns in tasks:
            filled = {**columns, "account_id": account}
            filled["worker_id"] = live if columns["worker_id"] == "live" else columns["worker_id"]
            filled["content_id"] = content if columns["content_id"] else None
            rows.insert("content_generation_tasks", filled)
        queue.run("SET CONSTRAINTS ALL IMMEDIATE")
        look_everywhere(queue)
        keep_house(queue)
        look_everywhere(queue)


def test_farthest_times_are_subtracted_in_every_view(queue: Queue, worker: int) -> None:
    """The full range of PostgreSQL's times exceeds the range of an interval."""
    for first, last in ((FIRST, LAST), (LAST, FIRST)):
        queue.add(status="completed", submitted_at=first, started_at=last, completed_at=LAST)
        queue.add(status="completed", submitted_at=first, started_at=last, completed_at=FIRST)
        queue.add(status="processing", submitted_at=first, started_at=last, timeout_at=last, worker_id=worker)
        queue.add(
            status="processing", submitted_at=first, started_at=last, timeout_at="infinity", worker_id=worker
        )
        queue.add(status="failed", submitted_at=first, started_at=last, updated_at=last)
        queue.add(submitted_at=first, scheduled_at=last, timeout_at=LAST)
        queue.add(submitted_at=first, timeout_at=last)
    queue.run(
        "UPDATE content_generation_tasks SET completed_at = clock_timestamp() "
        "WHERE status = 'completed' AND mod(id, 2) = 0"
    )

    look_everywhere(queue)

    # A task completed in the future is not counted, and hides no other.
    assert queue.values("SELECT completed FROM contentq.throughput") == [2]


def test_cleanup_removes_completed_rows_with_the_farthest_times_that_have_passed(queue: Queue) -> None:
    queue.add(status="completed", submitted_at=LAST, started_at=LAST, completed_at=FIRST)

    queue.run("UPDATE contentq.settings SET retention = '1000 years'")
    queue.run("SELECT contentq.maintain()")

    assert queue.value("SELECT count(*) FROM content_generation_tasks") == 0
