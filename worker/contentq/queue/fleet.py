"""Metrics of the whole queue. Each function runs one or two quick statements within limited()."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from psycopg import sql

from contentq.queue.reading import Connection, read_row, read_rows, read_value

MOST_GATES = 200
"""Maximum number of gates reported, because workers choose their keys."""

MOST_ACCOUNTS = 1000
"""Maximum number of accounts reported, those with the most tasks first."""

LATE = 70.0
"""Seconds by which a commit may be later than completed_at: a handler's own transaction has 60."""


class EndedTasks(NamedTuple):
    """Completions that became visible since an earlier look: counts and sums of seconds by bucket.

    waiting, running: {number of the bucket: (tasks, seconds)}; bucket 0 is below the first bound.
    """

    waiting: dict[int, tuple[int, float]]
    running: dict[int, tuple[int, float]]


@dataclass(frozen=True)
class Look:
    """A point in time of the database, with the transactions committed by then."""

    at: float
    snapshot: str
    next_transaction: int


@contextmanager
def limited(connection: Connection, seconds: float) -> Iterator[None]:
    """A read-only transaction with a time limit for each statement."""
    with connection.transaction():
        connection.execute(
            b"SELECT set_config('statement_timeout', %s, true), set_config('transaction_read_only', 'on', true)",
            [f"{round(seconds * 1000)}ms"],
        )
        yield


def waiting_tasks(connection: Connection) -> list[dict[str, Any]]:
    """Counts pending tasks by priority and is_scheduled (for later)."""
    return read_rows(connection, _WAITING)


def other_tasks(connection: Connection, pending: int) -> dict[str, int]:
    """Counts the other tasks by status. In large tables, the number of completed tasks is an estimate."""
    return {row["status"]: row["tasks"] for row in read_rows(connection, _OTHERS, [pending])}


def oldest_ready(connection: Connection) -> float:
    """Returns the seconds since the oldest ready task became ready; 0 if no task is ready.

    Considers the 1000 oldest submissions of each priority.
    """
    return float(read_value(connection, _OLDEST))


def failures(connection: Connection) -> dict[str, int]:
    """Counts failed attempts since the queue was created, by error class."""
    return {row["error_class"]: row["attempts"] for row in read_rows(connection, _FAILURES)}


def usage(connection: Connection) -> list[dict[str, Any]]:
    """Returns the usage of yesterday and today (UTC): day, model, attempts, both tokens, cost."""
    return read_rows(connection, _USAGE.format(sql.SQL("u.model")))


def usage_of_accounts(connection: Connection) -> list[dict[str, Any]]:
    """Returns the same by account_id instead of model."""
    return read_rows(connection, _USAGE.format(sql.SQL("u.account_id")))


def accounts(connection: Connection) -> list[dict[str, Any]]:
    """Counts tasks of accounts with pending or running ones: account_id, pending, processing."""
    return read_rows(connection, _ACCOUNTS, [MOST_ACCOUNTS])


def gates(connection: Connection) -> list[dict[str, Any]]:
    """Returns the gates of the view gate_status: key, state, running, pace, refused, unanswered."""
    return read_rows(connection, _GATES, [MOST_GATES])


def workers(connection: Connection) -> list[dict[str, Any]]:
    """Returns workers by state: state, workers, busy, slots, heartbeat_age."""
    return read_rows(connection, _WORKERS)


def dead_workers(connection: Connection) -> int:
    """Counts workers that were found dead within the last hour."""
    return int(read_value(connection, _DEAD_WORKERS))


def reviews(connection: Connection) -> tuple[int, float]:
    """Returns the number of contents that wait for a review, and the age of the oldest in seconds."""
    row = read_row(connection, _REVIEWS)
    assert row is not None
    return row["contents"], row["oldest_age"]


def blocked_accounts(connection: Connection) -> dict[str, int]:
    """Counts accounts whose tasks are not claimed: paused, and over_budget."""
    row = read_row(connection, _BLOCKED)
    assert row is not None
    return row


def budgets(connection: Connection) -> dict[str, int]:
    """Counts budgets by state: ok, near, used_up."""
    return {row["state"]: row["budgets"] for row in read_rows(connection, _BUDGETS)}


def upkeep(connection: Connection) -> dict[str, Any]:
    """Returns the state of the upkeep: revision, maintenance_age (seconds), notification_queue (0 to 1)."""
    row = read_row(connection, _UPKEEP)
    assert row is not None
    return row


