"""The functions of the SQL contract that a worker calls, on an asyncio connection in autocommit mode.

Each is one statement. Errors are psycopg's, except NotRegistered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import TupleRow

from contentq.content import PreviousContent
from contentq.errors import ContentQueueError
from contentq.queue.arrays import integers, texts
from contentq.queue.claimed import CLAIMED, task_of
from contentq.queue.outcomes import (
    Completed,
    Failed,
    Held,
    Outcome,
    Progressed,
    Released,
    Revised,
    Snoozed,
    Stored,
)
from contentq.task import Task

Connection = psycopg.AsyncConnection[TupleRow]

READY_CHANNEL = "contentq_ready"

NOT_REGISTERED = "CQ001"
"""SQLSTATE of claim() and heartbeat() for a worker that is no longer registered."""

_REGISTER = "SELECT contentq.register_worker(%s, %s, %s, %s, %s, %s, %s, %s)"
_DRAIN = "SELECT contentq.drain_worker(%s)"
DEREGISTER = "SELECT contentq.deregister_worker(%s)"
_HEARTBEAT = """
    SELECT NULL, NULL, extract(epoch FROM statement_timestamp())::float8
    UNION ALL
    SELECT id, attempt, NULL
    FROM contentq.heartbeat(%s, %s, %s::bigint[], %s::integer[], to_timestamp(%s::float8))"""
_MAINTAIN = "SELECT extract(epoch FROM contentq.maintain())::float8"
_CLAIM = f"""
    SELECT {CLAIMED},
           CASE WHEN t.content_id IS NOT NULL THEN contentq.earlier_content(t.content_id, t.account_id) END,
           NULL, NULL
    FROM contentq.claim(%s, %s, task_ids => %s::bigint[]) AS t
    UNION ALL
    SELECT {", ".join(["NULL"] * len(Task._fields))}, NULL,
           extract(epoch FROM contentq.next_claim_in(%s))::float8,
           contentq.waits_for(%s)"""
"""The tasks, each with its earlier content. The last row has the time to sleep if there are too few, and what the
worker waits for."""
_WAITING = "SELECT contentq.anything_waits(%s, make_interval(secs => %s))"
_COMPLETE = "SELECT contentq.complete(%s, %s::bigint[], %s::integer[], %s::pg_catalog.text[])"
_STORE = """
    SELECT contentq.store(%s, %s::bigint[], %s::integer[], %s::pg_catalog.text[], %s::pg_catalog.text[],
                          %s::integer[], %s::pg_catalog.text[])"""
"""These two are also called in handlers' transactions, whose search_path may find other types of the same name."""
_FAIL = """
    SELECT r.id, r.attempt,
           contentq.fail(%s, r.id, r.attempt, r.message, r.permanent, r.retry_after, r.error_class, r.unanswered,
                         r.state)
    FROM unnest(%s::bigint[], %s::integer[], %s::text[], %s::boolean[], %s::interval[], %s::text[], %s::boolean[],
                %s::jsonb[])
        AS r (id, attempt, message, permanent, retry_after, error_class, unanswered, state)
    WHERE {first}
    ORDER BY r.id"""
_REVISE = """
    SELECT r.id, r.attempt,
           contentq.revise(%s, r.id, r.attempt, r.message, r.title, r.body, r.word_count, r.extra, r.max_revisions,
                           r.keep_for_review)
    FROM unnest(%s::bigint[], %s::integer[], %s::text[], %s::text[], %s::text[], %s::integer[], %s::text[],
                %s::integer[], %s::boolean[])
        AS r (id, attempt, message, title, body, word_count, extra, max_revisions, keep_for_review)
    ORDER BY r.id"""
_SNOOZE = """
    SELECT r.id, r.attempt, 'pending'
    FROM (SELECT *
          FROM unnest(%s::bigint[], %s::integer[], %s::interval[], %s::text[], %s::text[], %s::boolean[],
                      %s::jsonb[])
              AS u (id, attempt, delay, message, refused_by, nothing_left, state)
          ORDER BY u.id) AS r
    WHERE {first}
      AND contentq.snooze(%s, r.id, r.attempt, clock_timestamp() + r.delay, r.message,
                          r.refused_by, r.nothing_left, r.state)"""
