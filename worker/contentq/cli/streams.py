"""Handles standard streams that are closed, full or not read, without a traceback."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from contentq.cli.output import print_message, print_text
from contentq.errors import AnswerLost, ContentQueueError


def open_standard_streams() -> None:
    """Replaces closed standard streams.

    Otherwise the next file or connection that is opened would get their number and receive their data. Writes to
    a replaced standard output then fail; writes to a replaced standard error are dropped.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, flags), number)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - open as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def abandon_output() -> None:
    """Drops output that cannot be written, so that the interpreter does not try again when it exits."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def print_error(text: str, *, of_several_lines: bool = False) -> None:
    """Prints to standard error and ignores failures.

    of_several_lines: the text is not one message; its lines are not indented.
    """
    with suppress(OSError):
        (print_text if of_several_lines else print_message)(text, err=True)


def check_output(undone: str) -> None:
    """Raises ContentQueueError if standard output is closed. undone: a clause on what was therefore not done."""
    try:
        flags = fcntl.fcntl(sys.stdout.fileno(), fcntl.F_GETFL)
    except (OSError, ValueError):  # a stream without a file descriptor
        return
    if flags & os.O_ACCMODE == os.O_RDONLY:
        raise ContentQueueError(f"standard output is closed and cannot show the result: {undone}")


@contextmanager
def answering(done: str) -> Iterator[None]:
    """Wraps the output of a command that must not be run again. done: a clause on what the command has done.

    Raises AnswerLost if the output cannot be written. A closed pipe is not an error.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (OSError, UnicodeEncodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "the locale lacks some of its characters"
        raise AnswerLost(f"{done}, but the output could not be written: {why}; do not submit again") from None
