"""The functions of the SQL contract that a worker calls, on an asyncio connection in autocommit mode.

Each is one statement. Errors are psycopg's, but for NotRegistered.
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
"""SQLSTATE of claim() and heartbeat() for a worker that was given up."""

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
"""The tasks, each with its earlier content; and in the last row how long to sleep should they be too few, and what
is in the way of the worker."""
_WAITING = "SELECT contentq.anything_waits(%s, make_interval(secs => %s))"
_COMPLETE = "SELECT contentq.complete(%s, %s::bigint[], %s::integer[], %s::pg_catalog.text[])"
_STORE = """
    SELECT contentq.store(%s, %s::bigint[], %s::integer[], %s::pg_catalog.text[], %s::pg_catalog.text[],
                          %s::integer[], %s::pg_catalog.text[])"""
"""These two are also called in handlers' transactions, whose search_path may find anyone's types."""
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
"""What the attempts of a report have cost, before it: they are charged while they are held. The condition that
there is such a row does not depend on the rows of the report, so that it is decided before any of them is."""
_RECORD_USAGE = "SELECT contentq.record_usage(%s, %s::bigint[], %s::integer[], %s::text[])"
_PROGRESS = """
    SELECT contentq.report_progress(%s, %s::bigint[], %s::integer[], %s::real[], %s::text[])"""
_LOCKED = "SELECT id, by FROM contentq.locked_tasks(%s, %s::bigint[])"
_RELEASE = "SELECT contentq.release(%s, %s::bigint[], %s::integer[])"


class NotRegistered(ContentQueueError):
    """The database has given this worker up; what it runs is no longer its own."""


class Beat(NamedTuple):
    """The answer to a heartbeat.

    to_stop: (id, attempt) of tasks that the worker should stop. at: when it was made, by the database's clock.
    """

    to_stop: list[tuple[int, int]]
    at: float


class Claimed(NamedTuple):
    """What a claim has brought.

    previous: by id, what earlier attempts have produced. more_in: seconds after which there may be more, None when
    nothing is known to come. waits_for: what keeps the worker from having more, in words for the log.
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
    """Registers a worker; returns its id. gate: its key; several of which each task enters one, or None."""
    has_one = gate is None or isinstance(gate, str)
    gate, gates = (gate, None) if has_one else (None, gate)
    values = [hostname, pid, slots, handler, gate, version, _array(categories), _array(gates)]
    return int(await _value(connection, _REGISTER, values))


async def drain_worker(connection: Connection, worker_id: int) -> None:
    """Marks the worker as draining."""
    await connection.execute(_DRAIN, [worker_id])


async def deregister_worker(connection: Connection, worker_id: int) -> list[int]:
    """Removes the worker and releases what it still holds; returns the ids of those tasks."""
    return await _ids(connection, DEREGISTER, [worker_id])


async def heartbeat(
    connection: Connection, worker_id: int, held: Sequence[tuple[int, int]], complete_until: float | None
) -> Beat:
    """Keeps the worker alive and tells which tasks it should stop. Raises NotRegistered.

    held: (id, attempt) of each task that the worker holds. complete_until: the time of an earlier heartbeat up to
    which held is complete: whatever else was claimed for the worker until then is released; None for nothing.
    """
    ids, attempts = integers(id_ for id_, _ in held), integers(attempt for _, attempt in held)
    try:
        cursor = await connection.execute(_HEARTBEAT, [worker_id, len(held), ids, attempts, complete_until])
    except psycopg.Error as error:
        raise _registered_or(error) from None
    (*_, at), *rows = await cursor.fetchall()
    return Beat([(row[0], row[1]) for row in rows], at)


async def maintain(connection: Connection) -> float:
    """Does what is due of the housekeeping; returns seconds until it should be called again."""
    return float(await _value(connection, _MAINTAIN, []))


async def stay_open(connection: Connection) -> None:
    """Keeps the server from ending this session when it is idle, whatever the database or the role is set to."""
    await connection.execute("SET idle_session_timeout = 0")


