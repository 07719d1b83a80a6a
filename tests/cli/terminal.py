"""A pseudo-terminal for output that is shown only on terminals."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from functools import partial

from tests.support.forked import CONTENTQ

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

_HOME = "\x1b[H"
"""The sequence that a program sends before it redraws the screen."""


class Display:
    """A program that redraws the whole screen of a terminal repeatedly."""

    def __init__(self, *arguments: str, columns: int = 80, lines: int = 24, **environment: str) -> None:
        self._ours, theirs = pty.openpty()
        self._lines = lines
        self.resize(columns, lines)
        self._settings = termios.tcgetattr(theirs)
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self.process = CONTENTQ.start(
            *arguments,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**inherited, "TERM": "xterm", **environment},
            start_new_session=True,
        )
        # Kept open here, so that output can be read after the program has ended.
        self._theirs = theirs
        self._written = b""

    def resize(self, columns: int, lines: int) -> None:
        """Resizes the terminal."""
        self._lines = lines
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def picture(self) -> list[str]:
        """The lines of the latest complete screen; empty before the first."""
        screens = self.written().split(_HOME)[1:]
        complete = [_ESCAPES.sub("", screen).replace("\r\n", "\n").split("\n") for screen in screens]
        return next((lines for lines in reversed(complete) if len(lines) == self._lines), [])

    def written(self) -> str:
        """All output of the program."""
        while select.select([self._ours], [], [], 0)[0]:
            self._written += os.read(self._ours, 65536)
        return self._written.decode(errors="ignore")

    def press(self, key: str) -> None:
        """Types a key."""
        os.write(self._ours, key.encode())

    def end(self) -> int:
        """Waits until the program ends; returns its exit code."""
        deadline = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < deadline:
            self.written()
            time.sleep(0.01)
        return self.process.wait(0)

    def is_restored(self) -> bool:
        """Whether the terminal has its previous settings and content."""
        written = self.written()
        return (
            termios.tcgetattr(self._theirs) == self._settings
            and written.count("\x1b[?1049h") == written.count("\x1b[?1049l") == 1
            and written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")
        )

    def close(self) -> None:
        """Stops the program if it still runs."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)


def on_terminal(*arguments: str, columns: int = 80, typed: str = "", **environment: str) -> tuple[int, str]:
    """Runs contentq on a terminal; returns its exit code and its output without colours."""
    return _on_terminal(partial(CONTENTQ.start, *arguments), columns, typed, environment)


def program_on_terminal(
    command: list[str], columns: int = 80, typed: str = "", **environment: str
) -> tuple[int, str]:
    """Runs a program on a terminal; returns its exit code and its output without colours."""
    return _on_terminal(lambda **options: subprocess.Popen(command, **options), columns, typed, environment)


def _on_terminal(
    start: Callable[..., subprocess.Popen[bytes]], columns: int, typed: str, environment: dict[str, str]
) -> tuple[int, str]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = start(
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**inherited, "TERM": "xterm", **environment},
        start_new_session=True,
    )
    os.close(theirs)
    os.write(ours, typed.encode())
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:
        # Linux's error when the other end is closed.
        pass
    finally:
        os.close(ours)
    return process.wait(30), _ESCAPES.sub("", shown.decode()).replace("\r\n", "\n")
