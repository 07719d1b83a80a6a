"""All metrics: name, meaning and labels. docs/reference/metrics.md is generated from this list.

Names follow https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["gauge", "counter", "histogram"]

BOUNDS = (0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14_400, 86_400)
"""Upper bounds of the buckets of histograms, in seconds."""


@dataclass(frozen=True)
class Family:
    """A metric with its labels. on_demand: exported only with --by-account."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    on_demand: bool = False

    @property
    def sample_names(self) -> tuple[str, ...]:
        """The names of its time series."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "count", "sum"))
        return (self.name,)


FLEET = (
    Family("contentq_up", "gauge", "1 if the database answers and has this program's schema, otherwise 0."),
    Family("contentq_info", "gauge", "Always 1; versions of exporter and schema.", ("version", "schema")),
    Family("contentq_look_seconds", "gauge", "Duration of the exporter's last read of the database."),
    Family(
        "contentq_look_failures_total",
        "counter",
        "Failed reads by part; the metrics of a failed part are missing from that scrape.",
        ("part",),
    ),
    Family(
        "contentq_tasks",
        "gauge",
        "Tasks by status. From 100,000 tasks on, the number of completed tasks is an estimate.",
        ("status",),
    ),
    Family("contentq_ready_tasks", "gauge", "Pending tasks that may start now, by priority.", ("priority",)),
    Family("contentq_scheduled_tasks", "gauge", "Pending tasks that wait for a scheduled time or a retry."),
    Family(
        "contentq_oldest_ready_age_seconds",
        "gauge",
        "Time since the oldest ready task became ready; 0 if no task is ready. Includes tasks of paused accounts "
        "and behind closed gates.",
    ),
    Family(
        "contentq_task_waiting_seconds",
        "histogram",
        "Time from ready to the start of the last attempt, for tasks completed since the exporter started.",
    ),
    Family(
        "contentq_task_running_seconds",
        "histogram",
        "Duration of the last attempt, for tasks completed since the exporter started.",
    ),
    Family(
        "contentq_failed_attempts_total",
        "counter",
        "Failed attempts since the queue was created, retried or not, by error class.",
        ("error_class",),
    ),
    Family(
        "contentq_charged_attempts_total",
        "counter",
        "Attempts with a cost since the exporter started, by model.",
        ("model",),
    ),
    Family(
        "contentq_tokens_total",
        "counter",
        "Tokens since the exporter started, by model; kind is prompt or completion.",
        ("model", "kind"),
    ),
    Family(
        "contentq_cost_total",
        "counter",
        "Cost since the exporter started, by model, in the currency of your prices.",
        ("model",),
    ),
    Family(
        "contentq_gate_open",
        "gauge",
        "1 if a gate is open, 0 if it is closed or half-open.",
        ("gate",),
    ),
    Family("contentq_gate_waits", "gauge", "1 if an open gate keeps tasks waiting, otherwise 0.", ("gate",)),
    Family("contentq_gate_running", "gauge", "Running tasks behind a gate.", ("gate",)),
    Family(
        "contentq_gate_pace", "gauge", "Tasks per second that a gate allows; missing without a limit.", ("gate",)
    ),
    Family("contentq_gate_refused", "gauge", "Calls refused in the last minute.", ("gate",)),
    Family("contentq_gate_unanswered", "gauge", "Calls without an answer in the last minute.", ("gate",)),
    Family(
        "contentq_workers",
        "gauge",
        "Registered workers by state: idle, working, waits, full, draining, silent.",
        ("state",),
    ),
    Family("contentq_slots", "gauge", "Slots of all workers that are not silent."),
    Family("contentq_busy_slots", "gauge", "Slots of these workers with a running task."),
    Family("contentq_oldest_heartbeat_age_seconds", "gauge", "Maximum time since the last heartbeat of a worker."),
    Family("contentq_dead_workers", "gauge", "Workers found dead within the last hour."),
    Family("contentq_reviews_pending", "gauge", "Contents that wait for a review."),
    Family("contentq_oldest_review_age_seconds", "gauge", "Age of the oldest content that waits for a review."),
    Family(
        "contentq_blocked_accounts",
        "gauge",
        "Accounts whose tasks are not claimed, by reason: paused, over_budget.",
        ("reason",),
    ),
    Family("contentq_budgets", "gauge", "Budgets by state: ok, near, used_up.", ("state",)),
    Family(
        "contentq_maintenance_age_seconds", "gauge", "Time since the last maintenance; missing before the first."
    ),
    Family("contentq_notification_queue_ratio", "gauge", "Used part of PostgreSQL's notification queue: 0 to 1."),
    Family("contentq_ids_used_ratio", "gauge", "Used part of the ids of a table: 0 to 1.", ("table",)),
    Family(
        "contentq_account_tasks",
        "gauge",
        "Tasks by account and status (pending, processing), for the 1000 accounts with the most tasks.",
        ("account_id", "status"),
        on_demand=True,
    ),
    Family(
        "contentq_account_cost_total",
        "counter",
        "Cost since the exporter started, by account.",
        ("account_id",),
        on_demand=True,
    ),
)
"""The metrics that `contentq metrics` exports."""

WORKER = (
    Family("contentq_worker_info", "gauge", "Always 1; version and handler.", ("version", "handler")),
    Family("contentq_worker_claimed_total", "counter", "Tasks that the worker has claimed."),
    Family(
        "contentq_worker_attempts_total",
        "counter",
        "Attempts that have ended, by outcome: completed, failed, retried, revised, snoozed, timed_out, released, "
        "refused.",
        ("outcome",),
    ),
    Family(
        "contentq_worker_failed_attempts_total",
        "counter",
        "Failed attempts, retried or not, by error class.",
        ("error_class",),
    ),
    Family("contentq_worker_running", "gauge", "Tasks of the worker that run or were claimed ahead."),
    Family("contentq_worker_slots", "gauge", "Maximum number of tasks that the worker runs at once."),
    Family("contentq_worker_registered", "gauge", "1 if the worker is registered in the database, otherwise 0."),
    Family(
        "contentq_worker_heartbeat_age_seconds",
        "gauge",
        "Time since the worker's last heartbeat; missing before the first.",
    ),
    Family("contentq_worker_loop_silence_seconds", "gauge", "Time since the worker's event loop last ran."),
    Family("contentq_worker_stopping", "gauge", "1 if the worker is stopping, otherwise 0."),
)
"""The metrics that `contentq worker --metrics-port` exports."""
