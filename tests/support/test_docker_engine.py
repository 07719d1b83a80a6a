"""Whether a Docker engine is usable is known before the tests start, and testcontainers uses the same one."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support import docker_engine
from tests.support.fake_engine import REFUSAL, refusing


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home folder without a configured engine. Its path is short, because socket paths must be."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    return tmp_path


@contextmanager
def listening(path: Path) -> Iterator[None]:
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(path))
        server.listen()
        yield


def ask_for_address() -> str | None:
    """The answer, within a time limit."""
    began = time.monotonic()
    answer = docker_engine.address()
    assert time.monotonic() - began < 1
    return answer


def choose_context(home: Path, address: str) -> None:
    """The configuration that `docker context use colima` writes."""
    meta = home / ".docker/contexts/meta" / hashlib.sha256(b"colima").hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": "colima", "Endpoints": {"docker": {"Host": address}}}))
    (home / ".docker/config.json").write_text(json.dumps({"currentContext": "colima"}))


def test_engine_that_docker_host_names_is_found(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{home}/s")
    with refusing(home / "s"):
        assert ask_for_address() == f"unix://{home}/s"


def test_engine_of_dockers_current_context_is_found(home: Path) -> None:
    choose_context(home, f"unix://{home}/s")
    with refusing(home / "s"):
        assert ask_for_address() == f"unix://{home}/s"


def test_docker_host_comes_before_the_context(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    choose_context(home, "unix:///nowhere/docker.sock")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{home}/s")
    with refusing(home / "s"):
        assert ask_for_address() == f"unix://{home}/s"


@pytest.mark.parametrize("place", ["run/docker.sock", ".docker/run/docker.sock"])
def test_engine_of_the_user_is_found(home: Path, place: str) -> None:
    if Path("/var/run/docker.sock").is_socket():
        pytest.skip("an engine of the whole machine comes first")
    (home / place).parent.mkdir(parents=True)
    with refusing(home / place):
        assert ask_for_address() == f"unix://{home / place}"


def test_engine_that_accepts_and_says_nothing_is_none(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{home}/s")
    with listening(home / "s"):
        assert ask_for_address() is None


@pytest.mark.parametrize("address", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:1", "ssh://host", "nonsense"])
def test_client_without_an_engine_is_none(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    assert ask_for_address() is None


def test_testcontainers_asks_the_engine_that_was_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, home: Path
) -> None:
    elsewhere = tmp_path_factory.mktemp("d")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with refusing(elsewhere / "s") as asked:
        with pytest.raises(Exception, match="toomanyrequests"), docker_engine.container(f"unix://{elsewhere}/s"):
            pass
        assert any("/images/create" in each for each in asked)


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["0", "2"])
def test_engine_that_cannot_pull_is_named_and_an_embedded_server_takes_its_place(
    home: Path, tmp_path_factory: pytest.TempPathFactory, processes: str
) -> None:
    test = tmp_path_factory.mktemp("t") / "test_select.py"
    test.write_text(
        "import psycopg\n\n\n"
        "def test_select(dsn):\n"
        "    with psycopg.connect(dsn) as connection:\n"
        "        assert connection.execute('SELECT count(*) FROM accounts').fetchone() == (0,)\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.conftest",
        "-n",
        processes,
        "--rootdir",
        ".",
        str(test),
    ]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("CONTENTQ_TEST_DSN", "PYTEST_"))
    }
    environment |= {"DOCKER_HOST": f"unix://{home}/s"}
    with refusing(home / "s") as asked:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"note: the Docker engine at unix://{home}/s has no image postgres:18-alpine" in done.stdout
    assert REFUSAL in done.stdout
    assert "server: PostgreSQL 18 from the embedded wheel" in done.stdout
    assert len([each for each in asked if "/images/create" in each]) == 1
