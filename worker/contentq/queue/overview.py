"""The queue at a glance, at a cost that does not grow with it: what is many is counted up to a limit."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from contentq.queue.reading import Connection, read_row, read_rows, read_value

MOST_COUNTED = 10_000
"""What is more is said to be more."""

MOST_COMPLETED = 10_000
"""Tasks from which rates and waiting times are computed: those that were completed last, within an hour."""

BUCKETS = 30
"""Parts of the time that these were completed in."""

STATUSES = ("pending", "processing", "completed", "failed", "timeout")

PRIORITIES = range(10, 0, -1)

# Each with its own constants: a plan for a value that is not known yet may read the whole table.
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

# Of numbers: the difference of two times that someone made up may be more than an interval holds.
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

# Both from one look at the usage of a month, which may be many rows.
_SPENDING = """
    WITH n AS (
        SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS today
    ),
    usage AS MATERIALIZED (
        SELECT u.account_id, u.day, sum(u.cost) AS cost
        FROM n
        JOIN contentq.usage AS u ON u.day >= least(n.today - 29, date_trunc('month', n.today)::date)
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
    """What was completed lately, in equal parts of the time."""

    since: datetime
    until: datetime
    completed: list[int]
    waited: list[list[float] | None]
    """The 50th, 95th and 99th percentile of seconds from when a task was ready to when it started."""

    @property
    def per_second(self) -> float:
        """Completed tasks a second."""
        seconds = (self.until - self.since).total_seconds()
        return sum(self.completed) / seconds if seconds > 0 else 0.0


class Spending(NamedTuple):
    """What attempts have cost."""

    days: list[tuple[str, Decimal]]
    """Each of the last 30 days (UTC)."""
    accounts: list[dict[str, Any]]
    """The accounts that have cost most this month (UTC), with their budgets."""


def count_by_status(connection: Connection) -> dict[str, int]:
    """Tasks of each status; MOST_COUNTED + 1 when there are more."""
    return {row["status"]: row["tasks"] for row in read_rows(connection, _COUNTS)}


def about_all(connection: Connection) -> int | None:
    """How many tasks there are, as the database estimates it; None when it does not know yet."""
    about: int | None = read_value(connection, _ABOUT)
    return about


def ready_by_priority(connection: Connection) -> list[dict[str, Any]]:
    """Tasks that may start now, of each priority that there are any: at most MOST_COUNTED + 1, and the oldest."""
    return [row for row in read_rows(connection, _READY) if row["tasks"]]


def front_by_account(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Whose the first MOST_COUNTED tasks in line are: the accounts with the most of them."""
    return read_rows(connection, _FRONT, [limit])


def count_reviews(connection: Connection) -> int:
    """Contents that wait for a review; MOST_COUNTED + 1 when there are more."""
    return int(read_value(connection, _REVIEWS))


def rates(connection: Connection) -> Rates:
    """What was completed in the last hour, or since MOST_COMPLETED tasks if that is shorter."""
    window = read_row(connection, _WINDOW, [MOST_COMPLETED])
    assert window is not None
    completed, waited = [0] * BUCKETS, [None] * BUCKETS
    for row in read_rows(connection, _BUCKETS, {**window, "buckets": BUCKETS}):
        completed[row["place"]], waited[row["place"]] = row["completed"], row["waited"]
    return Rates(window["since"], window["until"], completed, waited)  # type: ignore[arg-type]


def spending(connection: Connection, limit: int) -> Spending:
    """What the last days have cost, and so many accounts."""
    rows = read_rows(connection, _SPENDING, [limit])
    days = [(f"{row['day']:%m-%d}", row["cost"]) for row in rows if row["day"] is not None]
    return Spending(days, [row for row in rows if row["day"] is None])
