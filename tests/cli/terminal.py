"""A pseudo-terminal, since some things are shown only to people."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(*arguments: str, columns: int = 80, typed: str = "", **environment: str) -> tuple[int, str]:
    """Runs contentq on a terminal; returns its exit code and what it showed, without colours."""
    command = [sys.executable, "-m", "contentq", *arguments]
    return program_on_terminal(command, columns=columns, typed=typed, **environment)


def program_on_terminal(
    command: list[str], columns: int = 80, typed: str = "", **environment: str
) -> tuple[int, str]:
    """Runs a program on a terminal; returns its exit code and what it showed, without colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        command,
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
        # What Linux says when the other end is closed.
        pass
    finally:
        os.close(ours)
    return process.wait(30), _ESCAPES.sub("", shown.decode()).replace("\r\n", "\n")
