"""contentq migrate."""

from __future__ import annotations

import pytest
from alembic.script import ScriptDirectory
from contentq.database.connect import connect
from contentq.database.locations import ALEMBIC
from contentq.database.revisions import current_revision, head_revision, known_revisions

from tests.cli.conftest import Run, Start
from tests.cli.terminal import on_terminal
from tests.support.queue import Queue

HEAD = head_revision()


def test_revisions_are_those_of_alembic() -> None:
    assert known_revisions() == [found.revision for found in ScriptDirectory(str(ALEMBIC)).walk_revisions()][::-1]


def test_it_says_where_it_came_from_and_where_it_is(contentq: Run, empty_dsn: str) -> None:
    assert contentq("--dsn", empty_dsn, "migrate", "--to", "0001").out == "migrated from base to 0001\n"
    assert contentq("--dsn", empty_dsn, "migrate").out == f"migrated from 0001 to {HEAD}\n"
    assert contentq("--dsn", empty_dsn, "migrate").out == f"already at revision {HEAD}\n"
    assert (
        contentq("--dsn", empty_dsn, "migrate", "--to", "base", "--yes").out == f"migrated from {HEAD} to base\n"
    )


def test_json_has_both_revisions(contentq: Run, empty_dsn: str) -> None:
    assert contentq("--dsn", empty_dsn, "migrate", "--json").json == {"before": None, "after": HEAD}
    assert contentq("--dsn", empty_dsn, "migrate", "--json").json == {"before": HEAD, "after": HEAD}


@pytest.mark.usefixtures("queue")
def test_sql_needs_no_database(start: Start) -> None:
    out, err = start("migrate", "--sql").communicate(timeout=60)

    assert err == b""
    assert b"CREATE TABLE public.content_generation_tasks" in out
    assert out.startswith(b"BEGIN;")
    assert out.rstrip().endswith(b"COMMIT;")


def test_sql_from_one_revision_to_another(contentq: Run) -> None:
    printed = contentq("migrate", "--sql", "--from", "0002", "--to", "0003").out

    assert "CREATE OR REPLACE VIEW contentq.queue_overview" in printed
    assert "CREATE TABLE public.content_generation_tasks" not in printed


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
    with connect(dsn) as connection:
        assert current_revision(connection) == HEAD


@pytest.mark.parametrize(("answer", "code", "after"), [("n", 1, HEAD), ("y", 0, None)])
def test_going_back_is_asked_about_on_a_terminal(dsn: str, answer: str, code: int, after: str | None) -> None:
    exit_code, shown = on_terminal("migrate", "--to", "base", typed=f"{answer}\n", DATABASE_URL=dsn)

    assert exit_code == code, shown
    assert f"Going back from {HEAD} to base drops all tasks" in shown
    with connect(dsn) as connection:
        assert current_revision(connection) == after


def test_going_back_without_a_terminal_needs_yes(program: Run, dsn: str) -> None:
    for revision, lost in (
        ("base", "all tasks, accounts and contents"),
        ("0001", "what the later revisions made"),
    ):
        outcome = program("migrate", "--to", revision)

        assert (outcome.code, outcome.out) == (2, "")
        assert f"going back from {HEAD} to {revision} drops {lost}; repeat with --yes" in outcome.err
    with connect(dsn) as connection:
        assert current_revision(connection) == HEAD


def test_going_forward_is_not_asked_about(dsn: str) -> None:
    assert on_terminal("migrate", DATABASE_URL=dsn) == (0, f"already at revision {HEAD}\n")
