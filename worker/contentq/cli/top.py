"""`contentq top`: the queue as it is now, drawn again and again."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from contentq.cli.output import console, json_option, print_json
from contentq.cli.top_screen import Screen, Trouble
from contentq.failures import explain_error

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

    from contentq.cli.main import GlobalOptions
    from contentq.queue.live import Live

ROWS = 50
"""Rows of a kind that are read: a screen rarely has more lines."""

ROWS_ONCE = 20
"""The same with --once, which is not bound to a screen."""

CUT_AFTER = 15.0
"""Seconds after which a connection is cut that has not answered; its server should have given up before."""

REST = 4
"""A display of a large queue rests so many times as long as it has looked, and so is a small part of the load."""


@click.command()
@click.option(
    "--interval",
    type=click.FloatRange(0.2, 3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look.",
)
@click.option("--once", is_flag=True, help="Print one picture, and end; also into a pipe.")
@json_option
@click.pass_obj
def top(options: GlobalOptions, /, interval: float, once: bool, as_json: bool) -> None:
    """Watch the queue: rates, backlog, progress, workers, gates.

    Rates, and how long tasks waited and ran, are of the last minute. What is read is bounded by the screen, except
    for the backlog, which is counted: with millions of tasks it looks less often than --interval says. Press q or
    Ctrl-C to end it, any other key to look at once. It outlives a restart of the database. --json prints the
    figures of one moment; submitted and completed are by second.
    """
    from contentq.database import dsn

    once = once or as_json
    if not once and not console().is_terminal:
        raise click.UsageError("the output is not a terminal; --once prints one picture")
    watcher = _Watcher(dsn.resolve(options.dsn))
    try:
        first = watcher.look(ROWS_ONCE if once else ROWS)
        if as_json:
            print_json(asdict(first))
        elif once:
            console().print(Screen(first, first))
        else:
            _watch(watcher, first, interval)
    finally:
        watcher.close()


class _Watcher:
    """Looks at the queue, over one connection that is opened again when it was lost."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: psycopg.Connection[TupleRow] | None = None

    def look(self, rows: int) -> Live:
        """The state now. Raises the error of the database; the next look opens a new connection then."""
        from contentq.database.connect import connect, cut
        from contentq.database.revisions import require_head
        from contentq.queue import live

        try:
            if self._connection is None:
                self._connection = connect(self._dsn, "contentq top")
                require_head(self._connection)
            watchdog = threading.Timer(CUT_AFTER, cut, [self._connection])
            watchdog.start()
            try:
                return live.look(self._connection, rows)
            finally:
                watchdog.cancel()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _watch(watcher: _Watcher, first: Live, interval: float) -> None:
    """Draws until the user has seen enough."""
    from rich.live import Live as Display

    with _keys() as pressed, _sigterm_restores_the_terminal():
        picture = _Picture(first, "q quits" if sys.stdin.isatty() else "")
        display = Display(picture, console=console(), screen=True, refresh_per_second=2)
        rest = interval
        try:
            display.start()
            while pressed(rest) not in ("q", "Q"):
                began = time.monotonic()
                rest = interval
                if picture.look(watcher):
                    rest = max(interval, REST * (time.monotonic() - began))
                display.refresh()
        except KeyboardInterrupt:
            pass  # the usual way to end it
        finally:
            display.stop()


class _Picture:
    """The latest figures, and since when there are no newer ones."""

    def __init__(self, first: Live, keys: str) -> None:
        self._first = self._latest = first
        self._keys = keys
        self._reason: str | None = None
        self._since = 0.0

    def look(self, watcher: _Watcher) -> bool:
        """Looks once more, and returns whether it has seen anything. Raises what will not pass by itself."""
        from contentq.engine.database_errors import is_outage

        try:
            self._latest = watcher.look(ROWS)
            self._reason = None
            return True
        except Exception as error:
            if not is_outage(error):
                raise
            if self._reason is None:
                self._since = time.monotonic()
            found = explain_error(error)
            self._reason = str(error) if found is None else found[0]
            return False

    def __rich__(self) -> Screen:
        """The screen, also between two looks: its size, and the age of a trouble, are those of now."""
        trouble = None
        if self._reason is not None:
            trouble = Trouble(self._reason, time.monotonic() - self._since)
        return Screen(self._latest, self._first, trouble, self._keys)


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """A function that waits for a key, so many seconds at most; it returns the key, or nothing."""
    if not sys.stdin.isatty():

        def wait(seconds: float) -> str:
            time.sleep(seconds)
            return ""

        yield wait
        return
    place = sys.stdin.fileno()

    def press(seconds: float) -> str:
        ready, _, _ = select.select([place], [], [], seconds)
        if not ready:
            return ""
        # Nothing to read: the terminal is gone.
        return os.read(place, 64).decode(errors="replace")[:1] or "q"

    before = termios.tcgetattr(place)
    tty.setcbreak(place)
    try:
        yield press
    finally:
        termios.tcsetattr(place, termios.TCSADRAIN, before)


@contextmanager
def _sigterm_restores_the_terminal() -> Iterator[None]:
    """SIGTERM ends the program as usual, but by way of all that is to be cleaned up."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
