"""The current state of the queue, for a display that polls it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from contentq.queue.reading import Connection, read_row, read_rows

SPAN = 60
"""Period of the rates, in seconds."""

TIMEOUT = 10
"""Seconds after which the server cancels a query."""

MOST_COUNTED = 100_000
"""Failed and timed-out tasks are counted up to this number."""

# statement_timestamp() allows an index scan because it is constant within a statement; clock_timestamp() is not.
_FLOW = f"""
    WITH span AS (
        SELECT date_trunc('second', statement_timestamp()) - interval '{SPAN} seconds' AS since,
               date_trunc('second', statement_timestamp()) AS until
    )
    SELECT 'submitted' AS what,
           ceil(extract(epoch FROM s.until - t.submitted_at))::integer AS ago,
           count(*) AS tasks
    FROM span AS s
    JOIN contentq.tasks AS t ON t.submitted_at >= s.since AND t.submitted_at < s.until
    GROUP BY 2
    UNION ALL
    SELECT 'completed',
           ceil(extract(epoch FROM s.until - t.completed_at))::integer,
           count(*)
    FROM span AS s
    JOIN contentq.tasks AS t ON t.status = 'completed' AND t.completed_at >= s.since AND t.completed_at < s.until
    GROUP BY 2"""

_TIMES = f"""
    SELECT l.wait_p50::float8 AS wait_p50, l.wait_p95::float8 AS wait_p95, l.run_p50::float8 AS run_p50,
           l.run_p95::float8 AS run_p95
    FROM contentq.latency(interval '{SPAN} seconds') AS l"""

_STATE = f"""
    SELECT clock_timestamp() AS at,
           current_database()::text AS database,
           date_trunc('second', clock_timestamp() - o.submitted_at) AS oldest_ready,
           (SELECT count(*)
            FROM (SELECT FROM contentq.tasks AS t WHERE t.status = 'failed' LIMIT {MOST_COUNTED}) AS f) AS failed,
           (SELECT count(*)
            FROM (SELECT FROM contentq.tasks AS t WHERE t.status = 'timeout' LIMIT {MOST_COUNTED}) AS f) AS timeout
    FROM (
        -- The first entry of the index of ready tasks for each priority.
        SELECT min(r.submitted_at) AS submitted_at
        FROM generate_series(1, 10) AS p (priority)
        CROSS JOIN LATERAL (
            SELECT t.submitted_at
            FROM contentq.tasks AS t
            WHERE t.status = 'pending' AND t.scheduled_at IS NULL AND t.priority = p.priority
            ORDER BY t.submitted_at, t.id
            LIMIT 1
        ) AS r
        WHERE isfinite(r.submitted_at)
    ) AS o"""

_ACCOUNTS = """
    SELECT v.account_id, v.name, v.pending, v.scheduled, v.processing, v.oldest_age,
           count(*) OVER () AS of_all,
           (sum(v.pending) OVER ())::bigint AS all_pending,
           (sum(v.scheduled) OVER ())::bigint AS all_scheduled,
           (sum(v.processing) OVER ())::bigint AS all_processing
    FROM contentq.backlog_by_account AS v
    ORDER BY v.pending DESC, v.processing DESC, v.account_id
    LIMIT %s"""

_RUNNING = """
    SELECT v.task_id, v.attempt, v.running, v.time_left, v.percent, v.note, v.worker_id, v.topic,
           count(*) OVER () AS of_all
    FROM contentq.running_tasks AS v
    ORDER BY v.running DESC NULLS LAST, v.id
    LIMIT %s"""

_WORKERS = """
    SELECT v.id, v.hostname, v.state, v.busy, v.slots, v.heartbeat_age_s, v.handler, v.waits_for,
           count(*) OVER () AS of_all,
           (sum(v.slots) FILTER (WHERE v.state <> 'silent') OVER ())::bigint AS all_slots,
           count(*) FILTER (WHERE v.state <> 'silent') OVER () AS live
    FROM contentq.worker_status AS v
    ORDER BY v.state IN ('silent', 'waits') DESC, v.id
    LIMIT %s"""

_GATES = """
    SELECT v.key, v.state, v.opens_at, v.running, v.max_running, v.max_running_is, v.pace, v.pace_is,
           v.refused, v.unanswered, v.reason,
           count(*) OVER () AS of_all
    FROM contentq.gate_status AS v
    ORDER BY v.state = 'closed' DESC, v.state = 'waits' DESC, v.key
    LIMIT %s"""


@dataclass(frozen=True)
class Live:
    """The state at one moment. of_all in each row of a list is the total number of its rows."""

    at: datetime
    """The time by the database's clock."""
    database: str
    submitted: list[int]
    """Tasks submitted in each second of SPAN, earliest first."""
    completed: list[int]
    waited: tuple[float, float] | None
    """Median and 95th percentile of the seconds from ready to started, of the last 10,000 tasks completed within
    SPAN."""
    ran: tuple[float, float] | None
    pending: int
    scheduled: int
    processing: int
    failed: int
    """At most MOST_COUNTED."""
    timeout: int
    oldest_ready: timedelta | None
    slots: int
    """Slots of workers that are not silent."""
    live_workers: int
    accounts: list[dict[str, Any]]
    running: list[dict[str, Any]]
    workers: list[dict[str, Any]]
    gates: list[dict[str, Any]]


def look(connection: Connection, rows: int) -> Live:
    """Reads the state of one moment, with up to this many rows of each kind. connection: in autocommit mode."""
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    with connection.transaction():
        connection.execute(f"SET LOCAL statement_timeout = '{TIMEOUT}s'".encode())
        state = read_row(connection, _STATE) or {}
        flow = read_rows(connection, _FLOW)
        times = read_row(connection, _TIMES) or {}
        accounts = read_rows(connection, _ACCOUNTS, [rows])
        running = read_rows(connection, _RUNNING, [rows])
        workers = read_rows(connection, _WORKERS, [rows])
        gates = read_rows(connection, _GATES, [rows])
    all_accounts = accounts[0] if accounts else {}
    all_workers = workers[0] if workers else {}
    return Live(
        at=state["at"],
        database=state["database"],
        submitted=_by_second(flow, "submitted"),
        completed=_by_second(flow, "completed"),
        waited=(times["wait_p50"], times["wait_p95"]) if times else None,
        ran=(times["run_p50"], times["run_p95"]) if times else None,
        pending=all_accounts.get("all_pending", 0),
        scheduled=all_accounts.get("all_scheduled", 0),
        processing=all_accounts.get("all_processing", 0),
        failed=state["failed"],
        timeout=state["timeout"],
        oldest_ready=state["oldest_ready"],
        slots=all_workers.get("all_slots") or 0,
        live_workers=all_workers.get("live", 0),
        accounts=accounts,
        running=running,
        workers=workers,
        gates=gates,
    )


def _by_second(flow: list[dict[str, Any]], what: str) -> list[int]:
    counts = [0] * SPAN
    for row in flow:
        if row["what"] == what:
            counts[SPAN - row["ago"]] = row["tasks"]
    return counts
