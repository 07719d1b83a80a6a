"""A pseudo-terminal, since some things are shown only to people."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Callable
from functools import partial

from tests.support.forked import CONTENTQ

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(*arguments: str, columns: int = 80, typed: str = "", **environment: str) -> tuple[int, str]:
    """Runs contentq on a terminal; returns its exit code and what it showed, without colours."""
    return _on_terminal(partial(CONTENTQ.start, *arguments), columns, typed, environment)


def program_on_terminal(
    command: list[str], columns: int = 80, typed: str = "", **environment: str
) -> tuple[int, str]:
    """Runs a program on a terminal; returns its exit code and what it showed, without colours."""
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
        # What Linux says when the other end is closed.
        pass
    finally:
        os.close(ours)
    return process.wait(30), _ESCAPES.sub("", shown.decode()).replace("\r\n", "\n")
