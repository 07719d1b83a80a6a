"""Whether processes are alive that no one waits for: each holds a pipe open, which the kernel closes for it."""

from __future__ import annotations

import os
from pathlib import Path


class Trace:
    """A named pipe that processes open for writing, and their children inherit, as with `exec 9> "$path"`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def is_held(self) -> bool:
        """Whether a process holds it now."""
        try:
            while os.read(self._reading, 4096):
                pass
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        """Looks no more."""
        os.close(self._reading)
