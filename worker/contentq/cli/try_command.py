"""`contentq try`: runs a handler once on a fake task, without a queue or database."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from contentq.cli.handler_options import handler_options, pop_handler
from contentq.cli.logs import LOG_LEVELS, log_to_stderr
from contentq.cli.output import json_option, print_line
from contentq.cli.verdict import Verdict
from contentq.durations import DURATION
from contentq.failures import EXIT_INTERRUPTED
from contentq.task import SETTABLE

if TYPE_CHECKING:
    from contentq.content import PreviousContent
    from contentq.handlers.loading import Handler
    from contentq.task import Task
    from contentq.testing.fakes import FakeContext, FakeThreadContext

F = TypeVar("F", bound=Callable[..., Any])

STDOUT, STDERR = 1, 2
"""File descriptors, which programs inherit."""

EXIT_NOT_COMPLETED = 1
"""Exit code if the task would not be completed."""

LEAVE_AFTER = 2.0
"""Seconds that a handler has to clean up after Ctrl-C."""

PROGRESS_INTERVAL = 0.2
"""Minimum seconds between two lines of progress."""


def _text_options(command: F) -> F:
    """Adds an option for each text that a producer passes to a handler."""
    for column in reversed(SETTABLE):
        if column.is_claimed and column.is_text and column.option is not None and column.name != "task_id":
            command = click.option(column.option.flag, column.name, help=column.option.help)(command)
    return command


def _object(_context: click.Context, _parameter: click.Parameter, given: str | None) -> dict[str, Any] | None:
    """Parses the JSON object of an option. Raises BadParameter."""
    if given is None:
        return None
    try:
        value = json.loads(given)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise click.BadParameter('not a JSON object; give one such as {"page": 2}')
    return value


@click.command("try")
@handler_options
@_text_options
@click.option(
    "--account",
    "account_id",
    type=int,
    default=1,
    show_default=True,
    metavar="ID",
    help="The account of the task.",
)
@click.option(
    "--priority",
    type=click.IntRange(1, 10),
    default=5,
    show_default=True,
    help="The priority of the task; larger is more urgent.",
)
@click.option("--timeout", type=DURATION, help="Time until the deadline: 90s, 10m, 2h, 1d. Default: no deadline.")
@click.option(
    "--attempt",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="The number of the attempt; the ones before it count as retries.",
)
@click.option(
    "--max-retries", type=click.IntRange(0), default=3, show_default=True, help="Retries after the first attempt."
)
@click.option(
    "--previous-content",
    "previous_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A Markdown file with the content of an earlier attempt: context.previous_content.",
)
@click.option(
    "--previous-error",
    metavar="TEXT",
    help="The error of the previous attempt, or a reviewer's note: context.previous_error.",
)
@click.option(
    "--state",
    callback=_object,
    metavar="JSON",
    help="The state that an earlier attempt stored, a JSON object: context.state.",
)
@click.option(
    "--log-level",
    type=click.Choice(LOG_LEVELS),
    default="info",
    show_default=True,
    help="The lowest level to log.",
)
@json_option
def try_command(previous_file: Path | None, log_level: str, as_json: bool, **given: Any) -> int:
    """Run a handler once on a fake task, and show the outcome.

    Uses no queue and no database: nothing is claimed, stored or retried. Prints what the handler returns, with the
    time it took. If the handler raises an error, prints its effect on the task, with exit code 1. Progress, logs,
    tracebacks and the output of the handler go to standard error.
    """
    with _Stdout() as stdout:
        return _try(pop_handler(given).of(given.get("category")), previous_file, log_level, as_json, stdout, given)


def _try(
    handler: Handler,
    previous_file: Path | None,
    log_level: str,
    as_json: bool,
    stdout: _Stdout,
    given: dict[str, Any],
) -> int:
    from contentq.testing.fakes import make_task, previous_content_of
    from contentq.testing.trial import run_trial

    previous = None if previous_file is None else previous_content_of(_text_of(previous_file))
    if previous is not None:
        given |= {"content_id": previous.id, "revision_note": given["previous_error"]}
    task = make_task(**given)
    log_to_stderr(log_level)
    handler.introduce()
    progress = _ProgressLines()

    async def attempt() -> int:
        context = _context(handler, task, previous, progress)
        trial = await run_trial(handler, context)
        progress.flush()
        verdict = Verdict(task, trial, context.checked)
        with stdout.ours():
            if as_json:
                verdict.print_as_json()
            else:
                verdict.print()
        code = 0 if verdict.is_completed else EXIT_NOT_COMPLETED
        if trial.goes_on:
            _leave(code)
        return code

    return _run(attempt)


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise click.UsageError(f"{file} is not UTF-8") from None


def _context(
    handler: Handler, task: Task, previous: PreviousContent | None, progress: _ProgressLines
) -> FakeContext | FakeThreadContext:
    from contentq.testing.fakes import FakeContext, FakeThreadContext

    kind = FakeContext if handler.is_async else FakeThreadContext
    return kind(task, previous, progress=progress)


def _run(attempt: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Runs the attempt on an event loop. A handler that blocks cannot prevent the exit, also after Ctrl-C."""
    others = set(threading.enumerate())
    exits: list[threading.Timer] = []

    def exit_soon(code: int) -> None:
        exits.append(threading.Timer(LEAVE_AFTER, _leave, [code]))
        exits[-1].daemon = True
        exits[-1].start()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if exits:
            _leave(EXIT_INTERRUPTED)
        exit_soon(EXIT_INTERRUPTED)
        raise KeyboardInterrupt

    async def main() -> int:
        _wake_regularly(asyncio.get_running_loop())
        code = await attempt()
        # Closing the loop waits for threads that the handler may have left in it.
        exit_soon(code)
        return code

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupt)
    try:
        return asyncio.run(main())
    except KeyboardInterrupt:
        if set(threading.enumerate()) - others - set(exits):
            _leave(EXIT_INTERRUPTED)
        raise
    finally:
        signal.signal(signal.SIGINT, before)
        left = [each for each in threading.enumerate() if each not in others and not each.daemon]
        for each in exits if not left else ():
            each.cancel()


