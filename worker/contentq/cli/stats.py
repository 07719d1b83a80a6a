"""`contentq stats`: an overview of the queue."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from contentq.cli.output import json_option, print_json, print_line, print_table
from contentq.cli.session import open_session
from contentq.durations import DURATION

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions

PARTS = {
    "queue_overview": "tasks",
    "gate_status": "closed gates",
    "paused_accounts": "accounts on hold",
    "backlog_by_account": "backlog by account",
    "worker_status": "workers",
    "throughput": "completed by minute",
    "usage_by_account": "this month by account",
    "usage_by_model": "this month by model",
}
"""The views to read, with their headings."""

ONLY_WHEN_ANY = ("gate_status", "paused_accounts", "usage_by_account", "usage_by_model")
"""The views that are omitted if they have no rows."""

HEADINGS = {"account_id": "account", "oldest_age": "oldest", "heartbeat_age_s": "heartbeat_s"}
"""Shorter column headings, to fit into 80 characters."""

COLUMNS = {
    "gate_status": {"key": "gate", "opens_at": "closed until", "workers": "workers", "reason": "reason"},
    "worker_status": {
        name: HEADINGS.get(name, name)
        for name in (
            "id",
            "hostname",
            "pid",
            "state",
            "busy",
            "slots",
            "heartbeat_age_s",
            "handler",
            "version",
        )
    },
    "usage_by_account": {
        "account_id": "account",
        "name": "name",
        "attempts": "attempts",
        "prompt_tokens": "tokens in",
        "completion_tokens": "tokens out",
        "cost": "cost",
        "monthly_budget": "budget",
        "used_percent": "% used",
    },
    "usage_by_model": {
        "model": "model",
        "attempts": "attempts",
        "prompt_tokens": "tokens in",
        "completion_tokens": "tokens out",
        "cost": "cost",
        "cost_each": "each",
    },
}
"""The columns shown to people, with their headings, of views that have more."""

GIVE_WAY = {
    "gate_status": ["gate", "reason"],
    "paused_accounts": ["name"],
    "backlog_by_account": ["name"],
    "worker_status": ["hostname", "handler"],
    "usage_by_account": ["name"],
    "usage_by_model": ["model"],
}
"""The columns that are cut on a narrow terminal, by view."""


LATENCY_BY = {"all": None, "account": "account", "category": "category", "priority": "priority"}
"""The tables of --since, with the argument of latency() for each."""

LATENCY_SHOWN = ("tasks", "wait_p50", "wait_p95", "wait_p99", "run_p50", "run_p95", "run_p99")

MOST_SHOWN = 20


@click.command()
@click.option(
    "--since",
    type=DURATION,
    help="Show waiting and running times of tasks completed within this time instead: 5m, 1h, 1d.",
)
@json_option
@click.pass_obj
def stats(options: GlobalOptions, /, since: timedelta | None, as_json: bool) -> None:
    """Show task counts, workers and throughput.

    All figures are from one moment, with at most 20 rows of each kind. Closed gates, accounts that are paused or
    over budget, and this month's usage by account and by model are omitted if empty. With --json, oldest_age and
    up are in seconds.

    With --since, the figures are percentiles in seconds: half of the tasks waited at most wait_p50, 95 % at most
    wait_p95, and 99 % at most wait_p99. Waiting time starts when a task is ready: after its scheduled time, a
    snooze, or the backoff before a retry. At most the last 10,000 completed tasks are counted.
    """
    from contentq.queue import inspection

    if since is not None:
        _show_latency(options, since, as_json)
        return
    with open_session(options) as connection:
        found = inspection.views(connection, PARTS)
    if as_json:
        print_json(found)
        return
    found["gate_status"] = [row for row in found["gate_status"] if row["state"] == "closed"]
    parts = [name for name in PARTS if found[name] or name not in ONLY_WHEN_ANY]
    for number, name in enumerate(parts):
        if number:
            print_line()
        rows = [_choose_columns(name, row) for row in found[name]]
        print_table(PARTS[name], rows, f"{PARTS[name]}: none", give_way=GIVE_WAY.get(name, []))
        waiting = [row for row in found[name] if name == "worker_status" and row["state"] == "waits"]
        if waiting:
            print_line()
            shown = [{"id": row["id"], "waits for": row["waits_for"]} for row in waiting]
            print_table("workers that wait", shown, "", give_way=["waits for"])


def _show_latency(options: GlobalOptions, since: timedelta, as_json: bool) -> None:
    from contentq.queue import inspection

    with open_session(options) as connection:
        found = {kind: inspection.latency(connection, since, by) for kind, by in LATENCY_BY.items()}
    if as_json:
        print_json(found)
        return
    for number, (kind, rows) in enumerate(found.items()):
        if number:
            print_line()
        shown = [{kind: row["key"], **{name: row[name] for name in LATENCY_SHOWN}} for row in rows[:MOST_SHOWN]]
        print_table(kind, shown, f"{kind}: none", give_way=[kind])
        if len(rows) > MOST_SHOWN:
            print_line(f"and {len(rows) - MOST_SHOWN} more", err=True)


def _choose_columns(view: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    if view not in COLUMNS:
        return {HEADINGS.get(name, name): value for name, value in row.items()}
    return {heading: row[column] for column, heading in COLUMNS[view].items()}
