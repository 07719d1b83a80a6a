"""Every metric: its name, what it counts, and its labels. docs/reference/metrics.md is generated from this list.

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
    """A metric with its labels. on_demand: only with --by-account."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    on_demand: bool = False

    @property
    def sample_names(self) -> tuple[str, ...]:
        """The names under which it can be queried."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "count", "sum"))
        return (self.name,)


FLEET = (
    Family("contentq_up", "gauge", "Whether the database answered the exporter and has its schema: 1 or 0."),
    Family("contentq_info", "gauge", "Always 1; versions of exporter and schema.", ("version", "schema")),
    Family("contentq_look_seconds", "gauge", "How long the exporter took to read the database."),
    Family(
        "contentq_look_failures_total",
        "counter",
        "Parts of what the exporter reads that it could not read; their metrics were missing then.",
        ("part",),
    ),
    Family(
        "contentq_tasks",
        "gauge",
        "Tasks by status. Of 100,000 tasks and more, the completed ones are an estimate.",
        ("status",),
    ),
    Family("contentq_ready_tasks", "gauge", "Pending tasks that may start now, by priority.", ("priority",)),
    Family("contentq_scheduled_tasks", "gauge", "Pending tasks that wait for a time: a schedule, a retry."),
    Family(
        "contentq_oldest_ready_age_seconds",
        "gauge",
        "Since the ready task that has waited longest became ready; 0 when none is. Tasks of paused accounts and "
        "behind closed gates count.",
    ),
    Family(
        "contentq_task_waiting_seconds",
        "histogram",
        "From ready to the start of the last attempt, of tasks completed since the exporter started.",
    ),
    Family(
        "contentq_task_running_seconds",
        "histogram",
        "From the start of the last attempt to its end, of tasks completed since the exporter started.",
    ),
    Family(
        "contentq_failed_attempts_total",
        "counter",
        "Failed attempts since the queue was made, whether they are retried or not, by the class of the error.",
        ("error_class",),
    ),
    Family(
        "contentq_charged_attempts_total",
        "counter",
        "Attempts that have cost something, by model, since the exporter started.",
        ("model",),
    ),
    Family(
        "contentq_tokens_total",
        "counter",
        "Tokens by model since the exporter started; kind is prompt or completion.",
        ("model", "kind"),
    ),
    Family(
        "contentq_cost_total",
        "counter",
        "Cost by model since the exporter started, in the currency of your prices.",
        ("model",),
    ),
    Family(
        "contentq_gate_open",
        "gauge",
        "Whether a gate is open: 1; 0 when closed or half open.",
        ("gate",),
    ),
    Family("contentq_gate_waits", "gauge", "Whether a gate that is open keeps tasks waiting: 1 or 0.", ("gate",)),
    Family("contentq_gate_running", "gauge", "Running tasks behind a gate.", ("gate",)),
    Family("contentq_gate_pace", "gauge", "Tasks a second that a gate allows; missing when free.", ("gate",)),
    Family("contentq_gate_refused", "gauge", "Calls that were refused in the last minute.", ("gate",)),
    Family("contentq_gate_unanswered", "gauge", "Calls without an answer in the last minute.", ("gate",)),
    Family(
        "contentq_workers",
        "gauge",
        "Registered workers by state: idle, working, waits, full, draining, silent.",
        ("state",),
    ),
    Family("contentq_slots", "gauge", "Slots of the workers that are heard."),
    Family("contentq_busy_slots", "gauge", "Of these, slots whose task runs."),
    Family("contentq_oldest_heartbeat_age_seconds", "gauge", "The longest since the last heartbeat of a worker."),
    Family("contentq_dead_workers", "gauge", "Workers that were found dead within the last hour."),
    Family("contentq_reviews_pending", "gauge", "Contents that wait for a review."),
    Family("contentq_oldest_review_age_seconds", "gauge", "Age of the oldest content that waits for one."),
    Family(
        "contentq_blocked_accounts",
        "gauge",
        "Accounts of which nothing starts, by reason: paused, over_budget.",
        ("reason",),
    ),
    Family("contentq_budgets", "gauge", "Budgets by state: ok, near their end, used_up.", ("state",)),
    Family("contentq_maintenance_age_seconds", "gauge", "Since the last maintenance; missing before the first."),
    Family("contentq_notification_queue_ratio", "gauge", "How full PostgreSQL's notification queue is: 0 to 1."),
    Family("contentq_ids_used_ratio", "gauge", "Part of the ids of a table that is used up: 0 to 1.", ("table",)),
    Family(
        "contentq_account_tasks",
        "gauge",
        "Tasks of the 1000 accounts with the most, by status: pending, processing.",
        ("account_id", "status"),
        on_demand=True,
    ),
    Family(
        "contentq_account_cost_total",
        "counter",
        "Cost by account since the exporter started.",
        ("account_id",),
        on_demand=True,
    ),
)
"""What `contentq metrics` exports."""

WORKER = (
    Family("contentq_worker_info", "gauge", "Always 1; the version and the handler.", ("version", "handler")),
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
        "Failed attempts, whether they are retried or not, by the class of the error.",
        ("error_class",),
    ),
    Family("contentq_worker_running", "gauge", "Tasks that it has: that run, or were claimed ahead."),
    Family("contentq_worker_slots", "gauge", "Tasks that it runs at once."),
    Family("contentq_worker_registered", "gauge", "Whether the database knows the worker: 1 or 0."),
    Family("contentq_worker_heartbeat_age_seconds", "gauge", "Since its last heartbeat; missing until one."),
    Family("contentq_worker_loop_silence_seconds", "gauge", "Since the event loop last showed life."),
    Family("contentq_worker_stopping", "gauge", "Whether it was told to stop: 1 or 0."),
)
"""What `contentq worker --metrics-port` exports."""
