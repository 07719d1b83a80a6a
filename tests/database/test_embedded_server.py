"""The embedded server starts in any folder and environment."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from contentq.database import embedded
from contentq.errors import EmbeddedServerError

from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

CONTENTQ = Path(sys.executable).with_name("contentq")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder for one test; its server is stopped afterwards."""
    monkeypatch.setenv("CONTENTQ_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    yield tmp_path / "home"
    embedded.stop()


def _version() -> int:
    with psycopg.connect(embedded.running_dsn()) as connection:
        return connection.info.server_version // 10000


def test_server_starts_once_answers_and_stops(home: Path) -> None:
    started = embedded.start()
    assert embedded.start() == started
    assert _version() == started.version == embedded.DEFAULT_VERSION
    assert embedded.stop()
    assert not embedded.status().running
    assert not embedded.stop()


def test_data_survive_a_stop(home: Path) -> None:
    embedded.start()
    with psycopg.connect(embedded.running_dsn()) as connection:
        connection.execute("CREATE TABLE kept (n integer)")
    embedded.stop()
    embedded.start()
    with psycopg.connect(embedded.running_dsn()) as connection:
        connection.execute("SELECT n FROM kept")


@pytest.mark.parametrize("name", ["a space, a comma, Ada's and an ü", "x" * 200])
def test_any_folder_will_do(name: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTENTQ_HOME", str(tmp_path / name))
    embedded.start()
    assert _version() == embedded.DEFAULT_VERSION
    assert embedded.stop()


def test_locale_and_port_of_the_environment_do_not_matter(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "xx_YY.UTF-8")
    monkeypatch.setenv("PGPORT", "1")
    embedded.start()
    with psycopg.connect(embedded.running_dsn()) as connection:
        assert connection.execute("SELECT upper('ärger')").fetchone() == ("ÄRGER",)


def test_two_starts_at_once_start_one_server(home: Path) -> None:
    commands = [subprocess.Popen([CONTENTQ, "db", "start"], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    printed = [command.communicate(timeout=60)[0] for command in commands]
    assert [command.returncode for command in commands] == [0, 0, 0]
    pid = embedded.status().pid
    assert all(f"(pid {pid})" in text for text in printed)


def test_a_killed_server_starts_again(home: Path) -> None:
    pid = embedded.start().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not embedded.status().running)
    assert embedded.start().pid != pid
    assert _version() == embedded.DEFAULT_VERSION


def test_a_folder_copied_from_a_running_server_is_not_taken_for_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = embedded.start()
    subprocess.run(["cp", "-rp", home, tmp_path / "copy"], check=False, stderr=subprocess.DEVNULL)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("CONTENTQ_HOME", str(tmp_path / "copy"))
        assert not embedded.status().running
        assert not embedded.stop()
    assert embedded.status() == original


def test_existing_data_keep_their_version(home: Path) -> None:
    embedded.start(16)
    embedded.stop()
    with pytest.raises(EmbeddedServerError, match="belongs to PostgreSQL 16"):
        embedded.start(18)
    assert embedded.start().version == 16


def test_a_start_that_was_interrupted_is_made_good(home: Path) -> None:
    unfinished = home / "postgresql.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    embedded.start()
    assert not unfinished.exists()


def test_a_server_that_cannot_start_says_where_its_log_is(home: Path) -> None:
    embedded.start()
    embedded.stop()
    shutil.rmtree(home / "postgresql" / "global")
    with pytest.raises(
        EmbeddedServerError, match=r"did not start: pg_ctl reported.*its log, .*/postgresql/log, ends:"
    ):
        embedded.start()


def test_without_a_server_the_message_says_how_to_start_it(home: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="contentq db start"):
        embedded.running_dsn()