_CHARGED = """
    WITH charged AS MATERIALIZED (
        SELECT contentq.record_usage(%s, %s::bigint[], %s::integer[], %s::text[])
    )"""
"""Charges the cost of the attempts before the report, while the worker still holds them. The condition on this row
does not depend on the rows of the report, so that PostgreSQL evaluates it before any of them."""
_RECORD_USAGE = "SELECT contentq.record_usage(%s, %s::bigint[], %s::integer[], %s::text[])"
_PROGRESS = """
    SELECT contentq.report_progress(%s, %s::bigint[], %s::integer[], %s::real[], %s::text[])"""
_LOCKED = "SELECT id, by FROM contentq.locked_tasks(%s, %s::bigint[])"
_RELEASE = "SELECT contentq.release(%s, %s::bigint[], %s::integer[])"


class NotRegistered(ContentQueueError):
    """The worker is no longer registered, and has lost its tasks."""


class Beat(NamedTuple):
    """The answer to a heartbeat.

    to_stop: (id, attempt) of tasks that the worker should stop. at: its time, by the database's clock.
    """

    to_stop: list[tuple[int, int]]
    at: float


class Claimed(NamedTuple):
    """The result of a claim.

    previous: by id, the content of earlier attempts. more_in: seconds until more tasks may be ready; None if none
    are expected. waits_for: what prevents the worker from claiming more, as text for the log.
    """

    tasks: list[Task]
    previous: dict[int, PreviousContent]
    more_in: float | None
    waits_for: str | None


async def register_worker(
    connection: Connection,
    hostname: str,
    pid: int,
    slots: int,
    handler: str,
    gate: str | Sequence[str] | None,
    version: str,
    categories: Sequence[str] | None,
) -> int:
    """Registers a worker; returns its id. gate: one key; several keys, of which each task enters one; or None."""
    has_one = gate is None or isinstance(gate, str)
    gate, gates = (gate, None) if has_one else (None, gate)
    values = [hostname, pid, slots, handler, gate, version, _array(categories), _array(gates)]
    return int(await _value(connection, _REGISTER, values))


async def drain_worker(connection: Connection, worker_id: int) -> None:
    """Marks the worker as draining."""
    await connection.execute(_DRAIN, [worker_id])


async def deregister_worker(connection: Connection, worker_id: int) -> list[int]:
    """Removes the worker and releases its tasks; returns their ids."""
    return await _ids(connection, DEREGISTER, [worker_id])


async def heartbeat(
    connection: Connection, worker_id: int, held: Sequence[tuple[int, int]], complete_until: float | None
) -> Beat:
    """Sends a heartbeat; returns which tasks the worker should stop. Raises NotRegistered.

    held: (id, attempt) of all tasks of the worker. complete_until: the time of an earlier heartbeat up to which
    held is complete: other tasks that were claimed for the worker before it are released; None releases none.
    """
    ids, attempts = integers(id_ for id_, _ in held), integers(attempt for _, attempt in held)
    try:
        cursor = await connection.execute(_HEARTBEAT, [worker_id, len(held), ids, attempts, complete_until])
    except psycopg.Error as error:
        raise _registered_or(error) from None
    (*_, at), *rows = await cursor.fetchall()
    return Beat([(row[0], row[1]) for row in rows], at)


async def maintain(connection: Connection) -> float:
    """Runs the maintenance that is due; returns the seconds until the next call."""
    return float(await _value(connection, _MAINTAIN, []))


async def stay_open(connection: Connection) -> None:
    """Keeps the server from ending this session when idle, even if the database or the role sets a timeout."""
    await connection.execute("SET idle_session_timeout = 0")


