"""From the name of a handler to something that a worker can call."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from contentq.errors import HandlerUnusable


def _nothing_to_say() -> None:
    """The introduction of a handler of which all is known."""


@dataclass(frozen=True)
class Handler:
    """A handler and what is known of it: `async def` handlers run on the event loop, others in threads."""

    name: str
    call: Callable[[Any, Any], Any]
    is_async: bool
    gate: str | None = None
    """The gate of the provider that it calls, for a worker that was given none."""

    introduce: Callable[[], None] = _nothing_to_say
    """Logs what is worth knowing of it before it is called; for commands, once the log is set up."""


@dataclass(frozen=True)
class HandlerOptions:
    """What can be set about the handlers that ship with contentq."""

    templates: Path | None = None
    """Folder of Jinja2 templates that come before those that ship (template, openai)."""

    settings: Path | None = None
    """File of settings, in TOML (openai)."""

    command: tuple[str, ...] = ()
    """The program and its arguments (command)."""

    environment: tuple[str, ...] = ()
    """Names of the environment variables that the program gets beside the usual ones (command)."""


BUILT_IN = ("template", "command", "openai")

_OPTIONS = (
    ("templates", "--templates", ("template", "openai")),
    ("settings", "--settings", ("openai",)),
    ("command", "--command", ("command",)),
    ("environment", "--env", ("command",)),
)
"""The attributes of HandlerOptions, what they are called on the command line, and which handlers take them."""


def load(name: str, options: HandlerOptions | None = None) -> Handler:
    """The handler of this name: `module:function`, or one that ships with contentq.

    The module is found as `python -m` finds it, in the current folder first. Raises HandlerUnusable.
    """
    options = options or HandlerOptions()
    _check(options, name)
    if name == "command":
        from contentq.handlers.commands.handler import CommandHandler

        return wrap(CommandHandler(options.command, options.environment), name)
    if name == "template":
        from contentq.handlers.template import template_handler

        return wrap(template_handler(options.templates), name)
    if name == "openai":
        return _openai(options)
    module_name, separator, attribute = name.partition(":")
    if not (module_name and separator and attribute):
        raise HandlerUnusable(
            f"{name!r} does not name a handler; write module:function, or one of: {', '.join(BUILT_IN)}"
        )
    if module_name.endswith(".py") or "/" in module_name:
        module = Path(module_name).stem
        raise HandlerUnusable(f"{name!r} names a file; run in its folder with --handler {module}:{attribute}")
    here = os.getcwd()
    if sys.path[:1] != [here]:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        if (
            isinstance(error, ModuleNotFoundError)
            and error.name
            and f"{module_name}.".startswith(f"{error.name}.")
        ):
            raise HandlerUnusable(
                f"handler {name!r}: there is no module {error.name!r} in {here} or among the installed packages"
            ) from None
        raise HandlerUnusable(
            f"handler {name!r}: importing {module_name} failed: {_describe(error)}{_where(error)}"
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            where = getattr(sys.modules[module_name], "__file__", None) or "built in"
            raise HandlerUnusable(f"handler {name!r}: module {module_name} ({where}) has no {attribute!r}")
        found = getattr(found, part)
    return wrap(found, name)


def wrap(function: Any, name: str | None = None) -> Handler:
    """A function, or an object with __call__, as a handler. Raises HandlerUnusable."""
    shown = name or f"{getattr(function, '__module__', '?')}:{getattr(function, '__qualname__', repr(function))}"
    if not callable(function) or inspect.isclass(function):
        raise HandlerUnusable(f"handler {shown!r} is not a function; a handler is called with (task, context)")
    try:
        inspect.signature(function).bind(None, None)
    except ValueError:
        pass  # a builtin that does not tell
    except TypeError:
        raise HandlerUnusable(
            f"handler {shown!r} cannot be called with (task, context): it takes {inspect.signature(function)}"
        ) from None
    return Handler(shown, function, _is_async(function))


def _check(options: HandlerOptions, name: str) -> None:
    """Raises HandlerUnusable when something is set that this handler does not take."""
    for attribute, option, takers in _OPTIONS:
        if getattr(options, attribute) and name not in takers:
            whose = f"the handler{'s' if len(takers) > 1 else ''} {' and '.join(takers)}"
            advice = " or ".join(f"--handler {taker}" for taker in takers)
            raise HandlerUnusable(f"{option} is for {whose}, not for {name!r}: add {advice}")


def _openai(options: HandlerOptions) -> Handler:
    """The handler `openai`, which needs a package that is not installed with contentq."""
    try:
        from contentq.handlers.openai.handler import OpenAIHandler
    except ModuleNotFoundError as error:
        if error.name != "openai":
            raise
        raise HandlerUnusable(
            "the handler 'openai' needs the package openai, which is not installed: pip install 'contentq[openai]'"
        ) from None
    handler = OpenAIHandler(options.templates, options.settings)
    return replace(wrap(handler, "openai"), gate=handler.gate, introduce=handler.introduce)


def _is_async(function: Any) -> bool:
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - of an object with an async __call__
    )


def _describe(error: BaseException) -> str:
    """An error on one line; of a syntax error without its place, which _where() tells."""
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {' '.join(message.split())}"


def _where(error: BaseException) -> str:
    """The file and line in which an import failed."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}, line {error.lineno})"
    frames = inspect.getinnerframes(error.__traceback__) if error.__traceback__ else []
    outside = [frame for frame in frames if "importlib" not in frame.filename and frame.filename != __file__]
    return f" ({outside[-1].filename}, line {outside[-1].lineno})" if outside else ""