def _wake_regularly(loop: asyncio.AbstractEventLoop) -> None:
    """Wakes the event loop: a signal that arrives just before the loop begins to wait, or in another thread, does
    not end that wait, and Python calls its handler only after it.
    """
    loop.call_later(0.1, _wake_regularly, loop)


def _leave(code: int) -> None:
    """Exits without waiting for a handler that is still running."""
    if code == EXIT_INTERRUPTED:
        print_line("interrupted", err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class _Stdout:
    """Standard output, reserved for this command. Output of the handler, and of programs that it starts, goes to
    standard error."""

    def __enter__(self) -> _Stdout:
        self._stream = sys.stdout
        self._stream.flush()
        self._saved = os.dup(STDOUT)
        self._divert()
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()
        os.close(self._saved)

    @contextmanager
    def ours(self) -> Iterator[None]:
        """Restores standard output while the command prints."""
        self._restore()
        try:
            yield
        finally:
            self._stream.flush()
            self._divert()

    def _divert(self) -> None:
        sys.stdout = sys.stderr
        os.dup2(STDERR, STDOUT)

    def _restore(self) -> None:
        self._stream.flush()  # a handler may have written to sys.__stdout__
        os.dup2(self._saved, STDOUT)
        sys.stdout = self._stream


class _ProgressLines:
    """Prints progress on standard error at intervals; always prints the first and the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: tuple[float | None, str | None] = (None, None)
        self._shown: tuple[float | None, str | None] = (None, None)
        self._next = 0.0

    def __call__(self, fraction: float | None, note: str | None) -> None:
        """Reports progress as a worker would record it; None keeps the value before."""
        from contentq.engine.progress import clean

        share, said = clean(fraction, note)
        with self._lock:
            self._now = (
                self._now[0] if share is None else share,
                self._now[1] if said is None else said,
            )
            if time.monotonic() >= self._next:
                self._show()

    def flush(self) -> None:
        """Prints progress that was held back."""
        with self._lock:
            self._show()

    def _show(self) -> None:
        if self._now == self._shown:
            return
        fraction, note = self._shown = self._now
        parts = ["" if fraction is None else f"{fraction:.0%}", note or ""]
        print_line(f"progress: {' '.join(filter(None, parts))}", err=True)
        self._next = time.monotonic() + PROGRESS_INTERVAL
