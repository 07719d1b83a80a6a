"""An overview of the queue at a cost that does not grow with it: large numbers are counted up to a limit."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from contentq.queue.reading import Connection, read_row, read_rows, read_value

MOST_COUNTED = 10_000
"""Counting stops here; a larger number is shown as `more`."""

MOST_COMPLETED = 10_000
"""Tasks that rates and waiting times are computed from: the latest completed ones, at most one hour old."""

BUCKETS = 30
"""Number of intervals into which their time is divided."""

STATUSES = ("pending", "processing", "completed", "failed", "timeout")

PRIORITIES = range(10, 0, -1)

# Each status has its own constant, because a generic plan may read the whole table.
_COUNTS = " UNION ALL ".join(
    f"""
    SELECT '{status}' AS status, count(*) AS tasks
    FROM (SELECT FROM contentq.tasks WHERE status = '{status}' LIMIT {MOST_COUNTED + 1}) AS t"""
    for status in STATUSES
)

_READY = " UNION ALL ".join(
    f"""
    SELECT {priority} AS priority, count(*) AS tasks, min(t.submitted_at) AS oldest
    FROM (
        SELECT submitted_at
        FROM contentq.tasks
        WHERE status = 'pending' AND scheduled_at IS NULL AND priority = {priority}
        ORDER BY priority DESC, submitted_at, id
        LIMIT {MOST_COUNTED + 1}
    ) AS t"""
    for priority in PRIORITIES
)

_REVIEWS = f"""
    SELECT count(*)
    FROM (SELECT FROM contentq.contents WHERE review_status = 'pending' LIMIT {MOST_COUNTED + 1}) AS c"""

_ABOUT = """
    SELECT nullif(c.reltuples, -1)::bigint
    FROM contentq.tables AS t
    JOIN pg_class AS c ON c.oid = to_regclass(format('%I.%I', t.schema_name, t.table_name))
    WHERE t.table_name = 'content_generation_tasks'"""

_FRONT = f"""
    SELECT w.account_id, a.name, w.tasks, w.oldest
    FROM (
        SELECT f.account_id, count(*) AS tasks, min(f.submitted_at) AS oldest
        FROM (
            SELECT account_id, submitted_at
            FROM contentq.tasks
            WHERE status = 'pending' AND scheduled_at IS NULL
            ORDER BY priority DESC, submitted_at, id
            LIMIT {MOST_COUNTED}
        ) AS f
        GROUP BY f.account_id
        ORDER BY tasks DESC, f.account_id
        LIMIT %s
    ) AS w
    JOIN contentq.accounts AS a ON a.id = w.account_id
    ORDER BY w.tasks DESC, w.account_id"""

_WINDOW = """
    SELECT greatest(
               n.now - interval '1 hour',
               (SELECT completed_at
                FROM contentq.tasks
                WHERE status = 'completed' AND completed_at <= n.now
                ORDER BY completed_at DESC
                OFFSET %s LIMIT 1)
           ) AS since,
           n.now AS until
    FROM (SELECT clock_timestamp() AS now) AS n"""

# With numbers instead of times: the difference of two arbitrary times may not fit into an interval.
_BUCKETS = """
    SELECT e.place, count(*) AS completed,
           percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY e.waited) AS waited
    FROM (
        SELECT least(
                   width_bucket(
                       extract(epoch FROM completed_at), extract(epoch FROM %(since)s::timestamptz),
                       extract(epoch FROM %(until)s::timestamptz), %(buckets)s
                   ),
                   %(buckets)s
               ) - 1 AS place,
               greatest(
                   extract(epoch FROM started_at)::float8
                   - extract(epoch FROM coalesce(ready_at, submitted_at))::float8, 0
               ) AS waited
        FROM contentq.tasks
        WHERE status = 'completed'
          AND completed_at > %(since)s::timestamptz
          AND completed_at <= %(until)s::timestamptz
    ) AS e
    GROUP BY e.place"""

# Both results come from one scan of a month of usage, which may have many rows.
_SPENDING = """
    WITH n AS (
        SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS today
    ),
    usage AS MATERIALIZED (
        SELECT u.account_id, u.day, sum(u.cost) AS cost
        FROM contentq.usage AS u
        WHERE u.day >= (SELECT least(n.today - 29, date_trunc('month', n.today)::date) FROM n)
        GROUP BY u.account_id, u.day
    ),
    accounts AS (
        SELECT u.account_id, sum(u.cost) AS cost
        FROM n
        JOIN usage AS u ON u.day >= date_trunc('month', n.today)::date
        GROUP BY u.account_id
        HAVING sum(u.cost) > 0
        ORDER BY cost DESC, u.account_id
        LIMIT %s
    ),
    days AS (
        SELECT d.day::date AS day, coalesce(sum(u.cost), 0) AS cost
        FROM n
        CROSS JOIN LATERAL generate_series(n.today - 29, n.today, interval '1 day') AS d (day)
        LEFT JOIN usage AS u ON u.day = d.day::date
        GROUP BY d.day
    )
    SELECT d.day, NULL::bigint AS account_id, NULL AS name, d.cost, NULL::numeric AS monthly_budget
    FROM days AS d
    UNION ALL
    SELECT NULL, s.account_id, a.name, s.cost, a.monthly_budget
    FROM accounts AS s
    JOIN contentq.accounts AS a ON a.id = s.account_id
    ORDER BY day, cost DESC, account_id"""


class Rates(NamedTuple):
    """Completed tasks, in equal intervals of time."""

    since: datetime
    until: datetime
    completed: list[int]
    waited: list[list[float] | None]
    """The 50th, 95th and 99th percentile of the seconds from ready to started."""

    @property
    def per_second(self) -> float:
        """Completed tasks per second."""
        seconds = (self.until - self.since).total_seconds()
        return sum(self.completed) / seconds if seconds > 0 else 0.0


class Spending(NamedTuple):
    """The cost of attempts."""

    days: list[tuple[str, Decimal]]
    """The cost of each of the last 30 days (UTC)."""
    accounts: list[dict[str, Any]]
    """The accounts with the highest cost this month (UTC), with their budgets."""


def count_by_status(connection: Connection) -> dict[str, int]:
    """Counts tasks by status; MOST_COUNTED + 1 means more."""
    return {row["status"]: row["tasks"] for row in read_rows(connection, _COUNTS)}


def about_all(connection: Connection) -> int | None:
    """Returns the database's estimate of the number of tasks; None if it has none yet."""
    about: int | None = read_value(connection, _ABOUT)
    return about


