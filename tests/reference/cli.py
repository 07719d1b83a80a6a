"""docs/reference/cli.md: every command with its arguments and options, as the program declares them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
from contentq.cli.main import main

from tests.reference.page import code, prose, table, wrapped

_NUMBERS = {"integer": "N", "integer range": "N", "float": "NUMBER", "float range": "NUMBER"}
_STATED = re.compile(r"\s*\[default: (.+)\]$")
_TAKES_NO_ROW = {"help", "version"}


def commands() -> str:
    """The commands, in the order of `contentq --help`."""
    context = click.Context(main, info_name="contentq", **main.context_settings)
    parts = [*_about(main, context, level=2)]
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        parts += _with_subcommands(command, context, name, level=2)
    return "\n".join(parts)


def _with_subcommands(command: click.Command, parent: click.Context, name: str, level: int) -> Iterator[str]:
    context = click.Context(command, parent=parent, info_name=name)
    yield from _about(command, context, level)
    if isinstance(command, click.Group):
        for subname in command.list_commands(context):
            subcommand = command.get_command(context, subname)
            assert subcommand is not None
            yield from _with_subcommands(subcommand, context, subname, level + 1)


def _about(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    yield f"{'#' * level} {context.command_path}\n"
    yield from _paragraphs(command.help or "")
    usage = " ".join(command.collect_usage_pieces(context)).replace("COMMAND [ARGS]...", "COMMAND …")
    yield f"Usage: `{f'{context.command_path} {usage}'.replace('...', '…')}`\n"
    rows = [_option(each, context) for each in command.params if isinstance(each, click.Option)]
    if rows := [row for row in rows if row is not None]:
        yield table(["option", "default", "what it does"], rows)


def _paragraphs(text: str) -> Iterator[str]:
    """The help text; line-by-line passages of click become a block."""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if paragraph.lstrip().startswith("\b"):
            yield "\n".join(f"    {line.strip()}" for line in paragraph.strip().splitlines()[1:]) + "\n"
        else:
            yield wrapped(prose(paragraph))


def _option(option: click.Option, context: click.Context) -> list[str] | None:
    if option.hidden or option.name in _TAKES_NO_ROW:
        return None
    named = "/".join([*option.opts, *option.secondary_opts])
    shown = code(named if option.is_flag else f"{named} {_value(option, context)}")
    said = [prose(_STATED.sub("", option.help or ""))]
    if isinstance(option.type, click.Choice):
        said.append(f"One of {', '.join(code(str(each)) for each in option.type.choices)}.")
    if isinstance(option.type, click.IntRange | click.FloatRange):
        said.append(_range(option.type))
    if isinstance(option.envvar, str):
        said.append(f"Environment variable: `{option.envvar}`.")
    return [shown, _default(option, context), " ".join(filter(None, said))]


def _value(option: click.Option, context: click.Context) -> str:
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return "NAME"
    return _NUMBERS.get(option.type.name, option.type.name.upper())


def _range(kind: click.IntRange | click.FloatRange) -> str:
    least, most = _number(kind.min), _number(kind.max)
    if kind.min is not None and kind.max is not None:
        return f"From {least} to {most}."
    return f"At least {least}." if kind.min is not None else f"At most {most}."


def _number(number: float | None) -> str:
    return "" if number is None else f"{number:,}"


def _default(option: click.Option, context: click.Context) -> str:
    if isinstance(option.show_default, str):
        return code(option.show_default)
    if stated := _STATED.search(option.help or ""):
        return code(stated[1])
    default = option.get_default(context, call=False)
    if option.is_flag or not isinstance(default, str | int | float):
        return ""
    return code(f"{default:g}" if isinstance(default, float) else str(default))
