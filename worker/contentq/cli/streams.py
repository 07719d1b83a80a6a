"""Standard output and standard error that are closed, full, or not read: a sentence or silence, no traceback."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from contentq.cli.output import print_message, print_text
from contentq.errors import AnswerLost, ContentQueueError


def open_standard_streams() -> None:
    """Puts something in the place of standard streams that are closed.

    Otherwise the next file or connection that is opened would take their number, and get what is meant for them.
    Whatever is written to standard output then fails; what is written to standard error is dropped.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, flags), number)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def abandon_output() -> None:
    """Drops what cannot be written any more, so that the interpreter does not try again as it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def print_error(text: str, *, of_several_lines: bool = False) -> None:
    """Prints to standard error, if that can be. of_several_lines: not one message, whose lines are indented."""
    with suppress(OSError):
        (print_text if of_several_lines else print_message)(text, err=True)


def check_output(undone: str) -> None:
    """Raises ContentQueueError when standard output is closed. undone: what was therefore not done, a sentence."""
    try:
        flags = fcntl.fcntl(sys.stdout.fileno(), fcntl.F_GETFL)
    except (OSError, ValueError):  # a stream that is no file
        return
    if flags & os.O_ACCMODE == os.O_RDONLY:
        raise ContentQueueError(f"standard output is closed, and would have to take the answer: {undone}")


@contextmanager
def answering(done: str) -> Iterator[None]:
    """Around the output of a command that must not be run again. done: what it has done, a sentence.

    Raises AnswerLost when the output cannot be written. That nobody reads it any more is no error.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (OSError, UnicodeEncodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "the locale lacks some of its characters"
        raise AnswerLost(f"{done}, but the output could not be written: {why}; do not submit again") from None