async def listen(connection: Connection) -> None:
    """Listens for the notifications that wake idle workers."""
    await connection.execute(f"LISTEN {READY_CHANNEL}")


async def claim(
    connection: Connection, worker_id: int, max_tasks: int, task_ids: Sequence[int] | None = None
) -> Claimed:
    """Claims up to max_tasks tasks of the worker's categories, most urgent first. Raises NotRegistered.

    task_ids: only these tasks, even if they are not ready.
    """
    named = None if task_ids is None else integers(task_ids)
    try:
        cursor = await connection.execute(_CLAIM, [worker_id, max_tasks, named, worker_id, worker_id])
    except psycopg.Error as error:
        raise _registered_or(error) from None
    *rows, (*_, more_in, waits_for) = await cursor.fetchall()
    previous = {row[0]: PreviousContent(*row[-3]) for row in rows if row[-3] is not None}
    tasks = [task_of(row[:-3]) for row in rows]
    return Claimed(tasks, previous, more_in, waits_for)


async def anything_waits(connection: Connection, categories: Sequence[str] | None, idle_for: float) -> bool:
    """Whether a task is ready, waits for a retry, or belongs to a worker that was silent for idle_for seconds.

    Ignores tasks that producers scheduled for later, and tasks of blocked accounts. Heartbeats of live workers
    arrive within idle_for, so that a waiting worker rescues the tasks of dead ones.
    """
    return bool(await _value(connection, _WAITING, [_array(categories), idle_for]))


async def complete(connection: Connection, worker_id: int, outcomes: Sequence[Completed]) -> list[int]:
    """Completes tasks; returns the ids of those whose report was valid."""
    return await _ids(connection, *_complete_call(worker_id, outcomes))


async def store(connection: Connection, worker_id: int, outcomes: Sequence[Stored]) -> list[int]:
    """Stores content and completes its tasks; returns the ids of those whose report was valid."""
    return await _ids(connection, *_store_call(worker_id, outcomes))


def completion_call(outcome: Completed | Stored) -> tuple[str, list[Any]]:
    """Returns the statement and values that complete one task; it returns a row if the report was valid."""
    if isinstance(outcome, Stored):
        return _store_call(outcome.held.worker_id, [outcome])
    return _complete_call(outcome.held.worker_id, [outcome])


def _complete_call(worker_id: int, outcomes: Sequence[Completed]) -> tuple[str, list[Any]]:
    ids, attempts = _names(outcomes)
    return _COMPLETE, [worker_id, ids, attempts, texts(o.result for o in outcomes)]


def _store_call(worker_id: int, outcomes: Sequence[Stored]) -> tuple[str, list[Any]]:
    ids, attempts = _names(outcomes)
    return _STORE, [
        worker_id,
        ids,
        attempts,
        texts(o.title for o in outcomes),
        texts(o.body for o in outcomes),
        integers(o.word_count for o in outcomes),
        texts(o.extra for o in outcomes),
    ]


async def fail(connection: Connection, worker_id: int, outcomes: Sequence[Failed]) -> dict[int, str]:
    """Reports failed attempts; returns the new status of each task whose report was valid."""
    ids, attempts = _names(outcomes)
    values = [
        worker_id,
        ids,
        attempts,
        [o.message for o in outcomes],
        [o.permanent for o in outcomes],
        [o.retry_after for o in outcomes],
        [o.error_class for o in outcomes],
        [o.unanswered for o in outcomes],
        texts(o.state for o in outcomes),
    ]
    return await _statuses(connection, _FAIL, values, worker_id, outcomes)


async def revise(connection: Connection, worker_id: int, outcomes: Sequence[Revised]) -> dict[int, str]:
    """Reports drafts whose checks failed; returns the new status of each task whose report was valid."""
    ids, attempts = _names(outcomes)
    drafts = [o.draft for o in outcomes]
    values = [
        worker_id,
        ids,
        attempts,
        texts(o.message for o in outcomes),
        texts(None if draft is None else draft.title for draft in drafts),
        texts(None if draft is None else draft.body for draft in drafts),
        [None if draft is None else draft.word_count for draft in drafts],
        texts(o.extra for o in outcomes),
        integers(o.max_revisions for o in outcomes),
        [o.keep_for_review for o in outcomes],
    ]
    cursor = await connection.execute(_REVISE, values)
    return _new_statuses(await cursor.fetchall())


