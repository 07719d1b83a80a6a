"""`contentq top`: a live display of the queue."""

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
"""Maximum rows of each kind; a screen rarely has more lines."""

ROWS_ONCE = 20
"""The same with --once, whose output may be longer than a screen."""

CUT_AFTER = 15.0
"""Seconds after which an unresponsive connection is cut; the server should have given up before."""

REST = 4
"""Minimum pause between two polls, as a multiple of the duration of a poll; limits the load on a large queue."""


@click.command()
@click.option(
    "--interval",
    type=click.FloatRange(0.2, 3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two updates.",
)
@click.option("--once", is_flag=True, help="Print one snapshot and exit; the output may be a pipe.")
@json_option
@click.pass_obj
def top(options: GlobalOptions, /, interval: float, once: bool, as_json: bool) -> None:
    """Watch the queue: rates, backlog, progress, workers, gates.

    Rates, and waiting and running times, cover the last minute. An update reads no more rows than the screen
    shows, except that it counts the backlog; with millions of tasks, updates are therefore less frequent than
    --interval. Press q or Ctrl-C to quit, any other key to update at once. The display survives a restart of the
    database. --json prints one snapshot; submitted and completed are counts per second.
    """
    from contentq.database import dsn

    once = once or as_json
    if not once and not console().is_terminal:
        raise click.UsageError("the output is not a terminal; use --once to print one snapshot")
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
    """Polls the queue over one connection; reopens the connection after it is lost."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: psycopg.Connection[TupleRow] | None = None

    def look(self, rows: int) -> Live:
        """Returns the current state. Raises database errors; the next call then opens a new connection."""
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
        """Closes the connection, if it is open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _watch(watcher: _Watcher, first: Live, interval: float) -> None:
    """Draws until the user quits."""
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
            pass  # the usual way to quit
        finally:
            display.stop()


class _Picture:
    """The latest figures, and how long they are outdated."""

    def __init__(self, first: Live, keys: str) -> None:
        self._first = self._latest = first
        self._keys = keys
        self._reason: str | None = None
        self._since = 0.0

    def look(self, watcher: _Watcher) -> bool:
        """Polls once; returns whether it succeeded. Raises errors other than outages."""
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
        """The screen. It is also drawn between polls, with the current size and age of an outage."""
        trouble = None
        if self._reason is not None:
            trouble = Trouble(self._reason, time.monotonic() - self._since)
        return Screen(self._latest, self._first, trouble, self._keys)


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """Yields a function that waits for a key for at most so many seconds; it returns the key, or ''."""
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
        # An empty read means that the terminal is gone.
        return os.read(place, 64).decode(errors="replace")[:1] or "q"

    before = termios.tcgetattr(place)
    tty.setcbreak(place)
    try:
        yield press
    finally:
        termios.tcsetattr(place, termios.TCSADRAIN, before)


@contextmanager
def _sigterm_restores_the_terminal() -> Iterator[None]:
    """Makes SIGTERM exit the program through its cleanup."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