def ids_used(connection: Connection) -> dict[str, float]:
    """Returns the used share of the ids by table, from 0 to 1."""
    return {row["tab"]: row["used"] for row in read_rows(connection, _IDS_USED)}


def look(connection: Connection) -> Look:
    """Returns the current moment."""
    row = read_row(connection, _LOOK)
    assert row is not None
    return Look(**row)


def completed_since(connection: Connection, before: Look, bounds: Sequence[float]) -> tuple[Look, EndedTasks]:
    """Returns the completions that became visible since a look, and the look to pass the next time.

    bounds: of the buckets, in seconds, ascending. Every completion is in exactly one result, whenever it was
    committed: the transaction that wrote the row decides, not its time. A completion that was written within a
    subtransaction, and was uncommitted at the look before, may be missing.
    """
    name = sql.Identifier(_schema(connection), "content_generation_tasks")
    values = {**before.__dict__, "late": LATE, "bounds": [float(bound) for bound in bounds]}
    rows = read_rows(connection, _COMPLETED.format(name), values)
    first = rows.pop(0)
    ended = EndedTasks({}, {})
    for row in rows:
        getattr(ended, row["what"])[row["bucket"]] = (row["tasks"], row["seconds"])
    return Look(first["at"], first["snapshot"], first["next_transaction"]), ended


def _schema(connection: Connection) -> str:
    return str(read_value(connection, _SCHEMA))


_WAITING = """
    SELECT t.priority, t.scheduled_at IS NOT NULL AS is_scheduled, count(*) AS tasks
    FROM contentq.tasks AS t
    WHERE t.status = 'pending'
    GROUP BY t.priority, t.scheduled_at IS NOT NULL"""

_OTHERS = """
    WITH exact AS (
        SELECT t.status, count(*) AS tasks
        FROM contentq.tasks AS t
        WHERE t.status = ANY ('{processing,failed,timeout}')
        GROUP BY t.status
    ),
    whole AS (
        SELECT c.oid, pg_stat_get_live_tuples(c.oid) AS rows
        FROM contentq.tables AS n
        JOIN pg_class AS c ON c.oid = format('%%I.%%I', n.schema_name, n.table_name)::regclass
        WHERE n.table_name = 'content_generation_tasks'
    )
    SELECT e.status, e.tasks
    FROM exact AS e
    UNION ALL
    SELECT 'completed', CASE
        WHEN w.rows < 100000 OR row_security_active(w.oid)
        THEN (SELECT count(*) FROM contentq.tasks AS t WHERE t.status = 'completed')
        ELSE greatest(w.rows - %s::bigint - (SELECT coalesce(sum(e.tasks), 0) FROM exact AS e), 0)::bigint
    END
    FROM whole AS w"""
"""Counting millions of completed tasks would take longer than everything else."""

_OLDEST = """
    SELECT coalesce(extract(epoch FROM clock_timestamp()) - min(o.since), 0)::float8
    FROM generate_series(1, 10) AS p (priority)
    CROSS JOIN LATERAL (
        SELECT extract(epoch FROM CASE
            WHEN t.started_at IS NULL THEN coalesce(t.ready_at, t.submitted_at)
            WHEN t.ready_at > t.started_at THEN t.ready_at
            ELSE t.updated_at
        END) AS since
        FROM contentq.tasks AS t
        WHERE t.status = 'pending'
          AND t.scheduled_at IS NULL
          AND t.priority = p.priority
        ORDER BY t.submitted_at
        LIMIT 1000
    ) AS o"""

_FAILURES = """
    SELECT f.error_class, sum(f.attempts)::bigint AS attempts
    FROM contentq.failure_counts AS f
    GROUP BY f.error_class"""

_USAGE = sql.SQL("""
    SELECT u.day::text AS day, {0}::text AS of, sum(u.attempts)::bigint AS attempts,
           sum(u.prompt_tokens)::float8 AS prompt_tokens, sum(u.completion_tokens)::float8 AS completion_tokens,
           sum(u.cost)::float8 AS cost
    FROM contentq.usage AS u
    WHERE u.day >= (clock_timestamp() AT TIME ZONE 'UTC')::date - 1
    GROUP BY u.day, {0}""")

