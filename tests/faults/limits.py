"""Checks that every started task was allowed to start: caps, pauses, gates, categories, shares.

It reads the auditor's record in the order of commits, which requires track_commit_timestamp. That makes counts
exact: a claim that saw a task end was committed after that end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import inf
from typing import Any

import psycopg
from psycopg.rows import TupleRow, namedtuple_row

MARGIN = 0.5
"""Seconds for which a commit may still be invisible: its timestamp is set before others see it."""

BACKLOG = 5
"""Minimum ready tasks left for an account to judge its share: some may be locked at that moment."""

TRACKED = {"track_commit_timestamp": "on"}
"""The required setting of the server."""

RECORD = """
CREATE TABLE audit.limits (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    of text NOT NULL, key text, new jsonb NOT NULL
);
CREATE FUNCTION audit.record_limits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit.limits (of, key, new)
    VALUES (TG_TABLE_NAME, coalesce(to_jsonb(NEW)->>'key', to_jsonb(NEW)->>'id', ''), to_jsonb(NEW));
    RETURN NULL;
END $$;
CREATE TRIGGER audit_limits AFTER INSERT OR UPDATE ON public.accounts
    FOR EACH ROW EXECUTE FUNCTION audit.record_limits();
CREATE TRIGGER audit_limits AFTER UPDATE ON contentq.settings FOR EACH ROW EXECUTE FUNCTION audit.record_limits();
CREATE TRIGGER audit_new AFTER INSERT ON contentq.gates FOR EACH ROW EXECUTE FUNCTION audit.record_limits();
CREATE TRIGGER audit_limits AFTER UPDATE ON contentq.gates FOR EACH ROW
    WHEN ((OLD.opens_at, OLD.half_open, OLD.max_running)
          IS DISTINCT FROM (NEW.opens_at, NEW.half_open, NEW.max_running))
    EXECUTE FUNCTION audit.record_limits();
"""
"""Triggers that record every change of a limit in its own transaction."""

SAMPLE = """
WITH running AS (
    SELECT t.account_id, t.started_at, w.gate
    FROM content_generation_tasks AS t
    LEFT JOIN audit.workers AS w ON w.id = t.worker_id
    WHERE t.status = 'processing'
)
SELECT 'account' AS of, account_id::text AS key, count(*) AS running,
       extract(epoch FROM min(started_at))::float8 AS since, extract(epoch FROM clock_timestamp())::float8 AS at
FROM running GROUP BY account_id
UNION ALL
SELECT 'gate', gate, count(*),
       extract(epoch FROM min(started_at))::float8, extract(epoch FROM clock_timestamp())::float8
