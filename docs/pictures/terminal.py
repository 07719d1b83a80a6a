"""Draws terminal.svg for README.md: a task from INSERT to article in two terminals, recorded from a real run.

    python docs/pictures/terminal.py

It starts a database of its own in a temporary folder, a worker, and psql in a terminal (Linux, macOS). The picture
loads nothing from elsewhere. Lines appear one after the other, unless the reader prefers reduced motion.
"""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path

import psycopg
from embedded import server

COLUMNS = 116
PROMPT = r"contentq[=-]# "
WITHIN = 30
"""Seconds for each command."""

STATEMENTS = [
    "INSERT INTO accounts (name) VALUES ('My blog');",
    "INSERT INTO content_generation_tasks (account_id, topic)\n"
    "SELECT id, 'Why the sky is blue' FROM accounts WHERE name = 'My blog';",
    "SELECT status, started_at - submitted_at AS waited, completed_at - started_at AS ran, content_id\n"
    "FROM content_generation_tasks;",
    "SELECT body FROM contents \\g (format=unaligned tuples_only=on) | head -3",
]
SUBMITTED = 1
"""The statement after which the worker has something to do."""


@dataclass(frozen=True)
class Piece:
    """What one terminal showed between two keystrokes of the other."""

    terminal: str
    text: str


def main() -> None:
    """Writes the picture beside this program."""
    path = Path(__file__).with_suffix(".svg")
    path.write_text(draw(record()), encoding="utf-8")
    sys.stdout.write(f"wrote {path}\n")


def record() -> list[Piece]:
    """Runs the commands; returns what the terminals showed, in order."""
    with server() as environment:
        contentq = [sys.executable, "-m", "contentq"]
        pieces = []
        with (
            _terminal([*contentq, "worker"], environment) as worker,
            _terminal([*contentq, "db", "psql", "-X", "--no-readline"], environment) as psql,
        ):
            pieces.append(Piece("worker", "$ contentq worker\n" + worker.read(r"registered .*\n")))
            pieces.append(Piece("psql", "$ contentq db psql\n" + psql.read(PROMPT)))
            for number, statement in enumerate(STATEMENTS):
                for line in statement.splitlines():
                    psql.write(line + "\n")
                    pieces.append(Piece("psql", psql.read(PROMPT)))
                if number == SUBMITTED:
                    pieces.append(Piece("worker", worker.read(r"claimed=1.*\n")))
                    _wait_for_the_answer(environment["DATABASE_URL"])
        return pieces


def _wait_for_the_answer(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        while not connection.execute("SELECT FROM contents").fetchall():
            time.sleep(0.05)


@dataclass
class _Terminal:
    descriptor: int

    def write(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    def read(self, until: str) -> str:
        """What is shown up to a pattern that ends it."""
        shown, deadline = b"", time.monotonic() + WITHIN
        while time.monotonic() < deadline:
            if select.select([self.descriptor], [], [], 0.1)[0]:
                shown += os.read(self.descriptor, 65536)
            text = shown.decode(errors="ignore").replace("\r", "")
            if re.search(rf"{until}\Z", text):
                return text
        raise TimeoutError(f"no {until!r} in {shown!r}")


@contextmanager
def _terminal(command: list[str], environment: dict[str, str]) -> Iterator[_Terminal]:
    """Runs a command in a terminal, wide enough that nothing is wrapped."""
    master, slave = pty.openpty()
    environment = {**environment, "PAGER": "cat", "PSQL_PAGER": "cat", "TERM": "dumb", "NO_COLOR": "1"}
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
    )
    os.close(slave)
    try:
        yield _Terminal(master)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(WITHIN)
        os.close(master)


CELL, LINE, MARGIN, BAR = 7.25, 17, 16, 30
"""Pixels: the width of a character, the height of a line, the margin, and the height of a title bar."""

TITLES = {"psql": "Terminal 1: a producer", "worker": "Terminal 2: a worker"}

STYLE = """\
text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre; }
.title { font-family: system-ui, sans-serif; fill: #8b98a9; }
.typed { fill: #ffffff; font-weight: 600; }
.shown { fill: #b9c4d2; }
.prompt { fill: #6cc3a0; font-weight: 400; }
@keyframes appear { from { opacity: 0; } }
@media (prefers-reduced-motion: no-preference) { .later { animation: appear 0.2s backwards; } }"""

_TYPED = re.compile(rf"(\$ |{PROMPT})(.*)")


def draw(pieces: list[Piece]) -> str:
    """The picture: a window for each terminal, one below the other."""
    width = round(COLUMNS * CELL) + 2 * MARGIN
    parts, top = [], 0
    lines = _timed(pieces)
    for terminal, title in TITLES.items():
        own = [(text, second) for name, text, second in lines if name == terminal]
        height = BAR + len(own) * LINE + 12
        parts.append(f'<rect y="{top}" width="{width}" height="{height}" rx="8" fill="#161b22" stroke="#444c56"/>')
        parts.append(f'<text class="title" x="{MARGIN}" y="{top + 20}">{title}</text>')
        for row, (text, second) in enumerate(own):
            parts.append(_line(text, second, top + BAR + 12 + row * LINE))
        top += height + 10
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 -1 {width + 2} {top - 8}" width="{width + 2}">',
            "<title>A task from INSERT to article: psql in one terminal, a worker in another</title>",
            f"<style>\n{STYLE}\n</style>",
            *parts,
            "</svg>\n",
        ]
    )


def _timed(pieces: list[Piece]) -> list[tuple[str, str, float]]:
    """The lines, each with its terminal and the second at which it appears."""
    second, lines = 0.3, []
    unfinished = dict.fromkeys(TITLES, "")
    for piece in pieces:
        *whole, unfinished[piece.terminal] = (unfinished[piece.terminal] + piece.text).split("\n")
        for line in whole:
            second += 0.6 if _TYPED.match(line) else 0.05
            lines += [(piece.terminal, part, second) for part in _wrapped(line)]
        second += 0.2
    return lines


def _wrapped(line: str) -> list[str]:
    line = line.rstrip()
    return [line[start : start + COLUMNS] for start in range(0, len(line), COLUMNS)] or [""]


def _line(text: str, second: float, y: int) -> str:
    typed = _TYPED.match(text)
    inside = (
        f'<tspan class="prompt">{escape(typed[1])}</tspan>{escape(typed[2])}'
        if typed
        else escape(text, quote=False)
    )
    kind = "typed" if typed else "shown"
    return (
        f'<text class="{kind} later" x="{MARGIN}" y="{y}" xml:space="preserve" '
        f'style="animation-delay: {second:.2f}s">{inside}</text>'
    )


if __name__ == "__main__":
    main()
