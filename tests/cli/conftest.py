"""The command line on the test's own database: in this process for speed, or as a program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from contentq.cli.main import execute

from tests.cli.trials import HANDLERS
from tests.support.databases import Connection
from tests.support.forked import CONTENTQ
from tests.support.queue import Queue


@dataclass(frozen=True)
class Outcome:
    """The result of a command: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output as JSON; the command must have succeeded."""
        assert (self.code, self.err) == (0, "")
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The message of its error, which must be its only output."""
        assert self.out == ""
        assert self.err.startswith("Error: "), self.err
        assert "Traceback" not in self.err
        return self.err.removeprefix("Error: ").strip()


class Run(Protocol):
    def __call__(self, *arguments: str, stdin: str | bytes = b"") -> Outcome: ...


@pytest.fixture
def contentq(dsn: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in this process."""
    monkeypatch.setenv("DATABASE_URL", dsn)

    def run(*arguments: str, stdin: str | bytes = b"") -> Outcome:
        assert not stdin, "only a process of its own reads its standard input"
        capsys.readouterr()
        code = execute(list(arguments))
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


class Start(Protocol):
    def __call__(
        self, *arguments: str, cwd: Path | None = None, **environment: str
    ) -> subprocess.Popen[bytes]: ...


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the program with pipes. The only database is one that the environment names."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen[bytes]:
        process = CONTENTQ.start(
            *arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**plain_environment(), **environment},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def plain_environment() -> dict[str, str]:
    """The environment without variables that name a database or hide how Python ends on failed writes."""
    ours = ("PG", "CONTENTQ", "DATABASE_URL", "PYTHONUNBUFFERED")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@pytest.fixture
def program(dsn: str, start: Start) -> Run:
    """Runs a command as a program."""

    def run(*arguments: str, stdin: str | bytes = b"") -> Outcome:
        process = start(*arguments, DATABASE_URL=dsn)
        out, err = process.communicate(stdin.encode() if isinstance(stdin, str) else stdin, timeout=60)
        return Outcome(process.returncode, out.decode(), err.decode())

    return run


@pytest.fixture
def queue(database: Connection) -> Queue:
    """The queue in the test's database."""
    return Queue(database)


@pytest.fixture
def account(queue: Queue) -> str:
    """The id of an account, as an argument."""
    return str(queue.account)


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., str]:
    """Writes a file of tasks and returns its path."""

    def write(name: str, content: str | bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


@pytest.fixture
def trial_folder(tmp_path: Path) -> Path:
    """A trial_folder with handlers."""
    (tmp_path / "handlers.py").write_text(HANDLERS)
    return tmp_path


@pytest.fixture
def attempt(
    trial_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Run]:
    """Runs contentq try in this process and folder with a handler from there, without a database."""
    monkeypatch.chdir(trial_folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")

    def run(*arguments: str, stdin: str | bytes = b"") -> Outcome:
        assert not stdin, "a trial reads nothing"
        handler, *options = arguments
        capsys.readouterr()
        code = execute(["try", "--handler", f"handlers:{handler}", *options])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    yield run
    sys.modules.pop("handlers", None)
