"""Operations on all tasks that options select: a dry run, or the change in steps."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from contentq.cli.output import count_of, json_option, print_json, print_line, print_table
from contentq.cli.progress_bar import run_steps
from contentq.cli.selectors import GivenSelector, selector_options
from contentq.cli.session import open_session

if TYPE_CHECKING:
    from contentq.queue.reading import Connection
    from contentq.queue.selectors import Operation, Selector

F = TypeVar("F", bound=Callable[..., Any])

_DONE: dict[Operation, tuple[str, str]] = {
    "requeue": ("is pending again", "are pending again"),
    "cancel": ("is cancelled or being stopped by its worker", "are cancelled or being stopped by their workers"),
    "delete": ("is deleted", "are deleted"),
}
"""The result for one task, and for several."""


@dataclass(frozen=True)
class Given:
    """The tasks that a command acts on: those named, or those that the options select. everything: --all."""

    task_ids: tuple[str, ...]
    selector: GivenSelector
    everything: bool
    dry_run: bool

    @property
    def is_selection(self) -> bool:
        """Whether options select the tasks. Raises UsageError if the choice is empty or ambiguous."""
        selects = self.everything or not self.selector.is_empty
        if self.everything and not self.selector.is_empty:
            raise click.UsageError("--all cannot be combined with options that select tasks")
        if self.task_ids and (selects or self.dry_run):
            raise click.UsageError("give either task ids or options that select tasks, not both")
        if not self.task_ids and not selects:
            raise click.UsageError(
                "no tasks given: name task ids, or select tasks with options such as --status, --batch or --all"
            )
        return selects


def task_arguments(command: F) -> F:
    """Adds TASK_ID... and the options that select tasks; passes them to the command as given, with as_json."""

    @functools.wraps(command)
    def collected(*arguments: Any, **options: Any) -> Any:
        given = Given(*(options.pop(name) for name in ("task_ids", "selector", "everything", "dry_run")))
        return command(*arguments, given=given, **options)

    decorated: Any = json_option(collected)
    decorated = click.option("--dry-run", is_flag=True, help="Show the selected tasks and change nothing.")(
        decorated
    )
    decorated = click.option("--all", "everything", is_flag=True, help="Select all tasks that can be changed.")(
        decorated
    )
    decorated = selector_options()(decorated)
    return click.argument("task_ids", nargs=-1, metavar="[TASK_ID]...")(decorated)  # type: ignore[no-any-return]


def change_selected(
    ctx: click.Context, operation: Operation, given: Given, as_json: bool, note: str | None = None
) -> None:
    """Changes all selected tasks, or shows them; exit code 1 if other sessions have locked some of them.

    note: only for requeue.
    """
    from contentq.queue import selectors

    with open_session(ctx.obj) as connection:
        selector = selectors.EVERYTHING if given.everything else given.selector.resolve(connection)
        selectors.check(connection, operation, selector)
        if given.dry_run:
            _show(connection, operation, selector, as_json)
            return
        locked = 0

        def steps() -> Iterator[int]:
            nonlocal locked
            for step in selectors.change(connection, operation, selector, note):
                locked += step.locked
                yield step.tasks

        changed = run_steps(
            operation,
            lambda: _count(connection, operation, selector),
            steps(),
            lambda number: _describe_done(operation, number),
        )
    if as_json:
        print_json({"changed": changed, "locked": locked})
    else:
        print_line(_describe_done(operation, changed))
    if locked:
        if not as_json:
            left = f"{count_of(locked, 'task')} locked by another session"
            print_line(
                f"Error: {left} and not changed; run the command again when that session has ended", err=True
            )
        ctx.exit(1)


def _show(connection: Connection, operation: Operation, selector: Selector, as_json: bool) -> None:
    from contentq.queue import selectors

    counts = selectors.count(connection, selector, operation)
    examples = selectors.examples(connection, selector, operation)
    if as_json:
        print_json({"would_change": sum(counts.values()), "by_status": counts, "examples": examples})
        return
    print_line(f"would {operation} {count_of(sum(counts.values()), 'task')}")
    if counts:
        print_line()
        print_table(None, [{"status": status, "tasks": tasks} for status, tasks in counts.items()], "")
        print_line()
        rows = [
            {name: row[name] for name in ("task_id", "account_id", "status", "topic", "error")} for row in examples
        ]
        print_table("for example", rows, "", give_way=["topic", "error"])


def _count(connection: Connection, operation: Operation, selector: Selector) -> int:
    from contentq.queue import selectors

    return sum(selectors.count(connection, selector, operation).values())


def _describe_done(operation: Operation, tasks: int) -> str:
    return f"{count_of(tasks, 'task')} {_DONE[operation][tasks != 1]}"
