"""Loads a handler by its name."""

from __future__ import annotations

import _thread
import importlib
import inspect
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import BuiltinFunctionType
from typing import Any, Protocol

from contentq.errors import HandlerUnusable
from contentq.handlers.registry import BUILT_IN, BuiltIn, all_settings


def _nothing_to_say() -> None:
    """The introduction of a handler without one."""


class Handlers(Protocol):
    """The handlers of a worker: one for all tasks, or one per category (handlers/by_category.py)."""

    @property
    def name(self) -> str:
        """The name to register the worker with."""

    def of(self, category: str | None, /) -> Handler:
        """The handler for tasks of this category. Raises HandlerUnusable if there is none."""

    def each(self) -> Iterable[Handler]:
        """All of them."""


@dataclass(frozen=True)
class Handler:
    """A handler and its properties. `async def` handlers run on the event loop, others in threads."""

    name: str
    call: Callable[[Any, Any], Any]
    is_async: bool
    gate: str | None = None
    """The gate of the provider that it calls, unless the worker is given another."""

    gates: tuple[str, ...] = ()
    """Instead of gate: the gates of several providers, of which each task enters one (context.enter_gate)."""

    introduce: Callable[[], None] = _nothing_to_say
    """Logs an introduction of the handler. Commands call it once logging is set up."""

    categories: tuple[str, ...] | None = None
    """The categories to claim; None for all."""

    beside: Callable[[Any], Awaitable[None]] | None = None
    """Its background work while the worker runs; called with engine.handler_calls.HandlerCalls."""
    extensions: tuple[str, ...] = ()
    """Extensions of PostgreSQL that the database must have."""

    def of(self, _category: str | None) -> Handler:
        """Itself, for every category."""
        return self

    def each(self) -> Iterable[Handler]:
        """Only itself."""
        return (self,)


def load(name: str, **settings: Any) -> Handler:
    """The handler of this name: `module:function`, or one that ships with contentq.

    settings: for a handler that ships, by the names of handlers/registry.py; an empty value counts as not set.
    Modules are found as by `python -m`, in the current folder first. Raises HandlerUnusable.
    """
    given = {key: value for key, value in settings.items() if value}
    _check(given, name)
    if name in BUILT_IN:
        return _make(name, BUILT_IN[name], given)
    if not _is_path(name):
        raise HandlerUnusable(
            f"{name!r} does not name a handler; write module:function, or one of: {', '.join(BUILT_IN)}"
        )
    module_name, _, attribute = name.partition(":")
    if module_name.endswith(".py") or "/" in module_name:
        module = Path(module_name).stem
        raise HandlerUnusable(f"{name!r} names a file; run in its folder with --handler {module}:{attribute}")
    return wrap(find(name), name)


def _is_path(name: str) -> bool:
    module_name, separator, attribute = name.partition(":")
    return bool(module_name and separator and attribute)


def _check(given: Mapping[str, Any], name: str) -> None:
    """Raises HandlerUnusable for a setting that this handler does not have."""
    known = {setting.name: (setting, takers) for setting, takers in all_settings().items()}
    for key in given:
        setting, takers = known[key]
        if name not in takers:
            whose = f"the handler{'s' if len(takers) > 1 else ''} {' and '.join(takers)}"
            advice = " or ".join(f"--handler {taker}" for taker in takers)
            raise HandlerUnusable(f"{setting.flag} is for {whose}, not for {name!r}: add {advice}")


def _make(name: str, built_in: BuiltIn, given: Mapping[str, Any]) -> Handler:
    """A handler that ships. Raises HandlerUnusable if a package that it needs is not installed."""
    module, _, attribute = built_in.factory.partition(":")
    try:
        factory = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in built_in.packages:
            raise
        raise HandlerUnusable(
            f"the handler {name!r} needs the package {package}, which is not installed: "
            f"pip install 'contentq[{built_in.extra}]'"
        ) from None
    made = factory(**given)
    introduce = getattr(made, "introduce", _nothing_to_say)
    return replace(
        wrap(made, name),
        gate=getattr(made, "gate", None),
        gates=getattr(made, "gates", ()),
        introduce=introduce,
        beside=getattr(made, "work_beside", None),
        extensions=getattr(made, "extensions", ()),
    )


def find(name: str, kind: str = "handler") -> Any:
    """The object that module:attribute names. kind: the expected kind, for messages. Raises HandlerUnusable."""
    if not _is_path(name):
        raise HandlerUnusable(f"{name!r} names no {kind}; write module:function")
    module_name, _, attribute = name.partition(":")
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
                f"{kind} {name!r}: there is no module {error.name!r} in {here} or among the installed packages"
            ) from None
        raise HandlerUnusable(
            f"{kind} {name!r}: importing {module_name} failed: {_describe(error)}{_where(error)}"
        ) from error
    if not isinstance(_thread.start_new_thread, BuiltinFunctionType):
        raise HandlerUnusable(
            f"{kind} {name!r}: importing {module_name} has replaced Python's threads, as gevent's "
            "monkey.patch_all() does, and the worker's heartbeat needs a real one; leave that out: a plain "
            "function runs in its own thread"
        )
    for part in attribute.split("."):
        if not hasattr(found, part):
            where = getattr(sys.modules[module_name], "__file__", None) or "built in"
            raise HandlerUnusable(f"{kind} {name!r}: module {module_name} ({where}) has no {attribute!r}")
        found = getattr(found, part)
    return found


def wrap(function: Any, name: str | None = None) -> Handler:
    """A function, or an object with __call__, as a handler. Raises HandlerUnusable."""
    shown = name or f"{getattr(function, '__module__', '?')}:{getattr(function, '__qualname__', repr(function))}"
    if not callable(function) or inspect.isclass(function):
        raise HandlerUnusable(f"handler {shown!r} is not a function; a handler is called with (task, context)")
    try:
        inspect.signature(function).bind(None, None)
    except ValueError:
        pass  # a builtin without a signature
    except TypeError:
        raise HandlerUnusable(
            f"handler {shown!r} cannot be called with (task, context): it takes {inspect.signature(function)}"
        ) from None
    return Handler(shown, function, _is_async(function))


def _is_async(function: Any) -> bool:
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
    )


def _describe(error: BaseException) -> str:
    """An error on one line; of a syntax error without its position, which _where() returns."""
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {' '.join(message.split())}"


def _where(error: BaseException) -> str:
    """The file and line in which an import failed."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}, line {error.lineno})"
    frames = inspect.getinnerframes(error.__traceback__) if error.__traceback__ else []
    outside = [frame for frame in frames if "importlib" not in frame.filename and frame.filename != __file__]
    return f" ({outside[-1].filename}, line {outside[-1].lineno})" if outside else ""
