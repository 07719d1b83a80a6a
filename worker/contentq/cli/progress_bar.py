"""A progress bar on the terminal for work that is done in steps."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from contentq.cli.output import console, print_line


def run_steps(label: str, count: Callable[[], int], steps: Iterable[int], describe: Callable[[int], str]) -> int:
    """Runs all steps under a progress bar; returns the sum of the numbers that they yield.

    count: returns the total; called only on a terminal. describe: formats what was done so far, for the message
    after an interruption.
    """
    done = 0
    try:
        with _progress_bar(label, count) as advance:
            for step in steps:
                done += step
                advance(done)
    except BaseException:
        if done:
            print_line(f"{describe(done)}, so far", err=True)
        raise
    return done


@contextmanager
def _progress_bar(label: str, count: Callable[[], int]) -> Iterator[Callable[[int], None]]:
    """Shows a bar with count() as its total; yields the function that updates the number done.

    Without a terminal it shows no bar and does not call count.
    """
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    total = count()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(err=True), transient=True) as progress:
        bar = progress.add_task(label, total=total)
        yield lambda done: progress.update(bar, completed=done, total=max(total, done))