def ready_by_priority(connection: Connection) -> list[dict[str, Any]]:
    """Returns each priority that has ready tasks, their count up to MOST_COUNTED + 1, and the oldest."""
    return [row for row in read_rows(connection, _READY) if row["tasks"]]


def front_by_account(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Groups the first MOST_COUNTED tasks in line by account, most tasks first."""
    return read_rows(connection, _FRONT, [limit])


def count_reviews(connection: Connection) -> int:
    """Counts contents that wait for a review; MOST_COUNTED + 1 means more."""
    return int(read_value(connection, _REVIEWS))


def rates(connection: Connection) -> Rates:
    """Returns rates over the last hour, or over the last MOST_COMPLETED tasks if they took less time."""
    window = read_row(connection, _WINDOW, [MOST_COMPLETED])
    assert window is not None
    completed, waited = [0] * BUCKETS, [None] * BUCKETS
    for row in read_rows(connection, _BUCKETS, {**window, "buckets": BUCKETS}):
        completed[row["place"]], waited[row["place"]] = row["completed"], row["waited"]
    return Rates(window["since"], window["until"], completed, waited)  # type: ignore[arg-type]


def spending(connection: Connection, limit: int) -> Spending:
    """Returns the cost of the last days, and of this many accounts."""
    rows = read_rows(connection, _SPENDING, [limit])
    days = [(f"{row['day']:%m-%d}", row["cost"]) for row in rows if row["day"] is not None]
    return Spending(days, [row for row in rows if row["day"] is None])