FROM running WHERE gate IS NOT NULL GROUP BY gate
"""
"""Running tasks of each account and each gate, in one snapshot."""


@dataclass(frozen=True)
class Limit:
    """The limits in one version of an account's or a gate's row."""

    most: float
    closed_until: float
    half_open: bool = False
    share: int = 1
    is_plain: bool = True
    """Only its share limits this account."""


@dataclass
class Versions:
    """The versions of a row, in commit order."""

    first: Any
    times: list[float] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def add(self, time: float, value: Any) -> None:
        """Appends the next version."""
        self.times.append(time)
        self.values.append(value)

    def during(self, since: float, until: float) -> list[Any]:
        """The versions in force at some time in this period."""
        begin, end = bisect_right(self.times, since), bisect_right(self.times, until)
        return [self.values[begin - 1] if begin else self.first, *self.values[begin:end]]


FREE = Limit(inf, -inf)


@dataclass
class Running:
    """Running tasks of an account or a gate: when each started, and how many ran at each time."""

    began: dict[int, float] = field(default_factory=dict)
    numbers: Versions = field(default_factory=lambda: Versions(0))

    def note(self, time: float) -> None:
        """Records the number after a commit."""
        self.numbers.add(time, len(self.began))


class Limits:
    """The record of a run, and its violations. judged: how many starts were checked, by kind."""

    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self.judged: Counter[str] = Counter()
        with connection.cursor(row_factory=namedtuple_row) as cursor:
            self._changes: list[Any] = cursor.execute(
                "SELECT c.id, c.xid::text, c.new_status, c.old_status, c.account_id::text, c.priority, "
                "c.category, c.is_scheduled, c.worker_id, extract(epoch FROM c.started_at)::float8 AS started_at, "
                "extract(epoch FROM c.began)::float8 AS began, "
                "extract(epoch FROM pg_xact_commit_timestamp(c.xid::xid))::float8 AS committed "
                "FROM audit.changes AS c ORDER BY committed, c.new_status = 'processing', c.xid::text, c.n"
            ).fetchall()
            workers: list[Any] = cursor.execute("SELECT * FROM audit.workers").fetchall()
            limits: list[Any] = cursor.execute(
                "SELECT l.of, l.key, l.new, "
                "extract(epoch FROM coalesce(l.new->>'opens_at', l.new->>'paused_until')::timestamptz)::float8 "
                "AS closed_until, "
                "extract(epoch FROM pg_xact_commit_timestamp(l.xid::xid))::float8 AS committed "
                "FROM audit.limits AS l ORDER BY committed, l.n"
            ).fetchall()
        self._workers = {row.id: row for row in workers}
        self._accounts: dict[str, Versions] = defaultdict(lambda: Versions(FREE))
        self._gates: dict[str, Versions] = defaultdict(lambda: Versions(FREE))
        self._orders = Versions("strict")
        for row in limits:
            if row.of == "settings":
                self._orders.add(row.committed, row.new["claim_order"])
            else:
                versions = self._gates if row.of == "gates" else self._accounts
                versions[row.key].add(row.committed, _limit(row.new, row.closed_until))
        self._plain = {
            key for key, versions in self._accounts.items() if all(each.is_plain for each in versions.values)
        }
        self._waiting = _waiting(self._changes)
        self._running_of_account: dict[str, Running] = defaultdict(Running)
        self._running_of_gate: dict[str, Running] = defaultdict(Running)

    def violations(self) -> Iterator[str]:
        """Every claim that started a task against the limits."""
        holders: dict[int, list[Running]] = {}
        for (_, _, committed), group in groupby(
            self._changes, lambda row: (row.xid, row.new_status == "processing", row.committed)
        ):
            changes = list(group)
            touched: dict[int, Running] = {}
            for change in changes:
                if change.new_status == "processing":
                    holders[change.id] = self._holders(change)
                    for running in holders[change.id]:
                        running.began[change.id] = change.started_at
                        touched[id(running)] = running
                elif change.old_status == "processing":
                    for running in holders.pop(change.id):
                        del running.began[change.id]
                        touched[id(running)] = running
            for running in touched.values():
                running.note(committed)
            started = [change for change in changes if change.new_status == "processing"]
            if started:
                yield from self._check(started)

    def violations_seen(self, samples: Iterable[Sequence[Any]]) -> Iterator[str]:
        """Counts in SAMPLE that exceed every limit in force since the oldest running task started."""
        for of, key, number, since, at in samples:
            versions = (self._accounts if of == "account" else self._gates)[key].during(since - MARGIN, at)
            most = max(each.most for each in versions)
            self.judged[f"sample of {of} with a cap"] += most < inf
            if number > most:
                yield f"{of} {key}: {number} tasks were seen running, of {most} at most"

    def _holders(self, change: Any) -> list[Running]:
        """Everything that a running task counts towards."""
        gate = self._workers[change.worker_id].gate
        return [
            self._running_of_account[change.account_id],
            self._running_of_gate["*"],
            *([self._running_of_gate[gate]] if gate is not None else []),
        ]

    def _check(self, started: list[Any]) -> Iterator[str]:
        first = started[0]
        since, until = first.began - MARGIN, first.committed
        worker = self._workers[first.worker_id]
        for change in started:
            if worker.categories is not None:
                self.judged["start by a worker with categories"] += 1
                if change.category not in worker.categories:
                    yield f"task {change.id}: of category {change.category}, which its worker does not claim"
        for account, tasks in _by_account(started).items():
            limits = self._accounts[account].during(since, until)
            yield from self._beyond(f"account {account}", limits, self._running_of_account[account], tasks)
        for gate in {"*", worker.gate} - {None}:
            limits = self._gates[gate].during(since, until)
            running = self._running_of_gate[gate]
            yield from self._beyond(f"gate {gate}", limits, running, started)
            latest = max(limit.closed_until for limit in limits)
            if all(limit.half_open for limit in limits):
                self.judged["start at a half-open gate"] += 1
                probes = [began for began in running.began.values() if began >= latest]
                if len(probes) > 1:
                    yield f"gate {gate}: {len(probes)} tasks try at once whether the provider is back"
        if worker.categories is None and set(self._orders.during(since, until)) == {"fair"}:
            yield from self._unfair(started, since, until)

    def _beyond(self, whose: str, limits: list[Limit], running: Running, started: list[Any]) -> Iterator[str]:
        """The most favourable of these limits applies."""
        most = max(limit.most for limit in limits)
        self.judged[f"claim of {whose.split()[0]} with a cap"] += most < inf
        if len(running.began) > most:
            yield f"{whose}: a claim left {len(running.began)} tasks running, of {most} at most"
        opens_at = min(limit.closed_until for limit in limits)
        for change in started:
            if change.started_at < opens_at:
                yield f"{whose}: task {change.id} was started while it was closed"

    def _unfair(self, started: list[Any], since: float, until: float) -> Iterator[str]:
        """Claims that gave an account a slot at a level that another account with ready tasks had not reached.

        A level is a whole share running. If the number running at the time of the count is uncertain, the value
        most favourable to the claim applies.
        """
        for account, tasks in _by_account(started).items():
            shares = {limit.share for limit in self._accounts[account].during(since, until)}
            before = min(self._running_of_account[account].numbers.during(since, until)[:-1])
            for priority in {change.priority for change in tasks} if len(shares) == 1 else ():
                given = sum(change.priority >= priority for change in tasks)
                level = (before + given - 1) // max(shares)
                for other in self._plain - {account}:
                    other_shares = {limit.share for limit in self._accounts[other].during(since, until)}
                    left = sum(
                        begin <= since and end >= until + MARGIN for begin, end in self._waiting[other, priority]
                    )
                    if left < BACKLOG or len(other_shares) > 1:
                        continue
                    self.judged["two accounts' shares"] += 1
                    running = max(self._running_of_account[other].numbers.during(since, until))
                    if level > running // max(other_shares):
                        yield (
                            f"account {account}: got a slot of priority {priority} with {before + given - 1} "
                            f"running of share {max(shares)}, while account {other} had {left} tasks left and "
                            f"{running} running of share {max(other_shares)}"
                        )


def _limit(row: dict[str, Any], closed_until: float | None) -> Limit:
    limits = [row["max_running"], row.get("monthly_budget"), row.get("paused_until")]
    is_spent = row.get("monthly_budget") == 0
    return Limit(
        most=inf if row["max_running"] is None else row["max_running"],
        closed_until=inf if is_spent else -inf if closed_until is None else closed_until,
        half_open=row.get("half_open", False),
        share=row.get("share", 1),
        is_plain=all(each is None for each in limits),
    )


def _by_account(changes: list[Any]) -> dict[str, list[Any]]:
    found = defaultdict(list)
    for change in changes:
        found[change.account_id].append(change)
    return found


def _waiting(changes: list[Any]) -> dict[tuple[str, int], list[tuple[float, float]]]:
    """The periods in which tasks were ready that were later started, by account and priority."""
    ready_since: dict[int, float] = {}
    found = defaultdict(list)
    for change in changes:
        since = ready_since.pop(change.id, None)
        if change.new_status == "pending" and not change.is_scheduled:
            ready_since[change.id] = change.committed
        elif change.new_status == "processing" and since is not None:
            found[change.account_id, change.priority].append((since, change.committed))
    return found
