"""The rights of each role, tried on everything in the catalogue, so that later additions are covered
automatically.

A test lists the allowed actions and tries all others: each right on each table, view and column, and each function
that runs with its owner's rights. Functions that run with the caller's rights can do no more than the caller.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg
import pytest

from tests.support.logins import Logins
from tests.support.queue import Queue

TABLES = {"public.content_generation_tasks", "public.contents", "public.accounts"}
VIEWS = {"contentq.tasks", "contentq.contents", "contentq.accounts"}
FOR_EVERYONE = {"contentq.account_roles"}
"""It shows each role its own rows."""
OF_PROGRAMS = {*TABLES, *VIEWS, "contentq.tables", "contentq.alembic_version"}
OF_PEOPLE = {*OF_PROGRAMS, *FOR_EVERYONE, "contentq.batches"}

WAITING = {"await_end"}
"""It records that a session waits for a task."""

READING = {"waits_for", "workers_wait"}
"""Functions that only read, with the rights of their owner."""

LIMITS = {"paused_until", "monthly_budget", "share", "max_running"}
TASKS = ("public.content_generation_tasks", "contentq.tasks")

WHAT_A_PRODUCER_SAYS = {
    "task_id",
    "account_id",
    "status",
    "priority",
    "topic",
    "keywords",
    "category",
    "requirements",
    "tone",
    "auto_approve",
    "max_retries",
    "submitted_at",
    "scheduled_at",
    "timeout_at",
    "batch",
    "traceparent",
}

WHAT_AN_OPERATOR_CHANGES = {
    "topic",
    "keywords",
    "category",
    "requirements",
    "tone",
    "status",
    "priority",
    "retry_count",
    "max_retries",
    "submitted_at",
    "started_at",
    "completed_at",
    "timeout_at",
    "error_message",
    "updated_at",
    "scheduled_at",
    "cancel_requested_at",
    "progress",
    "progress_note",
    "revision_count",
    "revision_note",
}


WHAT_AN_OPERATOR_SETS = {
    "opens_at",
    "reason",
    "half_open",
    "closed_at",
    "closed_by",
    "requests_per_minute",
    "tokens_per_minute",
    "max_running",
}
"""Columns of a gate: not what it has learned."""


@dataclass(frozen=True)
class May:
    """The allowed actions of a role; all others are tried."""

    read: set[str] | None = field(default_factory=set)
    """Relations; None for all."""
    insert: dict[str, set[str] | None] = field(default_factory=dict)
    """Columns by relation; None for all."""
    update: dict[str, set[str] | None] = field(default_factory=dict)
    delete: set[str] = field(default_factory=set)
    call: set[str] = field(default_factory=set)
    """Functions that run with the rights of their owner."""


MAY = {
    None: May(),
    "contentq_producer": May(read=OF_PEOPLE, insert=dict.fromkeys(TASKS, WHAT_A_PRODUCER_SAYS), call=WAITING),
    "contentq_worker": May(
        read={*OF_PROGRAMS - {"public.accounts", "contentq.accounts"}, *FOR_EVERYONE, "contentq.workers"},
        call={
            "anything_waits",
            "answer_batch",
            "ask_batch",
            "batch_answer",
            "batch_lines",
            "batch_sizes",
            "claim",
            "close_batch",
            "close_gate",
            "complete",
            "deregister_worker",
            "drain_worker",
            "enter_gate",
            "fail",
            "heartbeat",
            "hold_batch",
            "leave_gate",
            "locked_tasks",
            "maintain",
            "next_batch",
            "next_claim_in",
            "note_batch",
            "open_batch",
            "record_usage",
            "register_worker",
            "release",
            "report_progress",
            "revise",
            "snooze",
            "store",
            "sweep_batches",
            "waits_for",
        },
    ),
    "contentq_operator": May(
        read=None,
        insert={"contentq.gates": {"key", *WHAT_AN_OPERATOR_SETS}},
        update={
            **dict.fromkeys(TASKS, WHAT_AN_OPERATOR_CHANGES),
            "public.accounts": LIMITS,
            "contentq.accounts": LIMITS,
            "contentq.settings": None,
            "contentq.gates": WHAT_AN_OPERATOR_SETS,
        },
        delete={*TASKS, "contentq.gates"},
        call={
            "cancel",
            "cancel_matching",
            "cleanup",
            "cleanup_failed",
            "close_gate",
            "delete_matching",
            "maintain",
            "open_gate",
            "promote_scheduled",
            "requeue",
            "requeue_matching",
            "rescue_dead_workers",
            "set_budget",
            "set_gate",
            "sweep_timeouts",
            "unset_budget",
            *READING,
            *WAITING,
        },
    ),
    "contentq_reader": May(read=None, call={*READING, *WAITING}),
    "contentq_reviewer": May(
        read={
            *OF_PEOPLE,
            "contentq.review_queue",
            "contentq.content_versions",
            "contentq.queue_overview",
            "contentq.backlog_by_account",
            "contentq.recent_failures",
        },
        call={"approve", "approve_matching", "reject", "reject_matching", *WAITING},
    ),
}
"""By role; None is a login without a role."""

RELATIONS = """
    SELECT n.nspname || '.' || c.relname
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('contentq', 'public')
      AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    ORDER BY 1"""

SEQUENCES = """
    SELECT c.oid::regclass::text
    FROM pg_class AS c
    WHERE c.relnamespace IN ('contentq'::regnamespace, 'public'::regnamespace)
      AND c.relkind = 'S'"""

COLUMNS = """
    SELECT a.attname::text AS name, format_type(a.atttypid, NULL) AS type
    FROM pg_attribute AS a
    WHERE a.attrelid = %s::regclass
      AND a.attnum > 0
      AND NOT a.attisdropped"""

FUNCTIONS = """
    SELECT p.proname::text AS name,
           format('SELECT contentq.%%I(%%s)', p.proname, array_to_string(ARRAY(
               SELECT 'NULL::' || format_type(a.type, NULL)
               FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (type, place)
               ORDER BY a.place), ', ')) AS call
    FROM pg_proc AS p
    WHERE p.pronamespace = 'contentq'::regnamespace
      AND p.prosecdef
      AND p.prorettype <> 'trigger'::regtype
    ORDER BY 1"""

NOT_TO_BE_WRITTEN = ("55000", "428C9", "42P10", "0A000")
"""PostgreSQL's errors for views that are not updatable, which it checks before rights."""


