"""The task selectors of addresses and forms: those of the command line, with times in UTC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from contentq.durations import DURATION
from contentq.queue import inspection
from contentq.queue.accounts import find_account
from contentq.queue.reading import Connection
from contentq.queue.selectors import Selector
from contentq.task import STATUSES, read_id
from contentq.web.forms import Form, FormRefused
from contentq.web.page import Page

NAMES = ("status", "account", "category", "batch", "since", "until", "error", "worker")
"""The names of the fields in addresses and forms."""

LONGEST = 500
"""Maximum number of characters in a field."""


@dataclass(frozen=True)
class Selection:
    """The fields that are not empty, as given: accounts by any name, times also as durations."""

    given: Mapping[str, str]

    def get(self, name: str) -> str | None:
        """Returns one field."""
        return self.given.get(name)

    @property
    def all(self) -> dict[str, str | None]:
        """All fields, for templates."""
        return {name: self.get(name) for name in NAMES}

    def resolve(self, connection: Connection) -> Selector:
        """Resolves the selector, times by the database's clock. Raises ContentQueueError for invalid fields."""
        status, account = self.get("status"), self.get("account")
        if status is not None and status not in STATUSES:
            raise FormRefused(f"status: {status!r} is not a status; use one of: {', '.join(STATUSES)}")
        return Selector(
            status=status,
            account_id=None if account is None else find_account(connection, account.strip()),
            category=self.get("category"),
            batch=self.get("batch"),
            since=_time(connection, "since", self.get("since")),
            until=_time(connection, "until", self.get("until")),
            error=self.get("error"),
            worker_id=_worker(self.get("worker")),
        )


def asked(page: Page, *names: str) -> Selection:
    """The selection in the address of a page. names: the fields to read; default: all."""
    return _selection(lambda name: page.request.query_params.get(name, ""), names)


def sent(form: Form, *names: str) -> Selection:
    """The selection in a form. names: the fields to read; default: all."""
    return _selection(lambda name: (form.all(name) or [""])[-1], names)


def as_fields(selector: Selector) -> dict[str, str]:
    """The fields of a selector with absolute values, which stay valid over time."""
    values: dict[str, Any] = {
        "status": selector.status,
        "account": selector.account_id,
        "category": selector.category,
        "batch": selector.batch,
        "since": selector.since,
        "until": selector.until,
        "error": selector.error,
        "worker": selector.worker_id,
    }
    return {
        name: value.isoformat() if isinstance(value, datetime) else str(value)
        for name, value in values.items()
        if value is not None
    }


def _selection(read: Callable[[str], str], names: tuple[str, ...]) -> Selection:
    given = {name: value for name in names or NAMES if (value := read(name)).strip()}
    for name, value in given.items():
        if len(value) > LONGEST:
            raise FormRefused(f"{name}: too long; the maximum is {LONGEST} characters")
    return Selection(given)


def _time(connection: Connection, name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    text = text.strip()
    if text[-1:] in {"s", "m", "h", "d"}:
        try:
            ago: timedelta = DURATION.convert(text, None, None)
        except click.BadParameter as error:
            raise FormRefused(f"{name}: {error.message}") from None
        return inspection.now(connection) - ago
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise FormRefused(
            f"{name}: {text!r} is neither a time nor a duration; use for example 2030-01-31, 2030-01-31T12:00, or "
            "2h for two hours ago"
        ) from None


def _worker(text: str | None) -> int | None:
    if text is None:
        return None
    id_ = read_id(text.strip())
    if id_ is None:
        raise FormRefused(f"worker: {text!r} is not an id")
    return id_
