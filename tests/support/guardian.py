"""A process that outlives the tests only to clean up after them: should they die in whatever way, it ends
their PostgreSQL server and deletes its folder.

It waits for the end of its standard input, a pipe that only the test process holds.
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
"""Seconds to wait for the server to end before its folder is deleted under it."""


def watch(folder: Path) -> subprocess.Popen[bytes]:
    """Starts a guardian of a cluster's folder, out of reach of the terminal's Ctrl-C."""
    return subprocess.Popen(
        [sys.executable, "-S", __file__, str(folder)], stdin=subprocess.PIPE, start_new_session=True, cwd="/"
    )


def dismiss(process: subprocess.Popen[bytes]) -> None:
    """Lets a guardian go, after its folder was deleted."""
    assert process.stdin is not None
    process.stdin.close()
    process.wait()


def postmaster(data: Path) -> int | None:
    """The process id in a data folder's postmaster.pid, None when no process has it."""
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
            os.kill(pid, signal.SIGQUIT)  # what pg_ctl sends for an immediate shutdown
    give_up = time.monotonic() + _SHUTDOWN
    while postmaster(folder / "data") is not None and time.monotonic() < give_up:
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.stdin.read()
    _clean_up(Path(sys.argv[1]))
