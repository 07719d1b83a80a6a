"""contentq migrate."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.script import ScriptDirectory
from contentq.database.connect import connect
from contentq.database.grants import ROLES
from contentq.database.locations import ALEMBIC
from contentq.database.revisions import current_revision, head_revision, known_revisions

from tests.cli.conftest import Run, Start
from tests.cli.terminal import on_terminal
from tests.support.queue import Queue
from tests.support.roles import applied_roles
from tests.support.servers import Server

HEAD = head_revision()
EVERYTHING = (
    "the tables accounts, contents and content_generation_tasks with all their rows; usage, gates and settings"
)
"""Output of a migration down to base, if contentq has created all tables."""


@pytest.fixture
def bare(empty_dsn: str) -> Iterator[Queue]:
    """A session in a database that is not migrated."""
    with connect(empty_dsn, plain=True) as connection:
        yield Queue(connection)


def test_revisions_are_those_of_alembic() -> None:
    assert known_revisions() == [found.revision for found in ScriptDirectory(str(ALEMBIC)).walk_revisions()][::-1]


@pytest.mark.slow
def test_it_says_where_it_came_from_and_where_it_is(contentq: Run, empty_dsn: str) -> None:
    assert contentq("--dsn", empty_dsn, "migrate", "--to", "0001").out == "migrated from base to 0001\n"
    assert contentq("--dsn", empty_dsn, "migrate").out == f"already at revision {HEAD}\n"
    assert (
        contentq("--dsn", empty_dsn, "migrate", "--to", "base", "--yes").out == f"migrated from {HEAD} to base\n"
    )


def test_what_was_repaired_is_said_line_by_line(contentq: Run, queue: Queue) -> None:
    queue.run("DROP FUNCTION contentq.touch_updated_at CASCADE")

    assert contentq("migrate").out.splitlines() == [
        f"already at revision {HEAD}",
        "created function touch_updated_at",
        "created trigger content_generation_tasks.content_generation_tasks_touch",
    ]


@pytest.mark.slow
def test_json_has_both_revisions_and_the_changes(contentq: Run, empty_dsn: str, queue: Queue) -> None:
    fresh = contentq("--dsn", empty_dsn, "migrate", "--json")
    assert fresh.json == {"before": None, "after": HEAD, "changes": [], "notes": []}
    queue.run("DROP VIEW contentq.throughput")
    assert contentq("migrate", "--json").json == {
        "before": HEAD,
        "after": HEAD,
        "changes": ["created view throughput"],
        "notes": [],
    }


@pytest.mark.slow
def test_tables_that_do_not_fit_are_named_one_a_line(contentq: Run, empty_dsn: str, bare: Queue) -> None:
    bare.run("CREATE TABLE accounts (id uuid PRIMARY KEY, title text, paused_until date)")

    outcome = contentq("--dsn", empty_dsn, "migrate")

    assert outcome.code == 1
    assert outcome.error.splitlines() == [
        "the migration stopped, and nothing was changed: existing tables do not fit:",
        "accounts.id is uuid but must be integer or bigint; to keep this table, run contentq migrate "
        "--schema content_queue and store its key in accounts.external_id there",
        "accounts has no column name (varchar(200))",
        "accounts.paused_until is date but must be timestamptz:",
        "    ALTER TABLE public.accounts ALTER COLUMN paused_until TYPE timestamptz;",
        "Change them as listed, or let contentq create its own tables: contentq migrate --schema content_queue",
    ]
    assert contentq("--dsn", empty_dsn, "migrate", "--schema", "content_queue").code == 0
    bare.run("INSERT INTO content_queue.accounts (name, external_id) VALUES ('Ada', '5c0e')")


def test_sql_needs_no_database(start: Start) -> None:
    out, err = start("migrate", "--sql").communicate(timeout=60)

    assert err == b""
    assert b"CREATE OR REPLACE FUNCTION contentq.claim" in out
    assert out.startswith(b"BEGIN;")
    assert out.rstrip().endswith(b"COMMIT;")


def test_sql_can_be_for_tables_in_a_schema_of_their_own(contentq: Run) -> None:
    printed = contentq("migrate", "--sql", "--schema", "content_queue").out

    assert "CREATE SCHEMA content_queue;" in printed
    assert "public." not in printed


def test_sql_from_the_head_to_the_head_creates_what_is_repeatable(contentq: Run) -> None:
    printed = contentq("migrate", "--sql", "--from", HEAD).out

    assert "CREATE OR REPLACE VIEW contentq.queue_overview" in printed
    assert "CREATE TABLE contentq.settings" not in printed


def test_sql_and_json_exclude_each_other(contentq: Run) -> None:
    assert contentq("migrate", "--sql", "--json").code == 2


def test_unknown_revision_is_refused(contentq: Run) -> None:
    outcome = contentq("migrate", "--to", "0815")

    assert outcome.code == 1
    assert "there is no schema revision '0815'" in outcome.error


def test_lock_that_is_not_given_up_ends_it(contentq: Run, queue: Queue, dsn: str) -> None:
    with queue.connection.transaction():
        queue.run("LOCK TABLE content_generation_tasks")

        outcome = contentq("migrate", "--to", "base", "--yes", "--lock-timeout", "0.05")

    assert outcome.code == 1
    assert "--lock-timeout" in outcome.error
    with connect(dsn, plain=True) as connection:
        assert current_revision(connection) == HEAD


@pytest.mark.parametrize(("answer", "code", "after"), [("n", 1, HEAD), ("y", 0, None)])
def test_going_back_is_asked_about_on_a_terminal(dsn: str, answer: str, code: int, after: str | None) -> None:
    exit_code, shown = on_terminal("migrate", "--to", "base", typed=f"{answer}\n", DATABASE_URL=dsn)

    assert exit_code == code, shown
    assert f"Going back from {HEAD} to base drops {EVERYTHING}. Continue?" in shown
    with connect(dsn, plain=True) as connection:
        assert current_revision(connection) == after


def test_going_back_without_a_terminal_needs_yes(program: Run, dsn: str) -> None:
    outcome = program("migrate", "--to", "base")

    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        f"Error: going back from {HEAD} to base drops {EVERYTHING}; nothing was changed; "
        "to go back, repeat with --yes\n"
    )
    with connect(dsn, plain=True) as connection:
        assert current_revision(connection) == HEAD


@pytest.mark.slow
def test_tables_of_a_host_are_not_said_to_be_dropped(
    contentq: Run, program: Run, empty_dsn: str, bare: Queue
) -> None:
    bare.run("CREATE TABLE accounts (id integer PRIMARY KEY, name text)")
    contentq("--dsn", empty_dsn, "migrate")

    outcome = program("--dsn", empty_dsn, "migrate", "--to", "base")

    assert outcome.code == 1
    assert (
        "drops the tables contents and content_generation_tasks with all their rows; contentq's additions to "
        "accounts (their rows stay); usage, gates and settings; nothing was changed; to go back, repeat with --yes"
    ) in outcome.err


def test_roles_that_stay_are_named(contentq: Run, dsn: str, queue: Queue, server: Server) -> None:
    with applied_roles(queue, server, dsn):
        outcome = contentq("migrate", "--to", "base", "--yes")

    names = (
        "contentq_definer, contentq_operator, contentq_producer, contentq_reader, contentq_reviewer, "
        "contentq_worker"
    )
    assert outcome.out == f"migrated from {HEAD} to base\n"
    assert outcome.err == (
        f"note: the roles {names} stay, because other databases may use them; to drop them: DROP ROLE {names}\n"
    )


def test_nothing_is_left_behind(contentq: Run, dsn: str, queue: Queue, server: Server) -> None:
    """No rights remain, which would keep the roles from being dropped."""
    with applied_roles(queue, server, dsn):
        contentq("migrate", "--to", "base", "--yes")

        assert queue.value("SELECT to_regnamespace('contentq')") is None
        assert queue.values("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace") == []
        queue.run(f"DROP ROLE {', '.join(ROLES)}")


def test_going_forward_is_not_asked_about(dsn: str) -> None:
    assert on_terminal("migrate", DATABASE_URL=dsn) == (0, f"already at revision {HEAD}\n")
