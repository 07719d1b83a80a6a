"""The command line and a worker, with the tables in a separate schema of an application's database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contentq.database.connect import connect

from tests.cli.conftest import Outcome, Run
from tests.support.queue import Queue

pytestmark = pytest.mark.slow


@pytest.fixture
def host(empty_dsn: str) -> Iterator[Queue]:
    """An application with a different accounts table: uuid keys, no name."""
    with connect(empty_dsn, plain=True) as connection:
        queue = Queue(connection)
        queue.run("CREATE TABLE accounts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), email text NOT NULL)")
        queue.run("INSERT INTO accounts (email) VALUES ('ada@example.com')")
        yield queue


@pytest.fixture
def contentq_here(host: Queue, program: Run, empty_dsn: str) -> Run:
    """Runs a command on the application's database; only `migrate` got the schema."""

    def run(*arguments: str, stdin: str | bytes = b"") -> Outcome:
        return program("--dsn", empty_dsn, *arguments, stdin=stdin)

    assert run("migrate", "--schema", "content_queue").code == 0
    return run


def test_everything_works_with_tables_in_a_schema_of_their_own(contentq_here: Run, host: Queue) -> None:
    uuid = host.value("SELECT id FROM accounts")
    account = host.value(
        "INSERT INTO contentq.accounts (name, external_id) VALUES ('Ada', %s) RETURNING id", str(uuid)
    )

    tasks = [
        contentq_here("submit", "--account", name, "--topic", f"Topic {name}").out.strip()
        for name in (str(account), f"external:{uuid}", "Ada")
    ]
    later = contentq_here("submit", "--account", "Ada", "--topic", "Later", "--delay", "1h").out.strip()
    assert "scheduled" in contentq_here("explain", later).out
    assert contentq_here("pause", "--account", "Ada").code == 0
    assert "paused" in contentq_here("explain", tasks[0]).out
    assert contentq_here("worker", "--until-empty", "--handler", "template").code == 0
    assert host.value("SELECT count(*) FROM contentq.contents") == 0
    assert contentq_here("resume", "--account", "Ada").code == 0

    worker = contentq_here("worker", "--until-empty", "--handler", "template")

    assert worker.code == 0, worker.err
    assert host.value("SELECT count(*) FROM content_queue.contents") == 3
    listed = contentq_here("list", "--json").json
    assert {task["task_id"] for task in listed} == {*tasks, later}
    shown = contentq_here("show", tasks[0], "--json").json
    assert (shown["status"], shown["account_id"]) == ("completed", account)
    assert contentq_here("cancel", later).code == 0
    assert contentq_here("requeue", later).code == 0
    assert contentq_here("stats", "--json").code == 0
    host.run("UPDATE contentq.tasks SET completed_at = '2001-01-01' WHERE status = 'completed'")
    assert contentq_here("cleanup", "--older-than", "1d").code == 0
    assert host.values("SELECT task_id FROM content_queue.content_generation_tasks") == [later]


def test_later_migrations_know_the_schema_and_refuse_another(contentq_here: Run) -> None:
    assert contentq_here("migrate").out.startswith("already at revision")
    refused = contentq_here("migrate", "--schema", "elsewhere")
    assert refused.error == (
        "the tables are in schema 'content_queue', not in 'elsewhere': omit --schema (a database has one queue)"
    )


def test_nothing_is_left_of_the_schema(contentq_here: Run, host: Queue) -> None:
    assert contentq_here("migrate", "--to", "base", "--yes").code == 0

    assert host.values("SELECT nspname FROM pg_namespace WHERE nspname IN ('contentq', 'content_queue')") == []
    assert host.values("SELECT email FROM accounts") == ["ada@example.com"]


def test_name_that_cannot_be_a_schema_is_refused(program: Run, empty_dsn: str) -> None:
    refused = program("--dsn", empty_dsn, "migrate", "--schema", "Content Queue")

    assert "'Content Queue' cannot be the schema of the tables" in refused.error
