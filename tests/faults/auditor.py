"""Checks the guarantees after a run, using the database, its record of state changes, and the handlers' journal.

The functions return violations as text. An empty list means that the guarantees were kept.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from contentq.errors import MAX_REVISIONS
from psycopg.rows import namedtuple_row

RECORD = """
CREATE SCHEMA audit;
CREATE TABLE audit.changes (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    id integer NOT NULL, old_status text, new_status text NOT NULL,
    old_attempt integer, new_attempt integer NOT NULL,
    old_retries integer, new_retries integer NOT NULL, worker_id bigint,
    account_id bigint NOT NULL, priority integer NOT NULL, category text,
    is_scheduled boolean NOT NULL, started_at timestamptz,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(), began timestamptz NOT NULL DEFAULT statement_timestamp()
);
CREATE TABLE audit.workers (id bigint PRIMARY KEY, pid integer NOT NULL, gate text, categories text[]);
CREATE FUNCTION audit.record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit.changes
        (id, old_status, new_status, old_attempt, new_attempt, old_retries, new_retries, worker_id,
         account_id, priority, category, is_scheduled, started_at)
    VALUES (NEW.id, OLD.status, NEW.status, OLD.attempt, NEW.attempt, OLD.retry_count, NEW.retry_count,
            coalesce(NEW.worker_id, OLD.worker_id),
            NEW.account_id, NEW.priority, NEW.category, NEW.scheduled_at IS NOT NULL, NEW.started_at);
    RETURN NULL;
END $$;
CREATE FUNCTION audit.record_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit.changes
        (id, new_status, new_attempt, new_retries, account_id, priority, category, is_scheduled)
    VALUES (NEW.id, NEW.status, NEW.attempt, NEW.retry_count,
            NEW.account_id, NEW.priority, NEW.category, NEW.scheduled_at IS NOT NULL);
    RETURN NULL;
END $$;
CREATE FUNCTION audit.record_worker() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit.workers VALUES (NEW.id, NEW.pid, NEW.gate, NEW.categories) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_new AFTER INSERT ON public.content_generation_tasks
    FOR EACH ROW EXECUTE FUNCTION audit.record_new();
CREATE TRIGGER audit_change AFTER UPDATE ON public.content_generation_tasks FOR EACH ROW
    WHEN (OLD.status <> NEW.status OR OLD.attempt <> NEW.attempt OR OLD.retry_count <> NEW.retry_count)
    EXECUTE FUNCTION audit.record();
CREATE TRIGGER audit_worker AFTER INSERT ON contentq.workers FOR EACH ROW EXECUTE FUNCTION audit.record_worker();
"""
"""Triggers that record every change of state in its own transaction."""

FINAL = ("completed", "failed", "timeout")

LEGAL = {
    (None, "pending"),
    ("pending", "processing"),
    ("pending", "failed"),
    ("pending", "timeout"),
    ("processing", "pending"),
    ("processing", "completed"),
    ("processing", "failed"),
    ("processing", "timeout"),
    ("failed", "pending"),
    ("timeout", "pending"),
}


@dataclass(frozen=True)
class Audit:
    """The evidence of a run.

    inserted: ids whose INSERT was acknowledged. suspects: process ids of workers that faults may have made look
    dead. No task of another worker may be rescued.
    """

    dsn: str
    journal: Path
    inserted: set[int]
    suspects: set[int]

    def violations(self) -> list[str]:
        """Everything that contradicts a guarantee."""
        with psycopg.connect(self.dsn, row_factory=namedtuple_row) as connection:
            tasks = _by_id(connection.execute("SELECT * FROM content_generation_tasks").fetchall())
            changes = connection.execute("SELECT * FROM audit.changes ORDER BY n").fetchall()
            contents: list[Any] = connection.execute("SELECT * FROM contents").fetchall()
            workers = _by_id(connection.execute("SELECT * FROM audit.workers").fetchall())
        events = read_journal(self.journal)
        return [
            *self._lost(tasks),
            *_unlawful(changes),
            *_unfenced(tasks, events),
            *_torn(tasks, [content for content in contents if content.review_status != "rejected"]),
            *_drafts_lost_or_doubled(tasks, contents, events),
            *_started_twice(tasks, events),
            *_wrongly_charged(tasks, changes, events),
            *self._wrongly_rescued(tasks, {id_: worker.pid for id_, worker in workers.items()}),
        ]

    def _lost(self, tasks: dict[int, Any]) -> Iterator[str]:
        for id_ in sorted(self.inserted - tasks.keys()):
            yield f"task {id_}: its INSERT was acknowledged, and it is gone"
        for id_ in sorted(self.inserted & tasks.keys()):
            if tasks[id_].status not in FINAL:
                yield f"task {id_}: {tasks[id_].status} after everything has come to an end"

    def _wrongly_rescued(self, tasks: dict[int, Any], pids: dict[int, int]) -> Iterator[str]:
        for task in tasks.values():
            for error in task.attempt_errors:
                if error["error_class"] == "WorkerDied" and pids.get(error["worker_id"]) not in self.suspects:
                    yield f"task {task.id}: attempt {error['attempt']} was rescued from a worker that lived"


def _by_id(rows: list[Any]) -> dict[int, Any]:
    return {row.id: row for row in rows}


def read_journal(journal: Path) -> list[dict[str, Any]]:
    """The events in the handlers' journal."""
    return [json.loads(line) for line in journal.read_text().splitlines()] if journal.is_file() else []


