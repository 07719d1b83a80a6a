"""Kills the programs of a worker that was itself killed, and processes that programs leave in other sessions.

A worker that gets SIGKILL cannot end its programs. Therefore it starts a small helper process with its first
program, and sends it each process group that begins or ends. The helper waits for the end of its standard input, a
pipe that only the worker holds: the kernel closes it however the worker ends. The helper then sends SIGTERM to the
remaining groups, and SIGKILL later. A program started in the last milliseconds may survive, because the helper
does not know it yet.

A process that creates its own session (setsid) is in no known group. On Linux, the helper finds it by an inherited
environment variable, MARK: after a program has ended, all processes with its mark are killed. A process that also
clears its environment, or belongs to another user, is not found.

This file contains both sides: the worker's, and the program of the helper process.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection

log = logging.getLogger("contentq.handlers.command")

TERM_GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL."""

MARK = "CONTENTQ_PROGRAM"
"""The environment variable that marks the processes of a program; its value is unique to the program."""

SEARCH_INTERVAL = 0.5
"""Minimum seconds between two searches, because each reads all processes of the machine."""

SEARCHES = 4
"""Number of searches for the rest of a program, because a search may miss a process that is being forked."""


class Guardian:
    """The worker's side; one for each process, safe to use from several threads. No method raises."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: dict[int, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def watch(self, group: int, mark: str = "") -> None:
        """Adds a process group; it, and all processes with this mark, end with the worker."""
        with self._lock:
            self._groups[group] = mark
            self._tell(f"+{group} {mark}\n")

    def forget(self, group: int) -> None:
        """Removes a process group that has ended; the processes with its mark end now."""
        with self._lock:
            self._groups.pop(group, None)
            self._tell(f"-{group}\n")

    def dismiss(self) -> None:
        """Lets the helper exit when this process exits normally; it still ends the remaining processes."""
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
        """Starts the helper, and sends it all current groups."""
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
            for group, mark in self._groups.items():
                os.write(self._process.stdin.fileno(), f"+{group} {mark}\n".encode())
        except OSError as error:
            log.warning("if this worker is killed, its programs keep running error=%s", error)


GUARDIAN = Guardian()
atexit.register(GUARDIAN.dismiss)


class Watch:
    """The state of the helper: the marks of the current groups, and of the ended ones."""

    def __init__(self) -> None:
        self.groups: dict[int, str] = {}
        self.ended: dict[str, int] = {}
        self._begun = b""

    def hear(self, data: bytes) -> None:
        """Handles a message of the worker."""
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            group, _, mark = line[1:].decode().partition(" ")
            if line.startswith(b"+"):
                self.groups[int(group)] = mark
            elif (gone := self.groups.pop(int(group), "")) != "":
                self.ended[gone] = 0

    def search(self) -> None:
        """Kills the remaining visible processes of ended programs."""
        for pid in _marked(self.ended):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self.ended = {mark: made + 1 for mark, made in self.ended.items() if made + 1 < SEARCHES}


def _marked(marks: Collection[str]) -> list[int]:
    """The processes that have one of these marks; empty if there is no /proc."""
    found: list[int] = []
    names = os.listdir("/proc") if marks and os.path.isdir("/proc") else []
    for name in names:
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                environment = file.read()
        except OSError:  # it has ended, or belongs to another user
            continue
        _, is_there, after = (b"\0" + environment).partition(f"\0{MARK}=".encode())
        mark = after.partition(b"\0")[0].decode("utf-8", "replace")
        if is_there and mark in marks:
            found.append(int(name))
    return found


def _kill(watch: Watch) -> None:
    """Ends all known groups and marked processes."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for group in watch.groups:
            with contextlib.suppress(OSError):
                os.killpg(group, number)
        if watch.groups and number == signal.SIGTERM:
            time.sleep(TERM_GRACE)
    watch.ended |= dict.fromkeys(filter(None, watch.groups.values()), 0)
    while watch.ended:
        watch.search()
        time.sleep(0.05)


def _main() -> None:
    """Runs until the worker has ended."""
    watch, next_search = Watch(), 0.0
    while True:
        ready = select.select([0], [], [], max(0.0, next_search - time.monotonic()) if watch.ended else None)[0]
        if ready:
            data = os.read(0, 65_536)
            if not data:
                return _kill(watch)
            watch.hear(data)
        if watch.ended and time.monotonic() >= next_search:
            watch.search()
            next_search = time.monotonic() + SEARCH_INTERVAL


if __name__ == "__main__":
    _main()
