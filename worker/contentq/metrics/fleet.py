"""Reads metrics of the whole queue from its database."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg

from contentq.database.database import Database
from contentq.database.revisions import require_head
from contentq.errors import ContentQueueError
from contentq.metrics.families import BOUNDS, FLEET
from contentq.metrics.samples import MOST_VALUES, Counter, Histogram, Samples
from contentq.queue import fleet
from contentq.queue.reading import Connection
from contentq.task import STATUSES
from contentq.version import __version__

log = logging.getLogger("contentq.metrics")

APPLICATION = "contentq metrics"

STATES = ("idle", "working", "waits", "full", "draining", "silent")
"""States of workers, as in the view worker_status."""

LEAST_TIME = 0.05
"""Minimum time limit of each statement in seconds, even if the total limit is exceeded."""

BUDGET_STATES = ("ok", "near", "used_up")

Part = Callable[[Connection, Samples], None]


class Fleet:
    """The metrics of the queue, and the counters since this exporter started.

    time_limit: seconds for reading all parts. kept: seconds for which a result is reused.
    """

    def __init__(
        self, database: Database, *, by_account: bool = False, time_limit: float = 8.0, kept: float = 3.0
    ) -> None:
        self._database = database
        self._time_limit = time_limit
        self._kept = kept
        self._lock = threading.Lock()
        self._looked_at = 0.0
        self._last: Samples | None = None
        self._before: fleet.Look | None = None
        self._waiting, self._running = Histogram(BOUNDS), Histogram(BOUNDS)
        self._by_model = _Spending()
        self._by_account = _Spending(fleet.MOST_ACCOUNTS)
        self._failures = Counter()
        self._failing: set[str] = set()
        self._parts: dict[str, Part] = {
            "upkeep": _read_upkeep,
            "workers": _read_workers,
            "gates": _read_gates,
            "completed": self._read_completed,
            "failures": _read_failures,
            "usage": self._read_usage,
            "accounts": _read_blocked,
            "reviews": _read_reviews,
            "oldest_ready": _read_oldest_ready,
            "tasks": _read_tasks,
            **({"by_account": self._read_accounts} if by_account else {}),
        }
        for name in ("database", *self._parts):
            self._failures.add(name, 0)

    def read(self) -> Samples:
        """Returns the metrics; reuses a recent result."""
        with self._lock:
            if self._last is None or time.monotonic() - self._looked_at > self._kept:
                self._last = self._look()
                self._looked_at = time.monotonic()
            return self._last

    def check(self) -> str | None:
        """Returns why the exporter does not work; None if it works."""
        try:
            with self._database.connect(APPLICATION) as connection:
                require_head(connection)
        except ContentQueueError as error:
            return str(error)
        except psycopg.Error as error:
            return _message_of(error)
        return None

    def _look(self) -> Samples:
        samples = Samples(FLEET)
        began = time.monotonic()
        is_up = False
        try:
            with self._database.connect(APPLICATION) as connection:
                require_head(connection)
                for name, part in self._parts.items():
                    left = began + self._time_limit - time.monotonic()
                    self._read_part(name, partial(part, connection, samples), connection, max(left, LEAST_TIME))
                is_up = True
                self._note("database", None)
        except (ContentQueueError, psycopg.Error) as error:
            self._note("database", error)
        samples.set("contentq_up", int(is_up))
        samples.set("contentq_look_seconds", time.monotonic() - began)
        samples.set("contentq_task_waiting_seconds", self._waiting.copy())
        samples.set("contentq_task_running_seconds", self._running.copy())
        for part_name, number in self._failures:
            samples.set("contentq_look_failures_total", number, part_name)
        return samples

    def _read_part(self, name: str, read: Callable[[], None], connection: Connection, seconds: float) -> None:
        """Reads one part; a part that fails or takes too long does not affect the others."""
        try:
            with fleet.limited(connection, seconds):
                read()
        except psycopg.Error as error:
            if connection.closed:
                raise
            self._note(name, error)
            if name == "completed":
                self._before = None  # too many completions may have been missed to ever catch up
        else:
            self._note(name, None)

    def _note(self, name: str, error: Exception | None) -> None:
        """Counts failures, and logs the first failure and the recovery."""
        if error is None:
            if name in self._failing:
                self._failing.discard(name)
                log.info("read again part=%s", name)
            return
        self._failures.add(name, 1)
        if name not in self._failing:
            self._failing.add(name)
            log.warning("not read part=%s error=%s", name, _message_of(error))

    def _read_completed(self, connection: Connection, _samples: Samples) -> None:
        if self._before is None:
            self._before = fleet.look(connection)
            return
        self._before, ended = fleet.completed_since(connection, self._before, BOUNDS)
        for histogram, found in ((self._waiting, ended.waiting), (self._running, ended.running)):
            for bucket, (number, seconds) in found.items():
                histogram.add(bucket, number, seconds)

    def _read_usage(self, connection: Connection, samples: Samples) -> None:
        self._by_model.add(fleet.usage(connection))
        spent = self._by_model.spent
        for model, attempts in spent["attempts"]:
            samples.set("contentq_charged_attempts_total", attempts, model)
        for model, cost in spent["cost"]:
            samples.set("contentq_cost_total", cost, model)
        for kind in ("prompt", "completion"):
            for model, tokens in spent[kind]:
                samples.set("contentq_tokens_total", tokens, model, kind)

    def _read_accounts(self, connection: Connection, samples: Samples) -> None:
        for row in fleet.accounts(connection):
            for status in ("pending", "processing"):
                samples.set("contentq_account_tasks", row[status], str(row["account_id"]), status)
        self._by_account.add(fleet.usage_of_accounts(connection))
        for account, cost in self._by_account.spent["cost"]:
            samples.set("contentq_account_cost_total", cost, account)


class _Spending:
    """The usage since the first read, from the sums of days, which grow."""

    def __init__(self, most: int = MOST_VALUES) -> None:
        self.spent = {what: Counter(most) for what in ("attempts", "prompt", "completion", "cost")}
        self._sums: dict[tuple[str, str], dict[str, float]] | None = None

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Takes the sums of the current day and the day before."""
        sums = {
            (row["day"], row["of"]): {
                "attempts": row["attempts"],
                "prompt": row["prompt_tokens"],
                "completion": row["completion_tokens"],
                "cost": row["cost"],
            }
            for row in rows
        }
        for (day, of), found in sums.items():
            before = found if self._sums is None else self._sums.get((day, of), {})
            for what, amount in found.items():
                self.spent[what].add(of, max(amount - before.get(what, 0), 0))
        self._sums = sums


