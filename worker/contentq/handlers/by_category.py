"""The handlers of a worker by category of task, from a TOML file."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contentq.errors import HandlerUnusable
from contentq.handlers.loading import Handler, load
from contentq.handlers.registry import BUILT_IN, Kind, Setting


@dataclass(frozen=True)
class HandlersByCategory:
    """The handlers of a file. default: the handler of all other categories; None to claim none of these."""

    file: Path
    default: Handler | None
    by_category: Mapping[str, Handler]

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.file.name

    @property
    def categories(self) -> tuple[str, ...] | None:
        """The categories to claim; None for all."""
        return None if self.default else tuple(self.by_category)

    @property
    def gate(self) -> str | None:
        """The gate of the provider that they call; None for several gates or none."""
        return None if self.gates else next((each.gate for each in self.each() if each.gate), None)

    @property
    def gates(self) -> tuple[str, ...]:
        """If they call several providers, the gates of which each task enters one; otherwise empty."""
        handlers = list(self.each())
        found = dict.fromkeys(key for each in handlers for key in (each.gates or (each.gate,)) if key is not None)
        return tuple(found) if len(found) > 1 or any(each.gates for each in handlers) else ()

    def each(self) -> Iterator[Handler]:
        """All of them."""
        yield from filter(None, (self.default, *self.by_category.values()))

    @property
    def extensions(self) -> tuple[str, ...]:
        """Extensions of PostgreSQL that the database must have."""
        handlers = filter(None, (self.default, *self.by_category.values()))
        return tuple(dict.fromkeys(each for handler in handlers for each in handler.extensions))

    def introduce(self) -> None:
        """Logs the introduction of each handler."""
        for handler in self.each():
            handler.introduce()

    def of(self, category: str | None) -> Handler:
        """The handler for tasks of this category. Raises HandlerUnusable if there is none."""
        handler = self.default if category is None else self.by_category.get(category, self.default)
        if handler is None:
            raise HandlerUnusable(
                f"the handlers {str(self.file)!r}: there is none for the category {category!r}; "
                f"there are: {', '.join(self.by_category)}"
            )
        return handler


def read(file: Path) -> HandlersByCategory:
    """The handlers of a file: each of its tables names one and its settings.

    Paths are relative to the folder of the file. Raises HandlerUnusable, naming file and key.
    """
    try:
        with file.open("rb") as opened:
            given = tomllib.load(opened)
    except OSError as error:
        raise HandlerUnusable(f"the handlers {str(file)!r} cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # an error of the syntax or the encoding
        raise HandlerUnusable(f"the handlers {str(file)!r} are not TOML: {error}") from None
    try:
        for key in sorted(given.keys() - {"default", "categories"}):
            raise HandlerUnusable(f"{key}: there is no such table; there are: default, categories.NAME")
        categories = _table("categories", given.get("categories", {}))
        if not given:
            raise HandlerUnusable("it is empty; it needs a table [default] or [categories.NAME]")
        return HandlersByCategory(
            file,
            _load("default", given["default"], file.parent) if "default" in given else None,
            {name: _load(f"categories.{name}", table, file.parent) for name, table in categories.items()},
        )
    except HandlerUnusable as error:
        raise HandlerUnusable(f"the handlers {str(file)!r}: {error}") from error


def _load(key: str, value: object, folder: Path) -> Handler:
    table = _table(key, value)
    name = table.get("handler")
    if not isinstance(name, str):
        raise HandlerUnusable(f'{key}: it needs the name of a handler, such as handler = "template"')
    known = {setting.key: setting for setting in BUILT_IN[name].settings} if name in BUILT_IN else {}
    settings = {}
    for own in sorted(table.keys() - {"handler"}):
        if own not in known:
            there_are = ", ".join(["handler", *known])
            raise HandlerUnusable(f"{key}.{own}: the handler {name!r} has no such setting; there are: {there_are}")
        settings[known[own].name] = _value(f"{key}.{own}", known[own], table[own], folder)
    try:
        return load(name, **settings)
    except HandlerUnusable as error:
        flag, _, why = str(error).partition(": ")
        own = next((f".{setting.key}: {why}" for setting in known.values() if setting.flag == flag), f": {error}")
        raise HandlerUnusable(f"{key}{own}") from error


def _table(key: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise HandlerUnusable(f"{key}: it must be a table")
    return value


def _value(key: str, setting: Setting, value: object, folder: Path) -> Any:
    """The value of a setting, in the form of the command line."""
    words = [value] if isinstance(value, str) else value
    if setting.kind is Kind.NAMES and isinstance(words, list) and all(isinstance(word, str) for word in words):
        return tuple(words)
    if not isinstance(value, str):
        raise HandlerUnusable(f"{key}: it must be {'a list of texts' if setting.kind is Kind.NAMES else 'a text'}")
    if setting.kind is Kind.PATH:
        return folder / value
    try:
        program, *arguments = shlex.split(value) or [""]
    except ValueError as error:
        raise HandlerUnusable(f"{key}: it cannot be split into words: {error}") from None
    return (str(folder.resolve() / program) if "/" in program else program, *arguments)
