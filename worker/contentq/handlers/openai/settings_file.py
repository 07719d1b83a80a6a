"""Reads the settings of the handler `openai`; errors name file, line and key."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from contentq.errors import HandlerUnusable
from contentq.handlers.openai.checks import ChecksSettings
from contentq.handlers.openai.lines import line_of
from contentq.handlers.openai.settings import (
    KEY_VARIABLE,
    PATTERNS,
    AccountSettings,
    BatchSettings,
    DeploymentSettings,
    ModelSettings,
    OpenAISettings,
    Price,
    Table,
    each_once,
)

_SECRETS = ("api_key", "apikey", "key", "token", "secret", "password", "openai_api_key", "authorization")

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
"""A key that needs no quotes in TOML."""

_AnyTable = TypeVar("_AnyTable", bound=Table)


class _Prices(Table):
    """A file of prices."""

    prices: dict[str, Price]


def read(file: Path | None) -> OpenAISettings:
    """The settings of a file; without one, the defaults.

    Raises HandlerUnusable, naming file, line and key.
    """
    if file is None:
        return OpenAISettings()
    name = f"the settings {str(file)!r}"
    text, given = _load(name, file)
    settings = _validate(OpenAISettings, name, text, given)
    problem = _problem(settings, given)
    if problem is not None:
        raise _refusal(name, text, *problem)
    if settings.prices_file is None:
        return settings
    return settings.model_copy(
        update={"prices": {**read_prices(file.parent / settings.prices_file), **settings.prices}}
    )


def read_prices(file: Path) -> dict[str, Price]:
    """The prices of a file, by model. Raises HandlerUnusable, naming file, line and key."""
    name = f"the prices {str(file)!r}"
    text, given = _load(name, file)
    if list(given) != ["prices"]:
        raise HandlerUnusable(f'{name}: there must be tables such as [prices."gpt-5.4-mini"], and nothing else')
    return _validate(_Prices, name, text, given).prices


def _load(name: str, file: Path) -> tuple[str, dict[str, Any]]:
    """The text of a file, and its parsed values."""
    try:
        text = file.read_bytes().decode()
        return text, tomllib.loads(text)
    except OSError as error:
        raise HandlerUnusable(f"{name} cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # an error of the syntax or the encoding
        raise HandlerUnusable(f"{name} are not TOML: {error}") from None
    except RecursionError:
        raise HandlerUnusable(f"{name} are nested too deeply") from None


def _validate(table: type[_AnyTable], name: str, text: str, given: Mapping[str, Any]) -> _AnyTable:
    try:
        found = table.model_validate(given)
    except ValidationError as error:
        # An unknown key is often why another is missing.
        errors = sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        keys, why = _keys(errors[0]["loc"]), _explain(errors[0])
    else:
        return found
    # Not chained: the values in pydantic's messages may be secrets.
    raise _refusal(name, text, keys, why)


def _refusal(name: str, text: str, keys: list[str], why: str) -> HandlerUnusable:
    line = line_of(text, keys)
    where = "" if line is None else f", line {line}"
    return HandlerUnusable(f"{name}{where}: {_path(keys)}: {why}")


def _problem(settings: OpenAISettings, given: Mapping[str, Any]) -> tuple[list[str], str] | None:
    """Problems between settings that are valid individually: the path of the key, and the reason."""
    tables: list[tuple[list[str], Mapping[str, Any]]] = [([], given)]
    for kind in ("categories", "accounts"):
        tables += [([kind, name], own) for name, own in given.get(kind, {}).items()]
    named: set[str] = set()
    there_are = f"there are: {', '.join(settings.deployments)}" if settings.deployments else "there is none yet"
    for path, table in tables:
        names = table.get("models")
        if names is None:
            continue
        if "model" in table:
            return [*path, "model"], "models is set as well; leave one of them out"
        try:
            each_once([name.strip() for name in names])
        except ValueError as error:
            return [*path, "models"], str(error)
        for name in names:
            if name.strip() not in settings.deployments:
                return [*path, "models"], f"{name!r} has no table [deployments.{_path([name])}]; {there_are}"
            named.add(name.strip())
    return _without_effect(given, named)


def _without_effect(given: Mapping[str, Any], named: set[str]) -> tuple[list[str], str] | None:
    """A setting without effect, probably set by mistake. named: the deployments in the lists of models."""
    for name in given.get("deployments", {}):
        if name not in named:
            why = f"no models names it; write models = [{json.dumps(name)}], or leave it out"
            return ["deployments", name], why
    if given.get("fall_through") and not named:
        return ["fall_through"], "it needs models, of which the next one is asked; there is only one model"
    everywhere = given.get("checks", {})
    own = {name: table["checks"] for name, table in given.get("categories", {}).items() if "checks" in table}
    if "likeness_last" in everywhere and not any("max_likeness" in each for each in (everywhere, *own.values())):
        return ["checks", "likeness_last"], "it needs max_likeness, which is not set"
    for name, checks in own.items():
        if "likeness_last" in checks and "max_likeness" not in {**everywhere, **checks}:
            return ["categories", name, "checks", "likeness_last"], "it needs max_likeness, which is not set"
    return None


def _keys(parts: Iterable[int | str]) -> list[str]:
    """The path of a key, from pydantic's location."""
    return [str(part) for part in parts if part != "[key]"]


