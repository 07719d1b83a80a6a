"""Kills the programs of a worker that was itself killed.

A worker that gets SIGKILL can end nothing. So a small process beside it, started with its first program, is told
of each process group that begins and ends. It waits for the end of its standard input, a pipe that only the
worker holds: the kernel closes it, however the worker ends. What is left then gets SIGTERM, and SIGKILL later.
A program of which it was not told yet goes on: one that was started in the last milliseconds.

This file is both: the worker's side, and the program that the other process runs.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable

log = logging.getLogger("contentq.handlers.command")

TERM_GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL."""


class Guardian:
    """The worker's side; one for each process, safe to use from several threads. None of it raises."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def watch(self, group: int) -> None:
        """This process group is to end with the worker."""
        with self._lock:
            self._groups.add(group)
            self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        """This process group has ended."""
        with self._lock:
            self._groups.discard(group)
            self._tell(f"-{group}\n")

    def dismiss(self) -> None:
        """Lets the process go when this one exits in good order; it still ends what is left."""
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            assert process.stdin is not None
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(TERM_GRACE + 1)

    def _tell(self, line: str) -> None:
        if self._process is not None and self._owner == os.getpid():
            assert self._process.stdin is not None
            with contextlib.suppress(OSError):  # it was killed, or it does not read
                os.write(self._process.stdin.fileno(), line.encode())
                return
            self._process.kill()
            self._process.wait()
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._start()

    def _start(self) -> None:
        """Starts the process, and tells it of all groups that there are."""
        self._process = None
        if not self._groups or not sys.executable:
            return
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
                env={},
            )
            self._owner = os.getpid()
            assert self._process.stdin is not None
            os.set_blocking(self._process.stdin.fileno(), False)
            for group in self._groups:
                os.write(self._process.stdin.fileno(), f"+{group}\n".encode())
        except OSError as error:
            log.warning("should this worker be killed, its programs will go on error=%s", error)


GUARDIAN = Guardian()
atexit.register(GUARDIAN.dismiss)


def _groups_at_the_end(lines: Iterable[str]) -> set[int]:
    """Reads to the end; the groups that were begun and not ended."""
    groups: set[int] = set()
    for line in lines:
        (groups.add if line.startswith("+") else groups.discard)(int(line[1:]))
    return groups


def _kill(groups: set[int]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        for group in groups:
            with contextlib.suppress(OSError):
                os.killpg(group, number)
        if groups and number == signal.SIGTERM:
            time.sleep(TERM_GRACE)


if __name__ == "__main__":
    _kill(_groups_at_the_end(sys.stdin))
