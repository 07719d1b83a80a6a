"""The state folder of the embedded server: checks its owner, and lets one process at a time start a server.

A user who can write to the folder can place another server or symbolic links there. Therefore the folder must
belong to the current user, and nobody else may write to it. Folders above it are never changed.
"""

from __future__ import annotations

import os
import pwd
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from contentq.errors import EmbeddedServerError

LOCK = "lock"

LOCK_TIMEOUT = 45
"""Seconds to wait for another process that starts the server; creating its data takes a few."""

_PAUSE = 0.1
"""Seconds between two attempts to take the lock."""

_ELSEWHERE = "use another folder with CONTENTQ_HOME"


def check(home: Path) -> bool:
    """Whether the state folder exists. Raises EmbeddedServerError if other users could have placed files in it."""
    _check_links(home)
    try:
        found = home.stat()
    except FileNotFoundError:
        return False
    except PermissionError:
        raise EmbeddedServerError(
            f"the state folder {home} of the embedded server is inside a folder that {_user(os.geteuid())} cannot "
            f"access; {_ELSEWHERE}"
        ) from None
    _check(home, found)
    return True


@contextmanager
def alone(home: Path) -> Iterator[int]:
    """Holds the lock for starting the server of this state folder, which is created if missing.

    Yields a descriptor of the folder, so that files are created in the folder that was checked. Raises
    EmbeddedServerError.
    """
    if not check(home):
        _make(home)
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _check(home, os.fstat(folder))
        lock = _open_lock(home, folder)
        try:
            _wait_for(home, lock)
            yield folder
        finally:
            os.close(lock)
    finally:
        os.close(folder)


def _make(home: Path) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        home.mkdir(mode=0o700)
        if os.geteuid() == 0:
            # The server does not run as root. It must pass through to its data, but need not list the folder.
            home.chmod(0o711)


def _check_links(home: Path) -> None:
    """Raises EmbeddedServerError if another user can redirect a symbolic link in the path."""
    # The owner of / is root, or stands for root, for example in a container without a root user.
    trusted = {os.geteuid(), 0, Path("/").stat().st_uid}
    for path in (home, *home.parents):
        try:
            found = path.lstat()
        except OSError:
            continue
        if stat.S_ISLNK(found.st_mode) and found.st_uid not in trusted:
            raise EmbeddedServerError(
                f"{path}, in the path of the embedded server's state folder, is a symbolic link of "
                f"{_user(found.st_uid)}, who can redirect it; {_ELSEWHERE}"
            )


def _check(home: Path, found: os.stat_result) -> None:
    if not stat.S_ISDIR(found.st_mode):
        raise EmbeddedServerError(f"the state folder {home} of the embedded server is not a folder; {_ELSEWHERE}")
    if found.st_uid != os.geteuid():
        owner = _user(found.st_uid)
        raise EmbeddedServerError(
            f"the state folder {home} of the embedded server belongs to another user, {owner}; become {owner}, or "
            f"{_ELSEWHERE}"
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise EmbeddedServerError(
            f"other users can write to the state folder {home} of the embedded server; check that all files in it "
            f"are yours and run: chmod go-w {home} (or {_ELSEWHERE})"
        )


def _open_lock(home: Path, folder: int) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        lock = os.open(LOCK, flags, 0o600, dir_fd=folder)
    except OSError as error:
        raise EmbeddedServerError(
            f"the lock {home / LOCK} of the embedded server cannot be opened: {error.strerror}; it must be your "
            "own regular file: remove it"
        ) from None
    found = os.fstat(lock)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        os.close(lock)
        raise EmbeddedServerError(
            f"the lock {home / LOCK} of the embedded server is not your own regular file; remove it"
        )
    # Any user who can open a file can lock it.
    os.fchmod(lock, 0o600)
    return lock


def _wait_for(home: Path, lock: int) -> None:
    import fcntl

    give_up = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        if time.monotonic() > give_up:
            raise EmbeddedServerError(
                f"{_holder(lock)} has held the lock {home / LOCK} of the embedded server for {LOCK_TIMEOUT} "
                "seconds; end that process, or wait until it has ended, and try again"
            )
        time.sleep(_PAUSE)


def _holder(lock: int) -> str:
    """The process that holds the lock, if the system reports it."""
    found = os.fstat(lock)
    place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    with suppress(OSError):
        for line in Path("/proc/locks").read_text(encoding="ascii", errors="replace").splitlines():
            fields = line.split()
            if len(fields) > 5 and fields[1] == "FLOCK" and fields[5] == place and int(fields[4]) > 0:
                return f"process {fields[4]}{_owner_of(fields[4])}"
    return "another process"


def _owner_of(pid: str) -> str:
    try:
        return f" of {_user(Path('/proc', pid).stat().st_uid)}"
    except OSError:
        return ""


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