_ACCOUNTS = """
    SELECT t.account_id::bigint AS account_id,
           count(*) FILTER (WHERE t.status = 'pending') AS pending,
           count(*) FILTER (WHERE t.status = 'processing') AS processing
    FROM contentq.tasks AS t
    WHERE t.status = ANY ('{pending,processing}')
    GROUP BY t.account_id
    ORDER BY count(*) DESC, t.account_id
    LIMIT %s"""

_GATES = """
    SELECT g.key, g.state, g.running::bigint AS running, g.pace::float8 AS pace, g.refused, g.unanswered
    FROM contentq.gate_status AS g
    LIMIT %s"""

_WORKERS = """
    SELECT w.state, count(*) AS workers, sum(w.busy)::bigint AS busy, sum(w.slots)::bigint AS slots,
           max(w.heartbeat_age_s)::float8 AS heartbeat_age
    FROM contentq.worker_status AS w
    GROUP BY w.state"""

_DEAD_WORKERS = """
    SELECT count(*) FROM contentq.dead_workers AS d WHERE d.found_at > clock_timestamp() - interval '1 hour'"""

_REVIEWS = """
    SELECT (SELECT count(*) FROM contentq.contents AS c WHERE c.review_status = 'pending') AS contents,
           coalesce(extract(epoch FROM clock_timestamp())
                    - extract(epoch FROM (SELECT c.created_at::timestamptz
                                          FROM contentq.contents AS c
                                          WHERE c.review_status = 'pending'
                                          ORDER BY c.id + 0
                                          LIMIT 1)), 0)::float8 AS oldest_age"""

_BLOCKED = """
    SELECT count(b.paused_until) AS paused, count(b.over_budget_until) AS over_budget
    FROM contentq.blocked_accounts AS b"""

_BUDGETS = """
    SELECT b.state, count(*) AS budgets FROM contentq.budget_status AS b GROUP BY b.state"""

_UPKEEP = """
    SELECT (SELECT v.version_num::text FROM contentq.alembic_version AS v) AS revision,
           (SELECT extract(epoch FROM clock_timestamp() - m.ran_at)::float8
            FROM contentq.maintenance AS m
            WHERE isfinite(m.ran_at)) AS maintenance_age,
           pg_notification_queue_usage() AS notification_queue"""

_IDS_USED = """
    SELECT u.tab, (u.percent / 100)::float8 AS used FROM contentq.ids_used() AS u WHERE u.col = 'id'"""

_SCHEMA = """
    SELECT t.schema_name FROM contentq.tables AS t WHERE t.table_name = 'content_generation_tasks'"""

_LOOK = """
    SELECT extract(epoch FROM clock_timestamp())::float8 AS at,
           pg_current_snapshot()::text AS snapshot,
           pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next_transaction"""

_COMPLETED = sql.SQL("""
    WITH now_ AS MATERIALIZED (
        SELECT extract(epoch FROM clock_timestamp())::float8 AS at,
               pg_current_snapshot()::text AS snapshot,
               pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next_transaction
    ),
    news AS MATERIALIZED (
        SELECT extract(epoch FROM t.started_at)
                   - extract(epoch FROM coalesce(t.ready_at, t.submitted_at)) AS waiting,
               extract(epoch FROM t.completed_at) - extract(epoch FROM t.started_at) AS running
        FROM {} AS t
        CROSS JOIN now_ AS n
        WHERE t.status = 'completed'
          AND t.completed_at > to_timestamp(%(at)s - %(late)s)
          AND t.started_at IS NOT NULL
          -- xmin has the lower 32 bits of the number of a transaction that is not later than the next.
          AND NOT pg_visible_in_snapshot(
              (n.next_transaction - ((n.next_transaction - t.xmin::text::bigint) & 4294967295))::text::xid8,
              %(snapshot)s::pg_snapshot
          )
    )
    SELECT NULL AS what, NULL AS bucket, NULL::bigint AS tasks, NULL::float8 AS seconds,
           n.at, n.snapshot, n.next_transaction
    FROM now_ AS n
    UNION ALL
    SELECT d.what, width_bucket(d.seconds, %(bounds)s::float8[]), count(*), sum(d.seconds), NULL, NULL, NULL
    FROM (
        SELECT w.what, greatest(w.seconds, 0)::float8 AS seconds
        FROM news AS e
        CROSS JOIN LATERAL (VALUES ('waiting', e.waiting), ('running', e.running)) AS w (what, seconds)
    ) AS d
    GROUP BY 1, 2""")
