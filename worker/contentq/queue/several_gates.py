"""The functions of the SQL contract for tasks that enter one of several gates.

Each function is one statement, on an asyncio connection in autocommit mode. Errors are psycopg's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from contentq.queue.arrays import integers, texts
from contentq.queue.contract import Connection
from contentq.queue.outcomes import Held, LeftGate

_ENTER = """
    SELECT r.id, r.attempt, e.gate, extract(epoch FROM e.next_in)::float8, e.why
    FROM unnest(%s::bigint[], %s::integer[], %s::text[]) AS r (id, attempt, keys)
    CROSS JOIN LATERAL contentq.enter_gate(%s, r.id, r.attempt, r.keys::text[]) AS e"""
_LEAVE = """
    SELECT contentq.leave_gate(%s, %s, %s, %s, %s, clock_timestamp() + %s::interval, %s, %s)"""


class Entered(NamedTuple):
    """The answer to a request to enter a gate.

    gate: the gate that the task entered; None if none has room. next_in: seconds until one may have room; None if
    not known. why: why each gate before it was skipped, in order.
    """

    gate: str | None
    next_in: float | None
    why: list[str]


async def enter_gate(
    connection: Connection, worker_id: int, asking: Sequence[tuple[Held, Sequence[str]]]
) -> dict[Held, Entered]:
    """Lets each attempt enter the first of its gates that has room."""
    asking = sorted(asking, key=lambda each: each[0].id)  # the lock order of tasks
    ids, attempts = integers(held.id for held, _ in asking), integers(held.attempt for held, _ in asking)
    keys = [texts(keys) for _, keys in asking]
    cursor = await connection.execute(_ENTER, [ids, attempts, keys, worker_id])
    found = {(row[0], row[1]): Entered(row[2], row[3], row[4] or []) for row in await cursor.fetchall()}
    return {held: found[held.id, held.attempt] for held, _ in asking}


async def leave_gate(connection: Connection, held: Held, left: LeftGate) -> None:
    """Reports the outcome of a call behind a gate; does nothing if the attempt is no longer behind it."""
    own = [held.worker_id, held.id, held.attempt]
    await connection.execute(_LEAVE, [*own, left.gate, left.outcome, left.delay, left.message, left.usage])
