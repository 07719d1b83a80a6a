"""Creates a PostgreSQL data folder and starts a server on it, also as root, and in any folder.

Only the programs of the wheel are used, not its Python code: that has one lock in /tmp for all users of a machine,
and fails in paths with a space and in locales that are not installed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from contentq.errors import EmbeddedServerError

log = logging.getLogger("contentq.database")

START_TIMEOUT = 30
"""Seconds to wait until a started server answers."""

SERVER_USER = "pgserver"
"""The user that runs the server for root, because PostgreSQL refuses to run as root; created if missing."""

_PLAIN_PATH = re.compile(r"[\w./+@-]{1,86}", re.ASCII)
"""Paths that all clients accept as a socket folder: up to 103 characters with the socket's name on some systems,
no comma, which separates hosts in libpq, and no space, which must be encoded in URLs."""

_BUILTIN_LOCALE_SINCE = 17


def create(data: Path, folder: int, programs: Path, version: int) -> None:
    """Creates the data folder completely or not at all, even if interrupted. Raises EmbeddedServerError.

    folder: a descriptor of the state folder, so that the data is created there even if its path changes.
    """
    _check_name()
    user = _server_user()
    _make_reachable(data, programs, user)
    unfinished = data.with_name(f"{data.name}.new")
    shutil.rmtree(unfinished.name, ignore_errors=True, dir_fd=folder)
    os.mkdir(unfinished.name, 0o700, dir_fd=folder)
    if user:
        os.chown(unfinished.name, user["user"], user["group"], dir_fd=folder, follow_symlinks=False)
    # Independent of the locale of the user who starts it first, which need not be installed here.
    locale = ["--locale=C"]
    if version >= _BUILTIN_LOCALE_SINCE:
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    # Anyone who reaches the socket is let in, and only the owner can enter its folder. If someone makes the server
    # listen on a port, every user of the machine could reach that.
    access = ["--auth-local=trust", "--auth-host=reject"]
    _run(
        [programs / "initdb", "-D", unfinished, "-U", "postgres", *access, "-E", "UTF8", *locale], unfinished, user
    )
    os.rename(unfinished.name, data.name, src_dir_fd=folder, dst_dir_fd=folder)


def start(data: Path, programs: Path) -> None:
    """Starts the server and waits until it answers. Raises EmbeddedServerError."""
    user = _server_user()
    _make_reachable(data, programs, user)
    options = f"-h '' -p 5432 -k {_socket_folder(data, user)}"
    _run(
        [programs / "pg_ctl", "-D", data, "-w", "-t", START_TIMEOUT, "-l", data / "log", "-o", options, "start"],
        data,
        user,
    )


def _run(command: list[Any], folder: Path, user: dict[str, Any]) -> None:
    """Runs a PostgreSQL program in a folder, without the PG* variables, which are for other servers."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    # A file instead of a pipe, because a started server would keep the pipe open.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            env={**environment, "LANG": "C"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            **user,
        )
        output.seek(0)
        reported = " ".join(output.read().decode(errors="replace").split())
    if done.returncode != 0:
        log = folder / "log"
        last = log.read_text(errors="replace").strip().splitlines()[-1:] if log.is_file() else []
        where = f"; its log, {log}, ends: {last[0]}" if last else ""
        program = Path(command[0]).name
        raise EmbeddedServerError(f"the embedded server did not start: {program} reported: {reported}{where}")


def _check_name() -> None:
    """Raises EmbeddedServerError if this user has no name, which initdb requires even with -U."""
    import pwd

    uid = os.geteuid()
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedServerError(
            f"PostgreSQL's initdb needs a user with a name, but user id {uid} has none; run contentq as a user "
            f"that the system knows, add a line for {uid} to /etc/passwd (in a Dockerfile: RUN echo "
            f"'contentq:x:{uid}:0::/tmp:/bin/sh' >>/etc/passwd), or use a database with --dsn or DATABASE_URL"
        ) from None


def _server_user() -> dict[str, Any]:
    """The user to run the server as, as arguments of subprocess.run; empty unless this is root."""
    if os.geteuid() != 0:
        return {}
    import pwd

    try:
        found = pwd.getpwnam(SERVER_USER)
    except KeyError:
        made = subprocess.run(["useradd", "--system", SERVER_USER], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise EmbeddedServerError(
                f"PostgreSQL refuses to run as root, and creating the user {SERVER_USER} for it failed: "
                f"{made.stderr.strip()}"
            ) from None
        found = pwd.getpwnam(SERVER_USER)
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}


def _let_pass(folder: Path, what: str, user: dict[str, Any]) -> None:
    """Gives the server's user access to a folder, and logs the change.

    what: the content of the folder. Raises EmbeddedServerError if a folder in the path belongs to another user.
    """
    for path in reversed((folder, *folder.parents)):
        if not user or _can_pass(path, user):
            continue
        why = f"root runs the server as the user {SERVER_USER}, and {what} in it"
        found = path.stat()
        if found.st_uid != os.geteuid():
            raise EmbeddedServerError(
                f"{path} is closed to other users: {why}; have its owner run: chmod o+x {shlex.quote(str(path))}, "
                "or use another folder with CONTENTQ_HOME"
            )
        path.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXOTH)
        log.info("other users can now pass through %s (chmod o+x): %s", path, why)


def _can_pass(folder: Path, user: dict[str, Any]) -> bool:
    shell = ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)]
    return subprocess.run(shell, cwd="/", capture_output=True, check=False, **user).returncode == 0


def _make_reachable(data: Path, programs: Path, user: dict[str, Any]) -> None:
    """Gives the server's user access to its data and programs; other users' rights stay."""
    _let_pass(data.parent, "its data is", user)
    _let_pass(programs, "its programs are", user)
    if not user:
        return
    if (programs / "postgres").stat().st_mode & stat.S_IXOTH:
        return
    # The programs were installed with a umask that excludes other users.
    for path in [programs.parent, *programs.parent.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))
    log.info("other users can now read %s: root runs the server as the user %s", programs.parent, SERVER_USER)


def _socket_folder(data: Path, user: dict[str, Any]) -> Path:
    """The folder of the socket: the data folder, unless its path is too long or has special characters."""
    if _PLAIN_PATH.fullmatch(str(data)):
        return data
    owner = user["user"] if user else os.geteuid()
    name = f"contentq-{owner}-{hashlib.sha256(os.fsencode(data)).hexdigest()[:12]}"
    folder = Path(tempfile.gettempdir(), name)
    if not _PLAIN_PATH.fullmatch(str(folder)):
        folder = Path("/tmp", name)
    try:
        folder.mkdir(mode=0o700)
        if user:
            shutil.chown(folder, user["user"], user["group"])
    except FileExistsError:
        # The owner of the folder could listen there.
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner:
            raise EmbeddedServerError(f"{folder} belongs to another user; remove it, or set TMPDIR") from None
        if stat.S_IMODE(found.st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
            raise EmbeddedServerError(f"{folder} is accessible to other users; remove it") from None
    return folder