def _unlawful(changes: list[Any]) -> Iterator[str]:
    completions: Counter[int] = Counter()
    for change in changes:
        if change.old_status == change.new_status:
            yield f"task {change.id}: attempt or retries changed while {change.new_status}"
            continue
        if (change.old_status, change.new_status) not in LEGAL:
            yield f"task {change.id}: went from {change.old_status} to {change.new_status}"
        claimed = change.new_status == "processing"
        if change.old_attempt is not None and change.new_attempt != change.old_attempt + claimed:
            yield f"task {change.id}: attempt went from {change.old_attempt} to {change.new_attempt}"
        completions[change.id] += change.new_status == "completed"
    for id_, times in completions.items():
        if times > 1:
            yield f"task {id_}: completed {times} times"


def _unfenced(tasks: dict[int, Any], events: list[dict[str, Any]]) -> Iterator[str]:
    ends = ("end", "check")
    ended = {(event["id"], event["attempt"], event["pid"]) for event in events if event["event"] in ends}
    for task in tasks.values():
        if task.status != "completed":
            if task.result is not None:
                yield f"task {task.id}: {task.status}, and yet it has a result"
        elif task.result["attempt"] != task.attempt:
            yield f"task {task.id}: attempt {task.result['attempt']} completed it during attempt {task.attempt}"
        elif (task.id, task.attempt, task.result["pid"]) not in ended:
            yield f"task {task.id}: completed by attempt {task.attempt}, which never ended"


def _torn(tasks: dict[int, Any], contents: list[Any]) -> Iterator[str]:
    """contents: without rejected drafts."""
    owners = defaultdict(list)
    accepted = {content.id for content in contents}
    for task in tasks.values():
        if task.content_id in accepted:
            owners[task.content_id].append(task)
            if task.status != "completed":
                yield f"task {task.id}: {task.status}, and yet it has content"
        elif task.status == "completed" and '"content": true' in (task.requirements or ""):
            yield f"task {task.id}: completed, and its content is missing"
    for content in contents:
        of = owners[content.id]
        if len(of) != 1:
            yield f"content {content.id}: belongs to {len(of)} tasks"
        elif content.body != f"{'Draft' if content.review_status == 'pending' else 'Attempt'} {of[0].attempt}":
            yield f"content {content.id}: is of another attempt than its task {of[0].id} ended with"


def _drafts_lost_or_doubled(
    tasks: dict[int, Any], contents: list[Any], events: list[dict[str, Any]]
) -> Iterator[str]:
    """Each report of failed checks has stored its draft exactly once, and each draft has such a report."""
    made = {(f"Task {event['id']}", f"Draft {event['attempt']}") for event in events if event["event"] == "check"}
    kept = Counter((content.title, content.body) for content in contents if content.body.startswith("Draft"))
    for (title, body), times in kept.items():
        if times > 1 or (title, body) not in made:
            yield f"{title}: {body} was stored {times} times"
    for task in tasks.values():
        reported = {f"Draft {error['attempt']}" for error in task.attempt_errors if _is_of_checks(error)}
        for body in reported - {body for title, body in kept if title == f"Task {task.id}"}:
            yield f"task {task.id}: {body} was reported, and is gone"
        if task.revision_count > MAX_REVISIONS:
            yield f"task {task.id}: {task.revision_count} revisions of {MAX_REVISIONS}"


def _is_of_checks(error: dict[str, Any]) -> bool:
    return bool(error["error_class"] == "CheckFailed")


def _started_twice(tasks: dict[int, Any], events: list[dict[str, Any]]) -> Iterator[str]:
    starts = Counter((event["id"], event["attempt"]) for event in events if event["event"] == "start")
    for (id_, attempt), times in starts.items():
        if times > 1:
            yield f"task {id_}: attempt {attempt} was started {times} times"
        if id_ in tasks and attempt > tasks[id_].attempt:
            yield f"task {id_}: attempt {attempt} was started, and the row knows of {tasks[id_].attempt} only"


def _wrongly_charged(tasks: dict[int, Any], changes: list[Any], events: list[dict[str, Any]]) -> Iterator[str]:
    failed = {(event["id"], event["attempt"]) for event in events if event["event"] == "fail"}
    for change in changes:
        grown = change.new_retries - (change.old_retries or 0)
        if grown > 0 and (grown > 1 or (change.old_status, change.new_status) != ("processing", "pending")):
            yield f"task {change.id}: charged {grown} retries from {change.old_status} to {change.new_status}"
    for task in tasks.values():
        if task.retry_count > task.max_retries:
            yield f"task {task.id}: {task.retry_count} retries of {task.max_retries}"
        for error in task.attempt_errors:
            if error["error_class"] == "TemporaryError" and (task.id, error["attempt"]) not in failed:
                yield f"task {task.id}: charged for a failure of attempt {error['attempt']} that did not happen"
        last = task.attempt_errors[-1]["error_class"] if task.attempt_errors else None
        if (
            task.status == "failed"
            and last in ("TemporaryError", "WorkerDied")
            and task.error_message != "Task cancelled"
            and task.retry_count < task.max_retries
        ):
            yield f"task {task.id}: failed after {task.retry_count} of {task.max_retries} retries"
