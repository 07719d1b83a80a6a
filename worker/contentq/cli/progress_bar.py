"""A bar on the terminal, for what goes on step by step."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from contentq.cli.output import console, print_line


def go_through(label: str, count: Callable[[], int], steps: Iterable[int], told: Callable[[int], str]) -> int:
    """Takes each step, under a bar; returns the sum of what they say that they did.

    count: of all that there is; not asked without a terminal. told: says in words what was done, should it be
    interrupted.
    """
    done = 0
    try:
        with _progress_bar(label, count) as advance:
            for step in steps:
                done += step
                advance(done)
    except BaseException:
        if done:
            print_line(f"{told(done)}, so far", err=True)
        raise
    return done


@contextmanager
def _progress_bar(label: str, count: Callable[[], int]) -> Iterator[Callable[[int], None]]:
    """Shows a bar over what count() says that there is; gives the function that takes how much is done.

    Without a terminal there is no bar, and nothing is counted.
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