def _path(keys: Iterable[str]) -> str:
    """A key in TOML syntax."""
    return ".".join(key if _BARE_KEY.fullmatch(key) else f'"{key}"' for key in keys)


def _explain(error: ErrorDetails) -> str:
    """The problem with a value and the allowed values, without the value itself."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return _explain_unknown(error["loc"], value)
    if kind == "missing":
        return "is missing; a price has input and output, each for a million tokens"
    wrong_type = {
        "string_type": "a text",
        "string_too_short": "a text",
        "float_type": "a number",
        "int_type": "a whole number",
        "model_type": "a table",
        "dict_type": "a table",
        "list_type": "a list",
        "bool_type": "true or false",
    }
    if kind in wrong_type:
        return f"must be {wrong_type[kind]}, not {_kind_of(value, wrong_type[kind])}"
    if kind == "finite_number":
        return "must be a finite number"
    if kind == "greater_than_equal":
        return f"must be {context['ge']:g} or more"
    if kind == "less_than_equal":
        return f"must be {int(context['le']):,} or less"
    if kind == "string_pattern_mismatch":
        return PATTERNS.get(context["pattern"], "must be the name of a parameter: letters, digits and _")
    if kind == "greater_than":
        return f"must be more than {context['gt']:g} seconds"
    if kind == "literal_error":
        return f"must be one of: {context['expected'].replace(chr(39), '').replace(' or ', ', ')}"
    return str(context.get("error", error["msg"]))


def _explain_unknown(path: tuple[int | str, ...], value: object) -> str:
    *table, key = map(str, path)
    known = list(_table_at(table).model_fields)
    if key.lower().replace("-", "_") in _SECRETS:
        return f"keys do not belong into a file; set {KEY_VARIABLE} instead, or key_variable"
    is_part_of_name = len(table) == 2 and key not in OpenAISettings.model_fields
    if is_part_of_name and isinstance(value, dict):
        return f"write a name that has dots in quotes: {_quote_name(table, key, value)}"
    close = get_close_matches(key.lower().replace("-", "_"), known, 1)
    hint = f"did you mean {close[0]}? There are" if close else "there are"
    return f"there is no such setting; {hint}: {', '.join(known)}"


def _table_at(path: list[str]) -> type[BaseModel]:
    """The model of the table at this path."""
    if not path:
        return OpenAISettings
    if path[-1] == "checks":
        return ChecksSettings
    tables: dict[str, type[Table]] = {
        "prices": Price,
        "deployments": Price if path[-1] == "price" and len(path) > 2 else DeploymentSettings,
        "accounts": AccountSettings,
        "batch": BatchSettings,
    }
    return tables.get(path[0], ModelSettings)


def _quote_name(table: list[str], key: str, value: Mapping[str, Any]) -> str:
    """The header of a table that TOML split into several, because its name has dots and no quotes."""
    parts = [*table[1:], key]
    while len(value) == 1 and isinstance(inner := next(iter(value.values())), dict):
        parts.append(next(iter(value)))
        value = inner
    return f'[{table[0]}."{".".join(parts)}"]'


def _kind_of(value: object, wanted: str) -> str:
    """The type of a value, not the value, which may be secret."""
    if isinstance(value, str):
        return "a text" if value.strip() else "an empty one"
    if isinstance(value, float) and wanted == "a whole number":
        return "a fraction"
    kinds = {bool: "true or false", int: "a number", float: "a number", dict: "a table", list: "a list"}
    return next((shown for kind, shown in kinds.items() if isinstance(value, kind)), f"a {type(value).__name__}")