def succeeds(session: Queue, statement: str) -> bool:
    """Whether a statement that changes no row runs. Any error but a refusal fails the test."""
    try:
        session.run(statement)
    except psycopg.errors.InsufficientPrivilege:
        return False
    except psycopg.Error as error:
        if error.sqlstate in NOT_TO_BE_WRITTEN:
            return False
        raise
    return True


def tried(owner: Queue, relation: str, may: May) -> Iterator[str]:
    """Forbidden statements of all kinds."""
    if may.read is not None and relation not in may.read:
        yield f"SELECT FROM {relation} LIMIT 0"
    if relation not in may.delete:
        yield f"DELETE FROM {relation} WHERE false"
    insert, update = may.insert.get(relation, set()), may.update.get(relation, set())
    for column in owner.rows(COLUMNS, relation):
        name = '"{name}"'.format(**column)
        if update is not None and column["name"] not in update:
            yield f"UPDATE {relation} SET {name} = DEFAULT WHERE false"
        if insert is not None and column["name"] not in insert:
            null = f"NULL::{column['type']}"
            yield f"INSERT INTO {relation} ({name}) OVERRIDING SYSTEM VALUE SELECT {null} WHERE false"


@pytest.mark.slow
@pytest.mark.parametrize("role", MAY, ids=str)
def test_role_can_do_nothing_but_what_is_its_work(owner: Queue, logins: Logins, role: str | None) -> None:
    may = MAY[role]
    session = logins.add_open("login", *([role] if role else []))
    relations = owner.values(RELATIONS)
    assert {*TABLES, "contentq.workers"} <= {*relations}

    done = [
        statement
        for relation in relations
        for statement in tried(owner, relation, may)
        if succeeds(session, statement)
    ]
    called = [
        function["name"]
        for function in owner.rows(FUNCTIONS)
        if function["name"] not in may.call and succeeds(session, function["call"])
    ]
    rights = [
        f"{right} {relation}"
        for relation in relations
        for right in ("TRUNCATE", "REFERENCES", "TRIGGER")
        if owner.value("SELECT has_table_privilege(%s, %s, %s)", logins.name("login"), relation, right)
    ]
    drawn = [name for name in owner.values(SEQUENCES) if succeeds(session, f"SELECT nextval('{name}')")]

    assert (done, called, rights, drawn) == ([], [], [], [])