async def snooze(connection: Connection, worker_id: int, outcomes: Sequence[Snoozed]) -> dict[int, str]:
    """Snoozes tasks, with no retry charged; returns the new status of each task whose report was valid."""
    ids, attempts = _names(outcomes)
    values = [
        ids,
        attempts,
        [o.delay_left for o in outcomes],
        [o.message or None for o in outcomes],
        [o.refused_by for o in outcomes],
        [o.nothing_left for o in outcomes],
        texts(o.state for o in outcomes),
        worker_id,
    ]
    return await _statuses(connection, _SNOOZE, values, worker_id, outcomes)


async def record_usage(connection: Connection, held: Held, usage: str | None) -> None:
    """Adds the cost of a call to a running attempt. Calling it twice counts it twice."""
    ids, attempts = integers([held.id]), integers([held.attempt])
    await connection.execute(_RECORD_USAGE, [held.worker_id, ids, attempts, texts([usage])])


async def report_progress(connection: Connection, worker_id: int, notes: Sequence[Progressed]) -> None:
    """Records the progress of attempts; ignores attempts that have ended."""
    ids, attempts = _names(notes)
    values = [worker_id, ids, attempts, [n.fraction for n in notes], texts(n.note for n in notes)]
    await connection.execute(_PROGRESS, values)


async def locked_tasks(connection: Connection, worker_id: int, ids: Sequence[int]) -> dict[int, str]:
    """Returns the tasks whose report waits for another session's lock; by id, what is locked and by whom."""
    cursor = await connection.execute(_LOCKED, [worker_id, integers(ids)])
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def release(connection: Connection, worker_id: int, outcomes: Sequence[Released]) -> list[int]:
    """Releases tasks, with no retry charged; returns the ids of those that are pending again."""
    ids, attempts = _names(outcomes)
    return await _ids(connection, _RELEASE, [worker_id, ids, attempts])


def _array(texts: Sequence[str] | None) -> list[str] | None:
    return list(texts) if texts else None


def _names(outcomes: Sequence[Outcome | Progressed]) -> tuple[str, str]:
    """Returns the ids and the attempts as arrays."""
    held: list[Held] = [o.held for o in outcomes]
    return integers(h.id for h in held), integers(h.attempt for h in held)


def _registered_or(error: psycopg.Error) -> Exception:
    return NotRegistered(str(error).partition("\n")[0]) if error.sqlstate == NOT_REGISTERED else error


async def _value(connection: Connection, query: str, values: Any) -> Any:
    cursor = await connection.execute(query, values)
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def _statuses(
    connection: Connection,
    report: str,
    values: list[Any],
    worker_id: int,
    outcomes: Sequence[Failed | Snoozed],
) -> dict[int, str]:
    """Runs a report that returns (id, attempt, new status), and charges usage first; returns the new statuses."""
    if any(o.usage is not None for o in outcomes):
        report = _CHARGED + report.format(first="EXISTS (SELECT FROM charged)")
        values = [worker_id, *_names(outcomes), texts(o.usage for o in outcomes), *values]
    else:
        report = report.format(first="true")
    cursor = await connection.execute(report, values)
    return _new_statuses(await cursor.fetchall())


def _new_statuses(rows: Sequence[TupleRow]) -> dict[int, str]:
    """Returns the new statuses by id, for reports that were valid."""
    return {row[0]: row[2] for row in rows if row[2] is not None}


async def _ids(connection: Connection, query: str, values: Sequence[Any]) -> list[int]:
    cursor = await connection.execute(query, values)
    return [row[0] for row in await cursor.fetchall()]
