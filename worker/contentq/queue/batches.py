"""The functions of the SQL contract for request batches at a provider, called by a worker for its handlers.

Each function is one statement, on an asyncio connection in autocommit mode. Errors are psycopg's, except
LeaseLost.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import class_row

from contentq.errors import ContentQueueError
from contentq.queue.contract import Connection

LEASE_LOST = "CQ004"
"""SQLSTATE of the batch functions if the worker no longer has the lease of the batch."""

_FIELDS = """b.id, b.key::text, b.model, b.requests, b.status, b.provider_id, b.input_file, b.tending, b.failures,
           extract(epoch FROM clock_timestamp() - b.opened_at)::float8 AS age"""
_ASK = "SELECT contentq.ask_batch(%s, %s, %s, %s, %s, %s)"
_ANSWER = "SELECT model, body, status_code, answer FROM contentq.batch_answer(%s, %s, %s)"
_OPEN = f"""
    SELECT {_FIELDS}, b.requests AS wanted
    FROM contentq.open_batch(%s, %s, %s, %s, make_interval(secs => %s)) AS b"""
_NEXT = f"""
    SELECT {_FIELDS}, b.wanted
    FROM contentq.next_batch(%s, %s) AS b"""
_HOLD = "SELECT contentq.hold_batch(%s, %s, %s)"
_LINES = "SELECT id, attempt, body FROM contentq.batch_lines(%s, %s, %s, %s, %s)"
_SIZES = "SELECT id, attempt, bytes FROM contentq.batch_sizes(%s, %s, %s, %s::bigint[], %s::integer[])"
_NOTE = "SELECT contentq.note_batch(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
_STORE = """
    SELECT contentq.answer_batch(%s, %s, %s, %s::bigint[], %s::integer[], %s::integer[], %s::text[], %s::text[])"""
_CLOSE = "SELECT contentq.close_batch(%s, %s, %s, %s, %s, %s)"
_SWEEP = "SELECT contentq.sweep_batches(%s)"


class LeaseLost(ContentQueueError):
    """Another worker has the lease of this batch, or the batch has ended."""


class Asked(NamedTuple):
    """The request of an earlier attempt and its answer; status_code and answer are None until it arrives."""

    model: str
    body: str
    status_code: int | None
    answer: str | None


class Batch(NamedTuple):
    """A batch whose lease the worker has. age: seconds since its requests were chosen. wanted: waiting tasks."""

    id: int
    key: str
    model: str
    requests: int
    status: str
    provider_id: str | None
    input_file: str | None
    tending: int
    failures: int
    age: float
    wanted: int


class News(NamedTuple):
    """News of a batch; None leaves a value unchanged, except for error: None means no error.

    due_in: seconds until the next poll, when the lease ends.
    """

    input_file: str | None = None
    provider_id: str | None = None
    status: str | None = None
    completed: int | None = None
    failed: int | None = None
    expires_at: datetime | None = None
    error: str | None = None
    due_in: float | None = None


class Line(NamedTuple):
    """A request of a batch."""

    id: int
    attempt: int
    body: str


class Answered(NamedTuple):
    """An answer to a request. usage: its usage and cost, a JSON object as text."""

    id: int
    attempt: int
    status_code: int
    answer: str
    usage: str | None


async def ask(
    connection: Connection, worker_id: int, id_: int, attempt: int, provider: str, model: str, body: str
) -> bool:
    """Stores a request of a task for the provider's next batch; returns whether the attempt was still valid."""
    return bool(await _value(connection, _ASK, [worker_id, id_, attempt, provider, model, body]))


async def answer(connection: Connection, worker_id: int, id_: int, attempt: int) -> Asked | None:
    """Returns the request of a task and its answer; None if there is no request."""
    cursor = await connection.execute(_ANSWER, [worker_id, id_, attempt])
    row = await cursor.fetchone()
    return None if row is None else Asked._make(row)


async def open_batch(
    connection: Connection, worker_id: int, provider: str, max_requests: int, max_bytes: int, gather: float
) -> Batch | None:
    """Opens a batch of stored requests if one is due. gather: seconds that the oldest waits for others."""
    return await _batch(connection, _OPEN, [worker_id, provider, max_requests, max_bytes, gather])


async def next_batch(connection: Connection, worker_id: int, provider: str) -> Batch | None:
    """Leases a batch that needs attention; None if there is none."""
    return await _batch(connection, _NEXT, [worker_id, provider])


async def hold(connection: Connection, worker_id: int, batch: Batch) -> None:
    """Extends the lease of a batch by a minute. Raises LeaseLost."""
    await _tend(connection, _HOLD, [worker_id, batch.id, batch.tending])


async def lines(connection: Connection, worker_id: int, batch: Batch, after: Line | None) -> list[Line]:
    """Returns the next requests of a batch, after this one. Raises LeaseLost."""
    id_, attempt = (0, 0) if after is None else (after.id, after.attempt)
    rows = await _tend(connection, _LINES, [worker_id, batch.id, batch.tending, id_, attempt])
    return [Line._make(row) for row in rows]


async def sizes(
    connection: Connection, worker_id: int, batch: Batch, names: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], int]:
    """Returns the bytes of these requests by id and attempt, if they are in the batch. Raises LeaseLost."""
    ids, attempts = [id_ for id_, _ in names], [attempt for _, attempt in names]
    rows = await _tend(connection, _SIZES, [worker_id, batch.id, batch.tending, ids, attempts])
    return {(id_, attempt): size for id_, attempt, size in rows}


async def note(connection: Connection, worker_id: int, batch: Batch, news: News) -> None:
    """Records news of a batch. Raises LeaseLost."""
    due_in = None if news.due_in is None else timedelta(seconds=news.due_in)
    await _tend(connection, _NOTE, [worker_id, batch.id, batch.tending, *news[:-1], due_in])


async def store(connection: Connection, worker_id: int, batch: Batch, answers: Sequence[Answered]) -> int:
    """Stores answers and makes their tasks ready; returns how many were new. Raises LeaseLost."""
    columns = [list(column) for column in zip(*answers, strict=True)]
    rows = await _tend(connection, _STORE, [worker_id, batch.id, batch.tending, *columns])
    return int(rows[0][0])


async def close(
    connection: Connection,
    worker_id: int,
    batch: Batch,
    status: str,
    error: str | None = None,
    retry_in: float = 0.0,
) -> int:
    """Ends a batch; returns how many unanswered requests go into another batch after retry_in seconds.

    Raises LeaseLost.
    """
    values = [worker_id, batch.id, batch.tending, status, error, timedelta(seconds=retry_in)]
    return int((await _tend(connection, _CLOSE, values))[0][0])


async def sweep(connection: Connection, worker_id: int) -> int:
    """Deletes requests that are no longer needed; returns their number."""
    return int(await _value(connection, _SWEEP, [worker_id]))


async def _batch(connection: Connection, query: str, values: Sequence[Any]) -> Batch | None:
    async with connection.cursor(row_factory=class_row(Batch)) as cursor:
        await cursor.execute(query.encode(), values)
        return await cursor.fetchone()


async def _tend(connection: Connection, query: str, values: Any) -> list[Any]:
    try:
        cursor = await connection.execute(query.encode(), values)
        return await cursor.fetchall()
    except psycopg.Error as error:
        if error.sqlstate == LEASE_LOST:
            raise LeaseLost(str(error).partition("\n")[0]) from None
        raise


async def _value(connection: Connection, query: str, values: Sequence[Any]) -> Any:
    cursor = await connection.execute(query.encode(), values)
    row = await cursor.fetchone()
    return None if row is None else row[0]
