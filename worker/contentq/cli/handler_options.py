"""The options that name a handler, and those of the handlers that ship (handlers/registry.py)."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from contentq.handlers.registry import BUILT_IN, Kind, Setting, all_settings

if TYPE_CHECKING:
    from contentq.handlers.by_category import HandlersByCategory
    from contentq.handlers.loading import Handler

    _WordsType = click.ParamType[tuple[str, ...]]
else:
    _WordsType = click.ParamType


class _Words(_WordsType):
    """A command in one argument; its value is a tuple of words."""

    name = "command"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Splits the text as a shell does."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(shlex.split(value))
        except ValueError as error:
            self.fail(f"{value!r} cannot be split into words: {error}", param, ctx)


def handler_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options to a command, which hands what it was given to pop_handler()."""
    for setting, takers in reversed(all_settings().items()):
        command = _option_of(setting, takers)(command)
    command = click.option(
        "--handlers",
        "handlers_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="File in TOML that names a handler for each category, in place of --handler.",
    )(command)
    ships = "; ".join(f"`{name}`, which {handler.summary}" for name, handler in reversed(BUILT_IN.items()))
    return click.option(
        "--handler",
        "handler_name",
        default="template",
        show_default=True,
        metavar="MODULE:FUNCTION",
        help=f"What to run on each task: a function of yours; or {ships}.",
    )(command)


def pop_handler(given: dict[str, Any]) -> Handler | HandlersByCategory:
    """Takes these options out of what a command was given; returns the handlers. Raises HandlerUnusable."""
    from contentq.handlers.by_category import read
    from contentq.handlers.loading import load

    name: str = given.pop("handler_name")
    file: Path | None = given.pop("handlers_file")
    settings = {setting: given.pop(setting.name) for setting in all_settings()}
    if file is None:
        return load(name, **{setting.name: value for setting, value in settings.items()})
    if click.get_current_context().get_parameter_source("handler_name") is ParameterSource.COMMANDLINE:
        raise click.UsageError("give --handler or --handlers, not both")
    for setting, value in settings.items():
        if value:
            raise click.UsageError(f"{setting.flag} belongs into the file of --handlers, as the key {setting.key}")
    return read(file)


def _option_of(setting: Setting, takers: list[str]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    types: dict[Kind, click.ParamType[Any]] = {
        Kind.PATH: click.Path(path_type=Path),
        Kind.WORDS: _Words(),
        Kind.NAMES: click.STRING,
    }
    return click.option(
        setting.flag,
        setting.name,
        type=types[setting.kind],
        multiple=setting.kind is Kind.NAMES,
        metavar=setting.metavar,
        help=f"{setting.help} ({', '.join(takers)}).",
    )