def _read_tasks(connection: Connection, samples: Samples) -> None:
    ready = dict.fromkeys(range(1, 11), 0)
    scheduled = 0
    for row in fleet.waiting_tasks(connection):
        if row["is_scheduled"]:
            scheduled += row["tasks"]
        else:
            ready[row["priority"]] += row["tasks"]
    for priority, tasks in ready.items():
        samples.set("contentq_ready_tasks", tasks, str(priority))
    samples.set("contentq_scheduled_tasks", scheduled)
    waiting = sum(ready.values()) + scheduled
    others = fleet.other_tasks(connection, waiting)
    for status in STATUSES:
        samples.set("contentq_tasks", waiting if status == "pending" else others.get(status, 0), status)


def _read_oldest_ready(connection: Connection, samples: Samples) -> None:
    samples.set("contentq_oldest_ready_age_seconds", max(fleet.oldest_ready(connection), 0.0))


def _read_failures(connection: Connection, samples: Samples) -> None:
    for error_class, attempts in fleet.failures(connection).items():
        samples.set("contentq_failed_attempts_total", attempts, error_class)


def _read_gates(connection: Connection, samples: Samples) -> None:
    for row in fleet.gates(connection):
        key, state = row["key"], row["state"]
        samples.set("contentq_gate_open", int(state not in ("closed", "half open")), key)
        samples.set("contentq_gate_waits", int(state == "waits"), key)
        samples.set("contentq_gate_running", row["running"], key)
        samples.set("contentq_gate_refused", row["refused"], key)
        samples.set("contentq_gate_unanswered", row["unanswered"], key)
        if row["pace"] is not None:
            samples.set("contentq_gate_pace", row["pace"], key)


def _read_workers(connection: Connection, samples: Samples) -> None:
    by_state = {row["state"]: row for row in fleet.workers(connection)}
    live = [row for state, row in by_state.items() if state != "silent"]
    for state in STATES:
        samples.set("contentq_workers", by_state[state]["workers"] if state in by_state else 0, state)
    samples.set("contentq_slots", sum(row["slots"] for row in live))
    samples.set("contentq_busy_slots", sum(row["busy"] for row in live))
    ages = [row["heartbeat_age"] for row in by_state.values()]
    samples.set("contentq_oldest_heartbeat_age_seconds", max(ages, default=0.0))
    samples.set("contentq_dead_workers", fleet.dead_workers(connection))


def _read_reviews(connection: Connection, samples: Samples) -> None:
    contents, oldest_age = fleet.reviews(connection)
    samples.set("contentq_reviews_pending", contents)
    samples.set("contentq_oldest_review_age_seconds", max(oldest_age, 0.0))


def _read_blocked(connection: Connection, samples: Samples) -> None:
    for reason, accounts in fleet.blocked_accounts(connection).items():
        samples.set("contentq_blocked_accounts", accounts, reason)
    budgets = fleet.budgets(connection)
    for state in BUDGET_STATES:
        samples.set("contentq_budgets", budgets.get(state, 0), state)


def _read_upkeep(connection: Connection, samples: Samples) -> None:
    row = fleet.upkeep(connection)
    samples.set("contentq_info", 1, __version__, row["revision"])
    if row["maintenance_age"] is not None:
        samples.set("contentq_maintenance_age_seconds", max(row["maintenance_age"], 0.0))
    samples.set("contentq_notification_queue_ratio", row["notification_queue"])
    for table, used in fleet.ids_used(connection).items():
        samples.set("contentq_ids_used_ratio", used, table)


def _message_of(error: Exception) -> str:
    return " ".join(str(error).split())
