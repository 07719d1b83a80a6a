"""Functions, operators, types and tables of others never run in contentq's sessions, whatever the search_path."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import contentq
import psycopg
import pytest
import sqlalchemy
from contentq import aio
from contentq.cli.main import execute, main
from contentq.database import migrations
from contentq.database.connect import connect as open_connection
from contentq.database.locations import SQL
from contentq.database.migrations import migrate
from contentq.errors import EXIT_FOUND_ERRORS, EXIT_FOUND_WARNINGS, ContentQueueError
from contentq.testing import run_until_empty
from contentq.web import create_app, pages

from tests.security.planted import RAN, plant
from tests.support.cluster import Cluster
from tests.support.forked import ALEMBIC, CONTENTQ
from tests.support.pooler import Pooler
from tests.support.programs import client, installed
from tests.support.queue import Queue
from tests.web.conftest import Client, serving

pytestmark = pytest.mark.slow

COMMANDS: dict[str, list[list[str]]] = {
    "migrate": [["migrate"], ["migrate", "--sql"]],
    "worker": [["worker", "--handler", "template", "--until-empty", "--progress"]],
    "try": [["try", "--topic", "A topic"]],
    "submit": [
        ["submit", "--account", "Ada", "--topic", "A topic", "--task-id", "one", "--batch", "mine"],
        ["submit", "--account", "Ada", "--timeout", "2h", "--delay", "1h", "--task-id", "later"],
        ["submit", "{file}", "--account", "1"],
    ],
    "list": [["list", "--status", "pending", "--account", "Ada"]],
    "show": [["show", "one"], ["show", "one", "--content", "--json"]],
    "batches": [["batches"], ["batches", "mine"]],
    "wait": [["wait", "one"], ["wait", "--batch", "mine"]],
    "explain": [["explain", "one"]],
    "errors": [["errors", "--since", "1h"]],
    "cancel": [["cancel", "later"]],
    "requeue": [
        ["requeue", "later", "--note", "a note"],
        ["requeue", "--account", "Ada", "--error", "x", "--since", "1h", "--until", "1m", "--dry-run"],
        ["requeue", "--status", "failed", "--batch", "b", "--category", "c", "--worker", "1"],
    ],
    "delete": [["delete", "later"], ["delete", "--status", "timeout"]],
    "review list": [["review", "list", "--account", "Ada", "--since", "1h"]],
    "review show": [["review", "show", "1", "--diff"]],
    "review approve": [
        ["review", "reject", "1", "--approved", "--note", "a note"],
        ["review", "approve", "1", "--rejected"],
        ["review", "approve", "--batch", "b", "--dry-run"],
    ],
    "review reject": [
        ["review", "reject", "--all", "--revise"],
        ["review", "reject", "--account", "Ada", "--category", "c", "--since", "1h", "--until", "1m"],
    ],
    "pause": [["pause", "--account", "Ada", "--for", "1h"], ["pause", "--gate", "a"], ["pause", "--all"]],
    "resume": [["resume", "--account", "Ada"], ["resume", "--gate", "a"], ["resume", "--all"]],
    "gates list": [["gates", "list"]],
    "gates set": [["gates", "set", "b", "--requests-per-minute", "600", "--max-running", "none"]],
    "gates unset": [["gates", "unset", "b"]],
    "accounts list": [["accounts", "list"], ["accounts", "list", "--search", "Ada", "--json"]],
    "accounts set": [
        ["accounts", "set", "Ada", "--share", "2"],
        ["accounts", "set", "1", "--max-running", "none"],
    ],
    "budgets list": [["budgets", "list"]],
    "budgets set": [
        ["budgets", "set", "1000", "--account", "Ada"],
        ["budgets", "set", "1000", "--category", "blog", "--period", "day"],
    ],
    "budgets unset": [["budgets", "unset", "--all"]],
    # Needs no database.
    "prices": [],
    "doctor": [["doctor"], ["doctor", "--json"]],
    # Serves until stopped; a test below covers its pages.
    "web": [],
    "stats": [["stats"], ["stats", "--json"], ["stats", "--since", "1h"]],
    "metrics": [["metrics", "--once", "--by-account"]],
    "top": [["top", "--once"]],
    # Needs no database.
    "completion": [],
    "maintain": [["maintain"]],
    "cleanup": [["cleanup", "--older-than", "1d", "--failed-older-than", "1d"]],
    "bench": [["bench", "--tasks", "20", "--samples", "1"]],
    "roles apply": [["roles", "apply"]],
    "roles show": [["roles", "show"]],
    "roles drop": [["roles", "drop"]],
    "roles row-security": [
        ["roles", "apply"],
        ["roles", "row-security", "--on"],
        ["roles", "row-security", "--off"],
    ],
    # These use only the embedded server.
    "db start": [],
    "db status": [],
    "db stop": [],
    "db url": [],
    "db psql": [],
}
"""The arguments of each command; a missing command fails a test."""

ORDER = ["submit", "list", "show", "explain", "worker", "cancel", "requeue"]
"""The first commands; the others follow in any order."""


def leaves(group: click.Group, prefix: str = "") -> Iterator[str]:
    """The names of all commands that do something."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaves(command, f"{prefix}{name} ")
        else:
            yield prefix + name


