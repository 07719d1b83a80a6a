"""Making a PostgreSQL data folder and starting a server on it, as root or not, wherever the folder is.

Only the wheel's programs are used, not its own way of starting them: that has one lock in /tmp for all users
of a machine, and cannot start in a folder whose path has a space in it or in a locale that is not installed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contentq.errors import EmbeddedServerError

START_TIMEOUT = 30
"""Seconds to wait for a started server to answer."""

SERVER_USER = "pgserver"
"""Whom root runs the server as, since PostgreSQL refuses to run as root; made when it is missing."""

_PLAIN_PATH = re.compile(r"[\w./+@-]{1,86}", re.ASCII)
"""What all clients take as the folder of a socket, which may have 103 characters on some systems: in libpq a
comma separates hosts, in URLs a space must be encoded."""

_BUILTIN_LOCALE_SINCE = 17


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Makes everyone else wait who wants to start the server of this state folder, which is made if need be."""
    import fcntl

    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def create(data: Path, programs: Path, version: int) -> None:
    """Makes the data folder: all of it or nothing, also when it is interrupted. Raises EmbeddedServerError."""
    user = _server_user()
    _make_reachable(data, programs, user)
    unfinished = data.with_name(f"{data.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    if user:
        shutil.chown(unfinished, user["user"], user["group"])
    # Independent of the locale of whoever starts it first, which need not be installed here.
    locale = ["--locale=C"]
    if version >= _BUILTIN_LOCALE_SINCE:
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    _run(
        [programs / "initdb", "-D", unfinished, "-U", "postgres", "-A", "trust", "-E", "UTF8", *locale],
        unfinished,
        user,
    )
    unfinished.rename(data)


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
    """Runs one of PostgreSQL's programs in a folder; PG* variables are not for this server."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    # A file and not a pipe: a server that is started would keep the pipe open.
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
        said = " ".join(output.read().decode(errors="replace").split())
    if done.returncode != 0:
        log = folder / "log"
        last = log.read_text(errors="replace").strip().splitlines()[-1:] if log.is_file() else []
        where = f"; its log, {log}, ends: {last[0]}" if last else ""
        program = Path(command[0]).name
        raise EmbeddedServerError(f"the embedded server did not start: {program} said: {said}{where}")


def _server_user() -> dict[str, Any]:
    """Whom to run the server as, as arguments of subprocess.run; nothing unless this is root."""
    if os.geteuid() != 0:
        return {}
    import pwd

    try:
        found = pwd.getpwnam(SERVER_USER)
    except KeyError:
        made = subprocess.run(["useradd", "--system", SERVER_USER], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise EmbeddedServerError(
                f"PostgreSQL does not run as root, and the user {SERVER_USER} could not be made for it: "
                f"{made.stderr.strip()}"
            ) from None
        found = pwd.getpwnam(SERVER_USER)
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}


def _make_reachable(data: Path, programs: Path, user: dict[str, Any]) -> None:
    """Lets the server's user, who is not root, reach its data and its programs; other users' rights stay."""
    if not user:
        return
    _let_pass(data)
    _let_pass(programs)
    if (programs / "postgres").stat().st_mode & stat.S_IXOTH:
        return
    # Installed with a umask that leaves nothing to others.
    for path in [programs.parent, *programs.parent.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def _let_pass(path: Path) -> None:
    """Lets everyone pass through (not list) the folders that lead to a path."""
    for folder in path.parents:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _socket_folder(data: Path, user: dict[str, Any]) -> Path:
    """Where the socket goes: the data folder, unless its path is too long or not plain."""
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
        # Whoever owns the folder could listen in our place.
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner:
            raise EmbeddedServerError(f"{folder} belongs to someone else; remove it, or set TMPDIR") from None
    return folder
