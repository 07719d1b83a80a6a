"""A process that cleans up if the tests die: it stops their PostgreSQL server and deletes its folder.

It waits for the end of its standard input, a pipe that only the test process has open.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

_SHUTDOWN = 10
"""Seconds to wait for the server to stop before deleting its folder."""


def watch(folder: Path) -> subprocess.Popen[bytes]:
    """Starts a guardian for a cluster's folder. Ctrl-C in the terminal does not reach it."""
    return subprocess.Popen(
        [sys.executable, "-S", __file__, str(folder)], stdin=subprocess.PIPE, start_new_session=True, cwd="/"
    )


def dismiss(process: subprocess.Popen[bytes]) -> None:
    """Ends a guardian after its folder was deleted."""
    assert process.stdin is not None
    process.stdin.close()
    process.wait()


def postmaster(data: Path) -> int | None:
    """The process id in postmaster.pid of a data folder, or None if no such process exists."""
    try:
        pid = int((data / "postmaster.pid").read_text().partition("\n")[0])
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid


def _clean_up(folder: Path) -> None:
    pid = postmaster(folder / "data")
    if pid is not None:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGQUIT)  # as pg_ctl sends for an immediate shutdown
    give_up = time.monotonic() + _SHUTDOWN
    while postmaster(folder / "data") is not None and time.monotonic() < give_up:
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.stdin.read()
    _clean_up(Path(sys.argv[1]))