def test_every_command_is_tried() -> None:
    assert sorted(leaves(main)) == sorted(COMMANDS)


@pytest.fixture(
    scope="module",
    params=['"$user", public', '"$user", public, pg_catalog'],
    ids=["usual search_path", "pg_catalog last"],
)
def planted(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A database in which a role has planted everything it could, and the role."""
    if not installed():
        pytest.skip("no PostgreSQL is installed here, whose superuser tests can be")
    role = "stranger"
    with Cluster(next(iter(installed().values())).folder, tcp=True) as cluster:
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE victim")
        dsn = cluster.dsn("victim", host="127.0.0.1")
        with psycopg.connect(dsn, autocommit=True) as connection:
            queue = Queue(connection)
            owner = queue.value("SELECT current_user")
            queue.run(f"CREATE ROLE {role}")
            queue.run("CREATE SCHEMA planted")
            queue.run("CREATE TABLE planted.ran (who text, what text)")
            queue.run("GRANT USAGE ON SCHEMA planted TO PUBLIC")
            queue.run("GRANT INSERT ON planted.ran TO PUBLIC")
            queue.run(f'CREATE SCHEMA "{owner}"')
            queue.run(f'GRANT CREATE, USAGE ON SCHEMA public, "{owner}" TO PUBLIC')
            plant(queue, role, "public")
            queue.run(f"ALTER DATABASE victim SET search_path = {request.param}")
        yield dsn, role


@pytest.fixture
def hostile_dsn(planted: tuple[str, str]) -> Iterator[str]:
    """Its DSN. A test with it ends with the proof that nothing planted has run."""
    dsn, role = planted
    yield dsn
    with closing(open_connection(dsn, "contentq test")) as connection:
        assert Queue(connection).values(RAN, role) == []


@pytest.fixture
def migrated_dsn(hostile_dsn: str) -> Iterator[str]:
    """The same during its migration, with an account."""
    migrate(hostile_dsn)
    with closing(open_connection(hostile_dsn, "contentq test")) as connection:
        connection.execute("INSERT INTO public.accounts (name, monthly_budget) VALUES ('Ada', 100)")
    yield hostile_dsn
    migrate(hostile_dsn, "base")


def try_every_command(run: Callable[[list[str]], Any], tmp_path: Path) -> None:
    file = tmp_path / "tasks.csv"
    file.write_text("topic,priority,task_id\nA topic,3,two\nAnother topic,,\n")
    for name in [*ORDER, *(set(COMMANDS) - set(ORDER))]:
        for arguments in COMMANDS[name]:
            run([argument.format(file=file) for argument in arguments])


def ends_of(arguments: list[str]) -> tuple[int, ...]:
    """Exit codes of a successful command: contentq doctor reports the planted objects."""
    return (EXIT_FOUND_WARNINGS, EXIT_FOUND_ERRORS) if arguments[0] == "doctor" else (0,)


def run_program(dsn: str, arguments: list[str]) -> None:
    """Runs a command as a program and requires success."""
    done = CONTENTQ.run(
        *("--dsn", dsn, *arguments),
        env={name: value for name, value in os.environ.items() if not name.startswith(("PG", "CONTENTQ"))},
    )
    assert done.returncode == 0, done.stderr


def test_commands_run_nothing_that_was_planted(
    migrated_dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(arguments: list[str]) -> None:
        if arguments[0] in ("worker", "bench"):
            run_program(migrated_dsn, arguments)
        else:
            assert execute(["--dsn", migrated_dsn, *arguments]) in ends_of(arguments), capsys.readouterr().err

    try_every_command(run, tmp_path)


def test_commands_run_nothing_that_was_planted_behind_a_pooler_either(
    migrated_dsn: str, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    pooler = Pooler(migrated_dsn, request, databases="*")

    def run(arguments: list[str]) -> None:
        if arguments[0] in ("worker", "bench"):
            run_program(pooler.url, arguments)
        else:
            assert execute(["--dsn", pooler.url, *arguments]) in ends_of(arguments), capsys.readouterr().err

    try_every_command(run, tmp_path)

    # Settings of our transactions do not reach the next client either.
    with psycopg.connect(pooler.url, autocommit=True) as other:
        row = other.execute("SELECT pg_catalog.current_setting('search_path')").fetchone()
        assert row is not None
        assert row[0].startswith('"$user", public')


_TASK = """
    INSERT INTO public.content_generation_tasks (account_id, topic, batch) VALUES (1, 'A topic', 'b')
    RETURNING task_id"""

_CONTENT = """
    INSERT INTO public.contents (account_id, title, body, word_count, generation_task_id)
    SELECT 1, 'A title', 'A body', 2, t.id FROM public.content_generation_tasks AS t LIMIT 1
    RETURNING id"""


def try_every_page(dsn: str) -> None:
    forms: list[tuple[str, dict[str, Any]]] = [
        ("/gates/close", {"key": "a", "for": "1h", "reason": "a reason"}),
        ("/gates/open", {"key": "a"}),
        ("/gates/set", {"key": "a", "requests_per_minute": "600", "max_running": "4"}),
        ("/accounts/set", {"id": 1, "share": "2", "monthly_budget": "100"}),
        ("/accounts/pause", {"id": 1, "for": "1h"}),
        ("/accounts/resume", {"id": 1}),
        ("/accounts/budget", {"account": "Ada", "category": "blog", "amount": "5"}),
        ("/accounts/budget/unset", {"account": 1, "category": "blog", "period": "month"}),
    ]
    with closing(open_connection(dsn, "contentq test")) as connection:
        queue = Queue(connection)
        task, _ = (queue.value(_TASK) for _ in range(2))
        contents = [queue.value(_CONTENT) for _ in range(2)]
    forms += [(f"/task/{what}", {"id": task, "note": "a note"}) for what in ("cancel", "requeue", "cancel")]
    forms += [
        ("/review/decide", {"content": contents[0], "seen": "pending", "verdict": "approve"}),
        ("/review/decide", {"content": contents[0], "seen": "approved", "verdict": "reject", "note": "a note"}),
    ]
    looks = [
        "/accounts?q=Ada",
        "/tasks?status=pending&account=Ada&category=c&since=1h&until=1m&error=e&worker=1&q=A",
        "/tasks?batch=b",
        *(f"/tasks/confirm?operation={operation}&batch=b" for operation in ("requeue", "cancel", "delete")),
        f"/task?id={task}",
        "/review?account=Ada&category=c&batch=b",
        f"/review?content={contents[1]}",
        "/batches?batch=b",
    ]
    app = create_app(dsn, operate=True)
    with serving(app) as port:
        visitor = Client(port)
        for path, form in forms:
            assert visitor.post(path, form).status == 303
            said, failed = visitor.message()
            assert not failed, said
        for path in [*(path for path, _ in pages.NAVIGATION), *looks]:
            answer = visitor.get(path)
            assert (answer.status, "took too long" in answer.text) == (200, False)
        for operation in ("cancel", "requeue", "delete"):
            answer = visitor.post("/selection/change", {"operation": operation, "batch": "b"})
            assert "Done." in answer.text
        visitor.post("/task/delete", {"id": task})
        assert visitor.message()[1] is False


def test_pages_run_nothing_that_was_planted(migrated_dsn: str, request: pytest.FixtureRequest) -> None:
    try_every_page(migrated_dsn)
    pooled = Pooler(migrated_dsn, request, databases="*", pool_size=1).url
    try_every_page(pooled)

    with psycopg.connect(pooled, autocommit=True) as other:
        for setting in ("statement_timeout", "transaction_read_only", "transaction_isolation"):
            row = other.execute("SELECT pg_catalog.current_setting(%s)", [setting]).fetchone()
            assert row in [("0",), ("off",), ("read committed",)]


def test_migration_there_and_back_runs_nothing_that_was_planted(hostile_dsn: str) -> None:
    migrate(hostile_dsn)
    migrate(hostile_dsn)
    migrate(hostile_dsn, "base")


def test_alembic_runs_nothing_that_was_planted(hostile_dsn: str) -> None:
    for arguments in (["upgrade", "head"], ["check"], ["downgrade", "base"]):
        done = ALEMBIC.run(*arguments, env={**os.environ, "DATABASE_URL": hostile_dsn}, cwd=SQL.parent)
        assert done.returncode == 0, done.stderr


def test_scripts_for_psql_run_nothing_that_was_planted(migrated_dsn: str) -> None:
    command = [str(client("psql")), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "task=one", migrated_dsn]
    for script in sorted((SQL / "inspect").glob("*.sql")):
        done = subprocess.run([*command, "-f", str(script)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), script


def test_python_api_runs_nothing_that_was_planted(migrated_dsn: str) -> None:
    task: Any = {"account_id": 1, "topic": "A topic", "timeout_at": timedelta(hours=1), "priority": 7}
    # By default SQLAlchemy looks up hstore, with operators: a query of the application, not of contentq.
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(migrated_dsn), use_native_hstore=False
    )
    with psycopg.connect(migrated_dsn) as plain, engine.connect() as of_sqlalchemy:
        for connection in (plain, of_sqlalchemy):
            one = contentq.submit(connection, **task)
            contentq.explain(connection, one)
            contentq.cancel(connection, one)
            connection.commit()
            if isinstance(connection, psycopg.Connection):
                assert contentq.wait(connection, one) == {"failed": 1}
            contentq.requeue(connection, one, "a note")
            connection.commit()
    engine.dispose()

    async def use() -> None:
        async with await psycopg.AsyncConnection.connect(migrated_dsn) as connection:
            one = await aio.submit(connection, **task)
            await aio.explain(connection, one)
            await aio.cancel(connection, one)
            await connection.commit()
            assert await aio.wait(connection, one) == {"failed": 1}
            await aio.requeue(connection, one, "a note")

    asyncio.run(use())


def test_completion_in_the_transaction_of_a_handler_runs_nothing_that_was_planted(migrated_dsn: str) -> None:
    with psycopg.connect(migrated_dsn) as connection:
        contentq.submit(connection, account_id=1)

    async def handler(_task: contentq.Task, context: contentq.Context) -> dict[str, Any]:
        await context.connection()
        return {"cost": 1, "model": "m"}

    assert run_until_empty(migrated_dsn, handler).completed == 1


def test_handler_finds_its_own_tables_as_before(dsn: str, queue: Queue) -> None:
    queue.run("CREATE TABLE notes (topic text)")
    queue.add(topic="A topic")

    async def handler(_task: contentq.Task, context: contentq.Context) -> None:
        connection = await context.connection()
        await connection.execute("INSERT INTO notes SELECT topic FROM content_generation_tasks")

    assert run_until_empty(dsn, handler).completed == 1
    assert queue.values("SELECT topic FROM notes") == ["A topic"]


@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE accounts (id integer PRIMARY KEY, name text)",
        "CREATE TABLE contents (id integer PRIMARY KEY CHECK (noted(id)), account_id integer NOT NULL, "
        "title text NOT NULL, body text NOT NULL, word_count integer NOT NULL, review_status text NOT NULL)",
        "CREATE VIEW accounts AS SELECT 1 AS id, noted(1) AS name",
    ],
    ids=["table", "check", "view"],
)
def test_table_that_a_stranger_has_made_is_not_taken_over_by_a_superuser(
    empty_dsn: str, bare: Queue, role: str, made: str
) -> None:
    bare.run("GRANT CREATE ON SCHEMA public TO PUBLIC")
    bare.run("CREATE SCHEMA planted CREATE SEQUENCE ran")
    bare.run("GRANT USAGE ON SCHEMA planted TO PUBLIC")
    bare.run("GRANT USAGE ON SEQUENCE planted.ran TO PUBLIC")
    bare.run(f"SET ROLE {role}")
    bare.run("CREATE FUNCTION noted(integer) RETURNS boolean RETURN nextval('planted.ran') > 0")
    bare.run(made)
    bare.run("RESET ROLE")

    with pytest.raises(
        ContentQueueError, match=rf" belongs to {role}, and anyone may create tables in schema public"
    ):
        migrate(empty_dsn)

    assert not bare.value("SELECT is_called FROM planted.ran")
    bare.run(f"DROP OWNED BY {role} CASCADE")


def test_table_of_another_owner_is_taken_over_where_not_everyone_may_create(
    empty_dsn: str, bare: Queue, role: str
) -> None:
    bare.run(f"GRANT CREATE ON SCHEMA public TO {role}")
    bare.run(f"SET ROLE {role}")
    bare.run("CREATE TABLE accounts (id integer PRIMARY KEY, name text)")
    bare.run("RESET ROLE")

    assert migrate(empty_dsn).after is not None

    bare.run(f"DROP OWNED BY {role} CASCADE")


def test_migration_warns_where_anyone_may_create(dsn: str, queue: Queue) -> None:
    assert migrations.migrate(dsn).notes == []

    queue.run("GRANT CREATE ON SCHEMA public TO PUBLIC")

    (note,) = migrations.migrate(dsn).notes
    assert note.endswith("To fix it: REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    queue.run(note.rpartition(": ")[2])
    assert migrations.migrate(dsn).notes == []
