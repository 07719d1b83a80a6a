"""The findings of `contentq doctor`, by name."""

from __future__ import annotations

IN_SQL = frozenset(
    {
        "autovacuum_off",
        "check_failed",
        "clock_went_back",
        "collation_changed",
        "connections_used",
        "content_refused",
        "dead_rows",
        "definition_changed",
        "definition_missing",
        "encoding",
        "functions_open",
        "idle_transaction",
        "ids_running_out",
        "index_invalid",
        "index_missing",
        "maintenance_late",
        "model_without_price",
        "no_live_worker",
        "notify_queue",
        "old_snapshot",
        "read_only",
        "retries_put_off",
        "reviews_wait",
        "row_security",
        "rows_locked",
        "schema_open",
        "setting",
        "task_column_unfilled",
        "tasks_behind_closed_gates",
        "tasks_nobody_claims",
        "tasks_wait",
        "trigger_rights",
        "unseen",
        "worker_silent",
    }
)
"""The findings of contentq.doctor()."""

OF_THE_CLIENT = frozenset(
    {
        "clock_differs",
        "column_changed",
        "column_missing",
        "constraint_missing",
        "other_version",
        "pooler",
        "schema_revision",
        "table_missing",
    }
)
"""The findings that only the command reports."""

OF_A_TEST_SERVER = ("fsync", "full_page_writes", "synchronous_commit")
"""Settings reported on every test server, because those are tuned for speed."""
