"""docs/reference/log-events.md: every line that the program logs, read from its source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.docs.markdown import ROOT
from tests.reference.page import TO_WRITE, code, table

SOURCE = ROOT / "worker/contentq"

_Function = ast.FunctionDef | ast.AsyncFunctionDef

_LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
_PLACE = re.compile(r"%(?:%|[-#0 +]*\d*(?:\.\d+)?[a-z])")


@dataclass(frozen=True, order=True)
class Event:
    """A log line. text: with … for each value. level: the levels that it may have."""

    logger: str
    text: str
    level: str


def events(by_hand: Mapping[str, str]) -> str:
    """A table for each logger; the meaning of events is written by hand."""
    parts = []
    found = all_events()
    for logger in sorted({event.logger for event in found}):
        rows = [
            [code(event.text), event.level, by_hand.get(code(event.text), TO_WRITE)]
            for event in found
            if event.logger == logger
        ]
        parts += [f"### {logger}\n", table(["event", "level", "meaning, and what to do"], rows)]
    return "\n".join(parts)


def fields(by_hand: Mapping[str, str]) -> str:
    """The names of the values in events; their meanings are written by hand."""
    names = sorted({name for event in all_events() for name in re.findall(r"(\w+)=…", event.text)})
    return table(["field", "meaning"], [[code(name), by_hand.get(code(name), TO_WRITE)] for name in names])


def all_events() -> list[Event]:
    """The events of all modules, each once."""
    levels: dict[tuple[str, str], set[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for event in _events_of(path):
            levels.setdefault((event.logger, event.text), set()).update(event.level.split(" or "))
    return sorted(Event(logger, text, " or ".join(sorted(names))) for (logger, text), names in levels.items())


def _events_of(path: Path) -> Iterator[Event]:
    module = ast.parse(path.read_text(encoding="utf-8"))
    parents = {child: parent for parent in ast.walk(module) for child in ast.iter_child_nodes(parent)}
    for call in ast.walk(module):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        if call.func.attr not in _LEVELS or not (logger := _logger(call.func.value, module)):
            continue
        arguments, level = list(call.args), call.func.attr.replace("exception", "error")
        if level == "log":
            level = " or ".join(sorted(_level_names(arguments.pop(0), call, parents, module)))
        texts = [*_texts(arguments[0], call, parents, module)]
        assert texts, f"{path}, line {call.lineno}: the text of this event cannot be found"
        assert level, f"{path}, line {call.lineno}: the level of this event cannot be found"
        for text in texts:
            yield Event(logger, re.sub("…+", "…", _PLACE.sub("…", text)), level)


def _logger(value: ast.expr, module: ast.Module) -> str | None:
    """The name of the logger in this expression, if it is one."""
    if isinstance(value, ast.Name):
        value = next(_assigned(value.id, module), value)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "getLogger":
        return next(_constants(value.args[0]), None) if value.args else None
    return None


def _level_names(node: ast.expr, at: ast.AST, parents: Mapping[ast.AST, ast.AST], module: ast.Module) -> set[str]:
    nodes = [node]
    if isinstance(node, ast.Name):
        nodes = [*_assigned(node.id, _function(at, parents) or module)]
    return {
        each.attr.lower()
        for found in nodes
        for each in ast.walk(found)
        if isinstance(each, ast.Attribute) and each.attr.lower() in _LEVELS and each.attr.isupper()
    }


def _texts(node: ast.expr, at: ast.AST, parents: Mapping[ast.AST, ast.AST], module: ast.Module) -> Iterator[str]:
    """The possible texts of an expression, as far as the module determines them."""
    if isinstance(node, ast.IfExp):
        yield from _texts(node.body, at, parents, module)
        yield from _texts(node.orelse, at, parents, module)
    elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        for value in _assigned(node.value.id, module):
            yield from _constants(*(value.values if isinstance(value, ast.Dict) else ()))
    elif isinstance(node, ast.Name):
        function = _function(at, parents)
        if function is not None and node.id in _parameters(function):
            for call, value in _passed(node.id, function, module):
                yield from _texts(value, call, parents, module)
        else:
            top = [each for each in module.body if isinstance(each, ast.Assign)]
            yield from _constants(*_assigned(node.id, *([function] if function else []), *top))
    else:
        yield from _constants(node)


def _constants(*nodes: ast.expr) -> Iterator[str]:
    return (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def _assigned(name: str, *places: ast.AST) -> Iterator[ast.expr]:
    """The values assigned to a name anywhere within these."""
    for node in (each for place in places for each in ast.walk(place)):
        if isinstance(node, ast.Assign) and any(
            isinstance(each, ast.Name) and each.id == name for each in node.targets
        ):
            yield node.value


def _parameters(function: _Function) -> list[str]:
    return [each.arg for each in function.args.args if each.arg != "self"]


def _passed(name: str, function: _Function, module: ast.Module) -> Iterator[tuple[ast.Call, ast.expr]]:
    """The calls of a function in its module, with the argument of this parameter."""
    place = _parameters(function).index(name)
    for call in ast.walk(module):
        if isinstance(call, ast.Call) and function.name in (
            getattr(call.func, "attr", ""),
            getattr(call.func, "id", ""),
        ):
            yield call, call.args[place]


def _function(node: ast.AST, parents: Mapping[ast.AST, ast.AST]) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    while node in parents:
        node = parents[node]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return node
    return None
