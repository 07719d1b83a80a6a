"""Reads the fields of forms."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import click
from starlette.requests import Request

from contentq.durations import DURATION
from contentq.errors import ContentQueueError

MOST_BYTES = 1_000_000

MOST_FIELDS = 5_000


class FormRefused(ContentQueueError):
    """A form has an invalid field."""


class Form:
    """The fields of a form, in the order in which they were sent."""

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        # Browsers send a line break as two characters, even in an id that the page contained with one.
        self._fields = [(name, value.replace("\r\n", "\n")) for name, value in fields]

    def all(self, name: str) -> list[str]:
        """Returns all values of a repeated field."""
        return [value for each, value in self._fields if each == name]

    def text(self, name: str) -> str | None:
        """Returns a field without surrounding space; None if empty or missing."""
        found = self.all(name)
        return (found[-1].strip() or None) if found else None

    def exact(self, name: str) -> str:
        """Returns a field unchanged, such as a key. Raises FormRefused if it is missing."""
        found = self.all(name)
        if not found:
            raise FormRefused(f"the form has no field {name}")
        return found[-1]

    def id(self, name: str) -> int:
        """Returns the id of a row. Raises FormRefused."""
        value = self.text(name) or ""
        if not (value.isascii() and value.isdecimal() and len(value) < 19):
            raise FormRefused(f"{name}: {value!r} is not an id")
        return int(value)

    def limit(self, name: str, most: int, *, least: int = 0, whole: bool = True) -> Decimal | None:
        """Returns a number, as on the command line; None for an empty field: no limit. Raises FormRefused."""
        from contentq.limits import Limit

        value = self.text(name)
        return None if value is None else _convert(Limit(name, most, least=least, whole=whole), name, value)

    def duration(self, name: str) -> timedelta | None:
        """Returns a duration such as 10m or 2h; None if empty. Raises FormRefused."""
        value = self.text(name)
        return None if value is None else _convert(DURATION, name, value)


async def read_form(request: Request) -> Form:
    """Reads the form of a request. Raises FormRefused if it is too long or of another type."""
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind not in ("", "application/x-www-form-urlencoded"):
        raise FormRefused(f"the form has the content type {kind}; use application/x-www-form-urlencoded")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise FormRefused(f"the form is longer than {MOST_BYTES} bytes")
    try:
        return Form(
            parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=MOST_FIELDS)
        )
    except ValueError:
        raise FormRefused("the form cannot be parsed") from None


def _convert(kind: click.ParamType[Any], name: str, value: str) -> Any:
    """Converts a value like a command line option."""
    try:
        return kind.convert(value, None, None)
    except click.BadParameter as error:
        raise FormRefused(f"{name}: {error.message}") from None
