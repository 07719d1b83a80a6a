"""The options that select tasks, and the parameter type of their times."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from contentq.cli.empty import not_empty
from contentq.durations import DURATION
from contentq.task import LARGEST_ID, STATUSES

if TYPE_CHECKING:
    from contentq.queue.reading import Connection
    from contentq.queue.selectors import Selector

    _MomentType = click.ParamType[datetime | timedelta]
else:
    _MomentType = click.ParamType

F = TypeVar("F", bound=Callable[..., Any])


class Moment(_MomentType):
    """A click parameter type: a time, or a duration before now. A time without a zone is local."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime | timedelta:
        """Parses the text."""
        if isinstance(value, datetime | timedelta):
            return value
        if value[-1:] in {"s", "m", "h", "d"}:
            return DURATION.convert(value, param, ctx)
        try:
            return datetime.fromisoformat(value).astimezone()
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is neither a time nor a duration; use for example 2030-01-31, "
                "2030-01-31T12:00:00+00:00, or 2h for two hours ago",
                param,
                ctx,
            )


MOMENT = Moment()


def time_of(connection: Connection, moment: datetime | timedelta | None) -> datetime | None:
    """Resolves a duration to a time by the database's clock."""
    from contentq.queue.inspection import now

    return now(connection) - moment if isinstance(moment, timedelta) else moment


@dataclass(frozen=True)
class GivenSelector:
    """The options as given: accounts by any name, times also as durations."""

    status: str | None = None
    account: str | None = None
    category: str | None = None
    batch: str | None = None
    since: datetime | timedelta | None = None
    until: datetime | timedelta | None = None
    error: str | None = None
    worker: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no option was given."""
        return self == GivenSelector()

    def resolve(self, connection: Connection) -> Selector:
        """The selector, its times by the database's clock. Raises ContentQueueError for an unknown account."""
        from contentq.queue.accounts import find_account
        from contentq.queue.selectors import Selector

        return Selector(
            status=self.status,
            account_id=None if self.account is None else find_account(connection, self.account),
            category=self.category,
            batch=self.batch,
            since=time_of(connection, self.since),
            until=time_of(connection, self.until),
            error=self.error,
            worker_id=self.worker,
        )


_OPTIONS: dict[str, Callable[[F], F]] = {
    "status": click.option("--status", type=click.Choice(STATUSES), help="Only tasks with this status."),
    "account": click.option(
        "--account",
        metavar="ACCOUNT",
        callback=not_empty,
        help="Only tasks of this account: its id, external:VALUE, or its name.",
    ),
    "category": click.option("--category", callback=not_empty, help="Only tasks of this category."),
    "batch": click.option("--batch", callback=not_empty, help="Only tasks of this batch."),
    "since": click.option(
        "--since", type=MOMENT, help="Only tasks submitted at or after this time; 2h means two hours ago."
    ),
    "until": click.option("--until", type=MOMENT, help="Only tasks submitted before this time."),
    "error": click.option(
        "--error",
        callback=not_empty,
        help="Only tasks whose error contains this text or is of this kind (contentq errors).",
    ),
    "worker": click.option(
        "--worker",
        type=click.IntRange(1, LARGEST_ID),
        metavar="ID",
        help="Only tasks that this worker runs, and failed tasks that it ran last.",
    ),
}


def selector_options(*names: str) -> Callable[[F], F]:
    """Adds the options that select tasks, all or those named; passes a GivenSelector named selector."""

    def decorate(command: F) -> F:
        chosen = {name: _OPTIONS[name] for name in names or _OPTIONS}

        @functools.wraps(command)
        def with_selector(*arguments: Any, **options: Any) -> Any:
            given = {name: options.pop(name) for name in chosen}
            return command(*arguments, selector=GivenSelector(**given), **options)

        decorated: Any = with_selector
        for add in reversed(chosen.values()):
            decorated = add(decorated)
        return decorated  # type: ignore[no-any-return]

    return decorate
