"""Pages for users of another queue: their statements move pending jobs out of its tables."""

from __future__ import annotations

import pytest

from tests.docs.markdown import ROOT, sections_of
from tests.support.databases import Connection
from tests.support.queue import Queue

PROCRASTINATE = """
    CREATE TYPE procrastinate_job_status AS ENUM
        ('todo', 'doing', 'succeeded', 'failed', 'cancelled', 'aborting', 'aborted');
    CREATE TABLE procrastinate_jobs (
        id bigserial PRIMARY KEY,
        queue_name character varying(128) NOT NULL,
        task_name character varying(128) NOT NULL,
        priority integer DEFAULT 0 NOT NULL,
        lock text,
        queueing_lock text,
        args jsonb DEFAULT '{}' NOT NULL,
        status procrastinate_job_status DEFAULT 'todo'::procrastinate_job_status NOT NULL,
        scheduled_at timestamp with time zone NULL,
        attempts integer DEFAULT 0 NOT NULL
    );
    INSERT INTO procrastinate_jobs (queue_name, task_name, priority, status, scheduled_at, args) VALUES
        ('articles', 'app.write', 0, 'todo', NULL, '{"account_id": 1, "topic": "Tea"}'),
        ('articles', 'app.write', 99, 'todo', '2999-01-01', '{"account_id": 1, "topic": "Coffee"}'),
        ('articles', 'app.write', 0, 'succeeded', NULL, '{"account_id": 1, "topic": "Milk"}'),
        ('articles', 'app.resize', 0, 'todo', NULL, '{}')"""
"""The tables of procrastinate 3.10, and jobs."""

PGQUEUER = """
    CREATE TYPE pgqueuer_status AS ENUM
        ('queued', 'picked', 'successful', 'exception', 'canceled', 'deleted', 'failed');
    CREATE TABLE pgqueuer (
        id bigserial NOT NULL PRIMARY KEY,
        priority integer NOT NULL,
        queue_manager_id uuid,
        created timestamp with time zone NOT NULL DEFAULT now(),
        updated timestamp with time zone NOT NULL DEFAULT now(),
        heartbeat timestamp with time zone NOT NULL DEFAULT now(),
        execute_after timestamp with time zone NOT NULL DEFAULT now(),
        status pgqueuer_status NOT NULL,
        entrypoint text NOT NULL,
        dedupe_key text,
        payload bytea,
        headers jsonb,
        attempts integer NOT NULL DEFAULT 0,
        slot bigint
    );
    INSERT INTO pgqueuer (priority, execute_after, status, entrypoint, payload) VALUES
        (0, now(), 'queued', 'write', '{"account_id": 1, "topic": "Tea"}'),
        (99, '2999-01-01', 'queued', 'write', '{"account_id": 1, "topic": "Coffee"}'),
        (0, now(), 'picked', 'write', '{"account_id": 1, "topic": "Milk"}'),
        (0, now(), 'queued', 'resize', NULL)"""
"""The tables of pgqueuer 1.6, and jobs."""


@pytest.mark.parametrize(("name", "table"), [("procrastinate", PROCRASTINATE), ("pgqueuer", PGQUEUER)])
def test_what_waits_is_moved_and_the_rest_stays(name: str, table: str, database: Connection) -> None:
    (moving,) = [
        block.text
        for section in sections_of(ROOT / f"docs/how-to/coming-from-{name}.md")
        for block in section.blocks
        if block.language == "sql" and "INSERT INTO content_generation_tasks" in block.text
    ]
    queue = Queue(database)
    assert queue.account == 1
    database.execute(table.encode())

    for _ in range(2):
        database.execute(moving.encode())

    found = queue.rows(
        "SELECT task_id, topic, priority, scheduled_at IS NOT NULL FROM content_generation_tasks ORDER BY id"
    )
    assert [tuple(row.values()) for row in found] == [
        (f"{name}-1", "Tea", 5, False),
        (f"{name}-2", "Coffee", 10, True),
    ]
    left = {"procrastinate": "cancelled, cancelled, succeeded, todo", "pgqueuer": "picked, queued"}
    tables = {"procrastinate": "procrastinate_jobs", "pgqueuer": "pgqueuer"}
    assert queue.value(f"SELECT string_agg(status::text, ', ' ORDER BY id) FROM {tables[name]}") == left[name]
