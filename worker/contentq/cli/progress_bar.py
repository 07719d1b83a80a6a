"""A bar on the terminal, for what goes on step by step."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from contentq.cli.output import console


@contextmanager
def progress_bar(label: str, count: Callable[[], int]) -> Iterator[Callable[[int], None]]:
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
