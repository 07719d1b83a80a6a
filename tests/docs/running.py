"""Runs the blocks of a section: each in its language, in one folder, on one database."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from tests.docs.markdown import Block
from tests.support import programs
from tests.support.waiting import eventually

TIMEOUT = 180
"""Seconds per block."""

INSTALL_TIMEOUT = 600
"""Seconds per block of a section that downloads or compiles: catches a hang, tolerates slowness."""

GO_SOURCES = Path("/usr/share/gocode")
"""The folder of Debian's Go libraries."""

EXPORTED = "exported"
"""The file for the variables of a bash block."""

OF_BASH = {"_", "OLDPWD", "PWD", "SHLVL"}
"""Variables that each shell sets automatically."""

JDBC_DRIVER = Path("/usr/share/java/postgresql.jar")


class Run:
    """The folder, the environment and the background processes of one section."""

    def __init__(
        self, folder: Path, environment: dict[str, str], node_modules: Callable[[], Path], timeout: float
    ) -> None:
        self.folder = folder
        self.timeout = timeout
        self.environment = environment
        self.node_modules = node_modules
        self._background: list[subprocess.Popen[bytes]] = []

    def run(self, block: Block) -> str:
        """Runs a block and returns its output. Fails the test if it ends with an error."""
        if block.language not in LANGUAGES:
            pytest.fail(f"{block.place}: no test can run {block.language or 'a block without a language'}")
        if "needs" in block.options:
            self.program(block.options["needs"])
        command = LANGUAGES[block.language](self, block)
        if "background" in block.options:
            self.start(command, until="registered worker=")
            return ""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=self.timeout,
            check=False,
        )
        if done.returncode != 0:
            pytest.fail(f"{block.place} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        self._keep_exports()
        if self._background:
            self._wait_for_the_worker()
        return done.stdout

    def start(self, command: list[str], until: str) -> None:
        """Runs a command in the background; returns when it has printed this text."""
        log = self.folder / f"background-{len(self._background)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._background.append(process)

        def has_printed() -> bool:
            text = log.read_text(errors="replace")
            if until not in text and process.poll() is not None:
                pytest.fail(f"{' '.join(command)} ended with {process.returncode}:\n{text}")
            return until in text

        eventually(has_printed, within=self.timeout)

    def stop(self) -> None:
        """Stops the background processes."""
        for process in self._background:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)

    def write(self, name: str, text: str) -> str:
        """Writes a file into the folder and returns its name."""
        file = self.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return name

    def program(self, name: str) -> str:
        """The path of a program. Skips the test if it is missing."""
        found = shutil.which(name, path=self.environment["PATH"])
        if found is None:
            pytest.skip(f"{name} is not installed")
        return found

    def _keep_exports(self) -> None:
        """Passes the exported variables of a bash block to later blocks, as in one terminal."""
        exported = self.folder / EXPORTED
        if exported.exists():
            variables = (each.partition("=") for each in exported.read_text(encoding="utf-8").split("\0") if each)
            self.environment |= {name: value for name, _, value in variables if name not in OF_BASH}
            exported.unlink()

    def _wait_for_the_worker(self) -> None:
        """Waits until the tasks that are due have ended, as a reader would."""
        unfinished = (
            "SELECT count(*) FROM content_generation_tasks WHERE status IN ('pending', 'processing') "
            "AND scheduled_at IS NULL"
        )
        with psycopg.connect(self._dsn(), autocommit=True) as connection:

            def is_done() -> bool:
                row = connection.execute(unfinished.encode()).fetchone()
                return row is not None and row[0] == 0

            eventually(is_done, within=20)

    def _dsn(self) -> str:
        if "DATABASE_URL" in self.environment:
            return self.environment["DATABASE_URL"]
        command = [self.program("contentq"), "db", "url"]
        return subprocess.run(
            command, env=self.environment, check=True, capture_output=True, text=True
        ).stdout.strip()


def _bash(run: Run, block: Block) -> list[str]:
    script = f". ./{run.write('block.sh', block.text)}; env -0 >{EXPORTED}"
    return [run.program("bash"), "-euo", "pipefail", "-c", script]


def _sql(run: Run, block: Block) -> list[str]:
    options = ["-X", "-v", "ON_ERROR_STOP=1", "-f", run.write("block.sql", block.text)]
    if "DATABASE_URL" in run.environment:
        return [str(programs.client("psql")), run.environment["DATABASE_URL"], *options]
    return [run.program("contentq"), "db", "psql", *options]


def _python(run: Run, block: Block) -> list[str]:
    return [sys.executable, run.write("block.py", block.text)]


def _javascript(run: Run, block: Block) -> list[str]:
    node = run.program("node")
    modules = run.folder / "node_modules"
    if not modules.exists():
        run.program("npm")
        modules.symlink_to(run.node_modules())
    return [node, run.write("block.mjs", block.text)]


def _go(run: Run, block: Block) -> list[str]:
    go = run.program("go")
    if not (GO_SOURCES / "src/github.com/lib/pq").is_dir():
        pytest.skip("the Go library lib/pq is not installed (Debian: golang-github-lib-pq-dev)")
    run.environment |= {"GO111MODULE": "off", "GOPATH": str(GO_SOURCES), "GOCACHE": str(run.folder / "go-cache")}
    return [go, "run", run.write("block.go", block.text)]


def _java(run: Run, block: Block) -> list[str]:
    java = run.program("java")
    run.program("javac")
    if not JDBC_DRIVER.is_file():
        pytest.skip("the JDBC driver is not installed (Debian: libpostgresql-jdbc-java)")
    name = re.search(r"public class (\w+)", block.text)
    assert name is not None, f"{block.place} has no public class"
    return [java, "-cp", str(JDBC_DRIVER), run.write(f"{name[1]}.java", block.text)]


def _php(run: Run, block: Block) -> list[str]:
    php = run.program("php")
    modules = subprocess.run([php, "-m"], capture_output=True, text=True, check=True).stdout.split()
    if "pgsql" not in modules:
        pytest.skip("the PHP extension pgsql is not installed (Debian: php-pgsql)")
    return [php, run.write("block.php", block.text)]


def _ruby(run: Run, block: Block) -> list[str]:
    ruby = run.program("ruby")
    if subprocess.run([ruby, "-rpg", "-e", ""], capture_output=True, check=False).returncode != 0:
        pytest.skip("the Ruby library pg is not installed (Debian: ruby-pg)")
    return [ruby, run.write("block.rb", block.text)]


LANGUAGES: dict[str, Callable[[Run, Block], list[str]]] = {
    "bash": _bash,
    "sql": _sql,
    "python": _python,
    "javascript": _javascript,
    "go": _go,
    "java": _java,
    "php": _php,
    "ruby": _ruby,
}
"""The command for the blocks of each language."""
