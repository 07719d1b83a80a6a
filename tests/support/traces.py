"""Detects whether processes that nobody waits for still live: each has a pipe open, which the kernel closes."""

from __future__ import annotations

import os
from pathlib import Path


class Trace:
    """A named pipe that processes open for writing and their children inherit, as with `exec 9> "$path"`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def is_held(self) -> bool:
        """Whether a process still has it open."""
        try:
            while os.read(self._reading, 4096):
                pass
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        """Closes the reading end."""
        os.close(self._reading)