async def listen(connection: Connection) -> None:
    """Asks for the notifications that wake idle workers."""
    await connection.execute(f"LISTEN {READY_CHANNEL}")


async def claim(
    connection: Connection, worker_id: int, max_tasks: int, task_ids: Sequence[int] | None = None
) -> Claimed:
    """Claims up to max_tasks tasks of the worker's categories, most urgent first. Raises NotRegistered.

    task_ids: only these, whatever they wait for.
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
    """Whether a task is ready, waits for its retry, or is held by a worker not heard for idle_for seconds.

    Tasks that producers scheduled for later do not count, nor do those of accounts that are held. A worker that
    waits for something has then heard every other that is alive, and rescues the tasks of those that are not.
    """
    return bool(await _value(connection, _WAITING, [_array(categories), idle_for]))


async def complete(connection: Connection, worker_id: int, outcomes: Sequence[Completed]) -> list[int]:
    """Completes tasks; returns the ids that counted."""
    return await _ids(connection, *_complete_call(worker_id, outcomes))


async def store(connection: Connection, worker_id: int, outcomes: Sequence[Stored]) -> list[int]:
    """Stores content and completes its tasks; returns the ids that counted."""
    return await _ids(connection, *_store_call(worker_id, outcomes))


def completion_call(outcome: Completed | Stored) -> tuple[str, list[Any]]:
    """The statement, with its values, that completes one task; it returns a row when that counted."""
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
    """Reports failed attempts; returns the new status of each task whose report counted."""
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
    """Reports drafts whose checks failed; returns the new status of each task whose report counted."""
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
    """Puts tasks back to pending for a while, nothing charged; returns the new status of each that counted."""
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
    """Adds what a call has cost while its attempt goes on. Made twice, it counts twice."""
    ids, attempts = integers([held.id]), integers([held.attempt])
    await connection.execute(_RECORD_USAGE, [held.worker_id, ids, attempts, texts([usage])])


async def report_progress(connection: Connection, worker_id: int, notes: Sequence[Progressed]) -> None:
    """Notes how far attempts are; those that are over are left alone."""
    ids, attempts = _names(notes)
    values = [worker_id, ids, attempts, [n.fraction for n in notes], texts(n.note for n in notes)]
    await connection.execute(_PROGRESS, values)


async def locked_tasks(connection: Connection, worker_id: int, ids: Sequence[int]) -> dict[int, str]:
    """Those of these tasks that cannot be reported since another session has locked something; what, and who."""
    cursor = await connection.execute(_LOCKED, [worker_id, integers(ids)])
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def release(connection: Connection, worker_id: int, outcomes: Sequence[Released]) -> list[int]:
    """Gives tasks back, nothing charged; returns the ids that went back to pending."""
    ids, attempts = _names(outcomes)
    return await _ids(connection, _RELEASE, [worker_id, ids, attempts])


def _array(texts: Sequence[str] | None) -> list[str] | None:
    return list(texts) if texts else None


def _names(outcomes: Sequence[Outcome | Progressed]) -> tuple[str, str]:
    """The ids and the attempts, as arrays."""
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
    """Makes a report that gives (id, attempt, new status), and with it what these have cost; the new statuses."""
    if any(o.usage is not None for o in outcomes):
        report = _CHARGED + report.format(first="EXISTS (SELECT FROM charged)")
        values = [worker_id, *_names(outcomes), texts(o.usage for o in outcomes), *values]
    else:
        report = report.format(first="true")
    cursor = await connection.execute(report, values)
    return _new_statuses(await cursor.fetchall())


def _new_statuses(rows: Sequence[TupleRow]) -> dict[int, str]:
    """By id, the new statuses that a report has given, of those that counted."""
    return {row[0]: row[2] for row in rows if row[2] is not None}


async def _ids(connection: Connection, query: str, values: Sequence[Any]) -> list[int]:
    cursor = await connection.execute(query, values)
    return [row[0] for row in await cursor.fetchall()]
