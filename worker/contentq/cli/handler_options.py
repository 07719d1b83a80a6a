"""Options that select a handler, and options of the built-in handlers (handlers/registry.py)."""

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
    """A click parameter type: a command in one argument; the value is a tuple of words."""

    name = "command"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Splits the text as a shell does."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(shlex.split(value))
        except ValueError as error:
            self.fail(f"{value!r} is not a valid shell command: {error}", param, ctx)


def handler_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options to a command, which passes its keyword arguments to pop_handler()."""
    for setting, takers in reversed(all_settings().items()):
        command = _option_of(setting, takers)(command)
    command = click.option(
        "--handlers",
        "handlers_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A TOML file with one handler for each category; replaces --handler.",
    )(command)
    built_in = "; ".join(f"`{name}`, which {handler.summary}" for name, handler in reversed(BUILT_IN.items()))
    return click.option(
        "--handler",
        "handler_name",
        default="template",
        show_default=True,
        metavar="MODULE:FUNCTION",
        help=f"The function that runs each task: your own, or a built-in one: {built_in}.",
    )(command)


def pop_handler(given: dict[str, Any]) -> Handler | HandlersByCategory:
    """Removes these options from the arguments of a command; returns the handlers. Raises HandlerUnusable."""
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
            raise click.UsageError(f"{setting.flag} goes into the file of --handlers, as the key {setting.key}")
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
