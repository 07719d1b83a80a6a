"""The state folder of the embedded server: whose it must be, and how one process at a time starts a server.

Whoever can write to it can put a server of their own there, or a link in the place of a file that is written. It
is therefore used only when it belongs to the user who asks, and nobody else may write to it. What lies above it is
never changed.
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
"""Seconds to wait for another process that starts the server; making its data and starting it takes a few."""

_PAUSE = 0.1
"""Seconds between two looks whether the lock is free."""

_ELSEWHERE = "name another folder with CONTENTQ_HOME"


def check(home: Path) -> bool:
    """Whether there is a state folder. Raises EmbeddedServerError when others could have put things there."""
    _check_links(home)
    try:
        found = home.stat()
    except FileNotFoundError:
        return False
    except PermissionError:
        raise EmbeddedServerError(
            f"the state folder {home} of the embedded server is in a folder that is closed to "
            f"{_user(os.geteuid())}; {_ELSEWHERE}"
        ) from None
    _check(home, found)
    return True


@contextmanager
def alone(home: Path) -> Iterator[int]:
    """Makes everyone else wait who wants to start the server of this state folder, which is made if need be.

    Gives a descriptor of the folder, so that what is made in it is made in the folder that was checked. Raises
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
            # The server, which does not run as root, must pass through to its data; it need not list it.
            home.chmod(0o711)


def _check_links(home: Path) -> None:
    """A link of somebody else can be made to lead elsewhere at any time."""
    # Who owns / is root, also where root is called otherwise, as in a container without it.
    trusted = {os.geteuid(), 0, Path("/").stat().st_uid}
    for path in (home, *home.parents):
        try:
            found = path.lstat()
        except OSError:
            continue
        if stat.S_ISLNK(found.st_mode) and found.st_uid not in trusted:
            raise EmbeddedServerError(
                f"{path}, on the way to the state folder of the embedded server, is a link that "
                f"{_user(found.st_uid)} has made, who can make it lead anywhere; {_ELSEWHERE}"
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
            f"other users may write to the state folder {home} of the embedded server; see that everything in it "
            f"is yours and run: chmod go-w {home} (or {_ELSEWHERE})"
        )


def _open_lock(home: Path, folder: int) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        lock = os.open(LOCK, flags, 0o600, dir_fd=folder)
    except OSError as error:
        raise EmbeddedServerError(
            f"the lock {home / LOCK} of the embedded server cannot be opened: {error.strerror}; it must be a "
            "plain file of yours: remove it"
        ) from None
    found = os.fstat(lock)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        os.close(lock)
        raise EmbeddedServerError(
            f"the lock {home / LOCK} of the embedded server is not a plain file of yours; remove it"
        )
    # Whoever may open a file can lock it.
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
                "seconds; end it, or wait until it has ended, and try again"
            )
        time.sleep(_PAUSE)


def _holder(lock: int) -> str:
    """Who holds it, as far as the system tells."""
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