@pytest.mark.parametrize("role", [role for role in MAY if role], ids=str)
def test_role_can_do_what_is_its_work(owner: Queue, logins: Logins, role: str) -> None:
    """Keeps the list above free of superfluous entries."""
    may = MAY[role]
    session = logins.add_open("login", role)
    relations = may.read if may.read is not None else {*owner.values(RELATIONS)}

    for relation in relations:
        session.run(f"SELECT FROM {relation} LIMIT 0")
    for rights, right in ((may.insert, "INSERT"), (may.update, "UPDATE")):
        for relation, columns in rights.items():
            names = columns if columns is not None else {row["name"] for row in owner.rows(COLUMNS, relation)}
            for name in names:
                assert session.value("SELECT has_column_privilege(%s, %s, %s)", relation, name, right)
    for relation in may.delete:
        assert session.value("SELECT has_table_privilege(%s, 'DELETE')", relation)
    may_call = session.values(
        "SELECT DISTINCT proname::text FROM pg_proc WHERE pronamespace = 'contentq'::regnamespace AND prosecdef "
        "AND has_function_privilege(oid, 'EXECUTE')"
    )
    assert {*may_call} == may.call


NEEDED = """
    WITH bodies AS (
        SELECT 'function ' || p.proname AS of, p.prosrc AS body
        FROM pg_proc AS p
        WHERE p.pronamespace = 'contentq'::regnamespace
          AND NOT p.prosecdef
          AND p.prorettype <> 'trigger'::regtype
          AND has_function_privilege(p.oid, 'EXECUTE')
        UNION ALL
        SELECT 'view ' || c.relname, pg_get_viewdef(c.oid)
        FROM pg_class AS c
        WHERE c.relkind = 'v'
          AND c.relnamespace = 'contentq'::regnamespace
          AND has_table_privilege(c.oid, 'SELECT')
    )
    SELECT DISTINCT b.of || ' calls ' || n.name
    FROM bodies AS b
    CROSS JOIN LATERAL regexp_matches(
        -- Without comments and texts, which name functions as well.
        regexp_replace(b.body, '--[^\\n]*|''([^'']|'''')*''', '', 'g'),
        'contentq\\.(\\w+)\\(', 'g'
    ) AS m (names)
    CROSS JOIN LATERAL (SELECT m.names[1]) AS n (name)
    WHERE EXISTS (
        SELECT
        FROM pg_proc AS p
        WHERE p.proname = n.name
          AND p.pronamespace = 'contentq'::regnamespace
          AND NOT has_function_privilege(p.oid, 'EXECUTE')
    )
    ORDER BY 1"""
"""Functions that the session may not call, but which a view or a function calls with the session's rights."""


@pytest.mark.parametrize("role", [role for role in MAY if role], ids=str)
def test_role_may_call_what_its_views_and_functions_call(owner: Queue, logins: Logins, role: str) -> None:
    denied = logins.add_open("login", role).values(NEEDED)

    assert not denied, "\n".join(denied)


def test_login_without_a_role_reaches_no_function(owner: Queue, logins: Logins) -> None:
    stranger = logins.add_open("stranger")

    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="schema contentq"):
        stranger.run("SELECT contentq.explain('task-1')")
