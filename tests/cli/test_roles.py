"""`contentq roles`: the roles and their rights, a line for each action."""

from __future__ import annotations

import psycopg
import pytest
from contentq.database.connect import connect
from contentq.database.grants import ROLES

from tests.cli.conftest import Run
from tests.support.logins import made_logins
from tests.support.queue import Queue
from tests.support.roles import applied_roles
from tests.support.servers import Server


def test_what_was_done_is_said(contentq: Run, dsn: str, queue: Queue, server: Server) -> None:
    with applied_roles(queue, server, dsn):
        queue.run("REASSIGN OWNED BY contentq_definer TO CURRENT_USER")
        queue.run("GRANT CREATE ON SCHEMA public TO PUBLIC")
        number = queue.value(
            "SELECT count(*) FROM pg_proc WHERE pronamespace = 'contentq'::regnamespace AND prosecdef"
        )

        outcome = contentq("roles", "apply")
        again = contentq("roles", "apply", "--json")

    rights = (
        "granted contentq_producer, contentq_worker, contentq_operator, contentq_reader, contentq_reviewer, "
        "contentq_definer exactly the rights in sql/roles.sql"
    )
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        f"made contentq_definer the owner of {number} functions",
        rights,
        "revoked from PUBLIC the right to create objects in schema public",
    ]
    assert again.json == {"changes": [rights], "notes": []}


def test_roles_that_are_not_there_are_created(contentq: Run, dsn: str, queue: Queue, server: Server) -> None:
    with applied_roles(queue, server, dsn):
        if not queue.value(
            "SELECT count(*) = 0 FROM pg_shdepend WHERE refobjid = 'contentq_reader'::regrole AND "
            "dbid <> (SELECT oid FROM pg_database WHERE datname = current_database())"
        ):
            pytest.skip("another database of the server uses the roles")
        queue.run("DROP OWNED BY contentq_reader")
        queue.run("DROP ROLE contentq_reader")

        outcome = contentq("roles", "apply")

    assert outcome.out.splitlines()[0] == "created role contentq_reader"


def test_one_who_may_not_is_told_who_may(
    contentq: Run, dsn: str, queue: Queue, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with applied_roles(queue, server, dsn), made_logins(queue, dsn) as logins:
        monkeypatch.setenv("DATABASE_URL", logins.add("reader", "contentq_reader"))
        outcome = contentq("roles", "apply")

    assert outcome.code == 1
    assert outcome.error.startswith("the roles were not applied: permission denied for ")
    assert outcome.error.endswith("; run it as a superuser, or as the owner of the database with CREATEROLE")


def test_roles_are_shown_with_who_has_them(contentq: Run, dsn: str, queue: Queue, server: Server) -> None:
    with applied_roles(queue, server, dsn), made_logins(queue, dsn) as logins:
        logins.add("anna", "contentq_reviewer")
        found = {row["role"]: row for row in contentq("roles", "show", "--json").json}
        shown = contentq("roles", "show").out

    anna = logins.name("anna")
    assert list(found) == list(ROLES)
    assert {(row["is_there"], row["has_rights"]) for row in found.values()} == {(True, True)}
    assert anna in found["contentq_reviewer"]["members"]
    assert anna not in found["contentq_reader"]["members"]
    assert [line.split()[0] for line in shown.splitlines()] == ["role", *ROLES]


def test_dropped_roles_leave_nothing_but_the_queue(contentq: Run, dsn: str, queue: Queue, server: Server) -> None:
    with applied_roles(queue, server, dsn):
        if queue.value(
            "SELECT count(*) FROM pg_shdepend WHERE refobjid::regrole::text = ANY (%s) "
            "AND refclassid = 'pg_authid'::regclass AND dbid NOT IN (0, "
            "(SELECT oid FROM pg_database WHERE datname = current_database()))",
            list(ROLES),
        ):
            pytest.skip("another database of the server uses the roles")
        dropped = contentq("roles", "drop")
        left = queue.values("SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", list(ROLES))
        task = queue.running()
        again = contentq("roles", "drop")

    assert (dropped.code, dropped.err) == (0, "")
    assert dropped.out.splitlines() == [
        "revoked the rights of the roles",
        *(f"dropped role {role}" for role in ROLES),
    ]
    assert left == []
    assert queue.store(task.worker, [task]) == [task.id]
    assert again.out == "revoked the rights of the roles\n"


def test_role_that_something_else_needs_stays_without_rights(
    contentq: Run, dsn: str, queue: Queue, server: Server
) -> None:
    with applied_roles(queue, server, dsn), made_logins(queue, dsn) as logins:
        session = logins.add_open("anna", "contentq_reader")
        queue.run("CREATE SCHEMA of_readers AUTHORIZATION contentq_reader")

        outcome = contentq("roles", "drop")

        assert outcome.code == 0
        assert "note: role contentq_reader was not dropped: owner of schema of_readers" in outcome.err
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.run("SELECT FROM content_generation_tasks")
        queue.run("DROP SCHEMA of_readers")


def test_roles_are_not_dropped_while_policies_name_them(
    contentq: Run, dsn: str, queue: Queue, server: Server
) -> None:
    with applied_roles(queue, server, dsn):
        queue.run("SELECT contentq.set_row_security(true)")
        outcome = contentq("roles", "drop")
        queue.run("SELECT contentq.set_row_security(false)")

    assert outcome.error.startswith("row level security is on, and its policies use the roles; turn it off first")


def test_database_that_is_not_migrated_is_refused(contentq: Run, empty_dsn: str) -> None:
    outcome = contentq("--dsn", empty_dsn, "roles", "apply")

    assert (outcome.code, outcome.error) == (4, "the database is not migrated; run: contentq migrate")


@pytest.mark.slow
def test_migration_under_way_is_not_waited_for_for_ever(
    contentq: Run, dsn: str, queue: Queue, server: Server
) -> None:
    with applied_roles(queue, server, dsn), connect(dsn, plain=True) as other, other.transaction():
        other.execute("LOCK TABLE contentq.alembic_version IN EXCLUSIVE MODE")

        outcome = contentq("roles", "apply")

    assert outcome.error == "a migration is running, and nothing was changed; try again when it has ended"
