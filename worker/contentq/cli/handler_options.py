"""The options that name a handler and set what can be set about those that ship with contentq."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from contentq.handlers.loading import Handler


def _split(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(value or ""))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} cannot be split into words: {error}") from None


_OPTIONS = (
    click.option(
        "--handler",
        "handler_name",
        default="template",
        show_default=True,
        metavar="MODULE:FUNCTION",
        help="What to run on each task: a function of yours; `openai`, which asks a model; `command`, any "
        "program; or `template`, which writes a draft without network.",
    ),
    click.option(
        "--templates",
        type=click.Path(path_type=Path),
        help="Folder of Jinja2 templates that come before those that ship (template, openai).",
    ),
    click.option(
        "--settings",
        type=click.Path(path_type=Path),
        help="File in TOML with model, prices and what else can be set (openai).",
    ),
    click.option(
        "--command",
        callback=_split,
        metavar="'PROGRAM ARGUMENT…'",
        help="The program to run on each task, quoted as for a shell, though none runs it (command).",
    ),
    click.option(
        "--env",
        "environment",
        multiple=True,
        metavar="NAME",
        help="An environment variable that the program gets beside PATH, HOME and the like; may be repeated "
        "(command).",
    ),
)


def handler_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options to a command, which hands what it was given to pop_handler()."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def pop_handler(given: dict[str, Any]) -> Handler:
    """Takes these options out of what a command was given; returns the handler. Raises HandlerUnusable."""
    from contentq.handlers.loading import HandlerOptions, load

    name: str = given.pop("handler_name")
    return load(
        name,
        HandlerOptions(
            templates=given.pop("templates"),
            settings=given.pop("settings"),
            command=given.pop("command"),
            environment=given.pop("environment"),
        ),
    )
