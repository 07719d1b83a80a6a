"""docs/reference/python.md: what the package contentq exports, with signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any

import contentq

from tests.reference.page import code, prose, table, with_names, wrapped

_LONG = 100

_FOR_THE_WORKER = {"stop"}
"""Methods that handlers do not call."""


def functions() -> str:
    """The functions for producers and operators."""
    return "\n".join(_function(name, getattr(contentq, name)) for name in contentq.__all__ if _is_function(name))


def for_handlers() -> str:
    """The input and output of a handler."""
    names = [name for name in contentq.__all__ if _is_class(name) and not _is_error(name) and name != "NewTask"]
    seen: set[type] = set()
    return "\n".join(_class(name, getattr(contentq, name), seen) for name in names)


def errors() -> str:
    """The errors, with their base classes."""
    return "\n".join(
        _error(getattr(contentq, name)) for name in contentq.__all__ if _is_class(name) and _is_error(name)
    )


def new_task() -> str:
    """The columns that submit() accepts."""
    return _attributes(contentq.NewTask.__annotations__)


def _is_function(name: str) -> bool:
    return inspect.isfunction(getattr(contentq, name))


def _is_class(name: str) -> bool:
    return inspect.isclass(getattr(contentq, name))


def _is_error(name: str) -> bool:
    return issubclass(getattr(contentq, name), Exception)


def _function(name: str, function: Any, level: int = 3) -> str:
    return "\n".join([f"{'#' * level} {name}\n", _signature(name, function), *_paragraphs(function)])


def _class(name: str, described: type, seen: set[type]) -> str:
    """Its members, and those of its bases unless an earlier class has listed them."""
    parts = [f"### {name}\n", *_paragraphs(described)]
    if is_dataclass(described) or issubclass(described, tuple):
        parts.append(_attributes(described.__annotations__))
    for each in reversed(described.__mro__[:-1]):
        if each is not tuple and each not in seen:
            seen.add(each)
            parts += [
                "\n".join(_member(member, value))
                for member, value in vars(each).items()
                if not member.startswith("_") and member not in _FOR_THE_WORKER and _is_described(value)
            ]
    return "\n".join(parts)


def _is_described(value: object) -> bool:
    return isinstance(value, property) or inspect.isfunction(value)


def _attributes(annotations: Mapping[str, Any]) -> str:
    rows = [
        [code(name), code(_annotation(kind).replace(" | ", " or "))]
        for name, kind in annotations.items()
        if not name.startswith("_")
    ]
    return table(["name", "type"], rows)


def _member(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, property):
        assert value.fget is not None
        yield f"    {name}: {_annotation(value.fget.__annotations__['return'])}\n"
    else:
        yield _signature(name, value)
    yield from _paragraphs(value)


def _error(error: type[Exception]) -> str:
    base = error.__bases__[0]
    parts = [f"### {error.__name__}\n", f"Derives from `{base.__name__}`.\n"]
    if "__init__" in vars(error):
        parts.append(_signature(error.__name__, error.__init__))
    return "\n".join([*parts, *_paragraphs(error)])


def _signature(name: str, function: Any) -> str:
    signature = inspect.signature(function)
    parameters = [each for each in signature.parameters.values() if each.name != "self"]
    shown = [_parameter(each) for each in parameters]
    first_named = next((n for n, each in enumerate(parameters) if each.kind is each.KEYWORD_ONLY), None)
    if first_named is not None:
        shown.insert(first_named, "*")
    returned = signature.return_annotation
    result = "" if returned in (signature.empty, "None") else f" -> {_annotation(returned)}"
    start = f"{'async ' if inspect.iscoroutinefunction(function) else ''}{name}("
    lines = [f"{start}{', '.join(shown)}){result}"]
    if len(lines[0]) > _LONG:
        lines = [start, *(f"    {each}," for each in shown), f"){result}"]
    return "\n".join(f"    {each}" for each in lines) + "\n"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
    default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}".replace("'", '"')
    return f"{stars}{parameter.name}: {_annotation(parameter.annotation)}{default}"


def _annotation(annotation: Any) -> str:
    """An annotation as in the source, without module names."""
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__forward_arg__", str(annotation))
    text = re.sub(r"\bRequired\[(\w+)\]", r"\1", text)
    return re.sub(r"\b[a-z_]+\.(?=[A-Z])", "", text).strip("\"'")


def _paragraphs(described: Any) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", inspect.getdoc(described) or ""):
        yield wrapped(prose(with_names(" ".join(paragraph.split()), _names(described))))


def _names(described: Any) -> list[str]:
    """The explanations in a docstring: parameters of a function or a class."""
    if inspect.isclass(described):
        described = described.__init__ if inspect.isfunction(described.__init__) else described.__new__
    return [*inspect.signature(described).parameters] if inspect.isfunction(described) else []
