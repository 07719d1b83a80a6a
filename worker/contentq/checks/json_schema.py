"""A draft that is JSON and matches a schema. Needs the package `jsonschema`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import jsonschema
import referencing
from referencing.jsonschema import specification_with

from contentq.checks.check import CheckOfText, Subject

_SHOWN = 5
"""Maximum number of problems in a message."""

_LONGEST = 200
"""Maximum length of each, in characters."""


class JsonSchema(CheckOfText):
    """The draft is one JSON value that matches this schema.

    file: its name, for `contentq try`. References outside the schema are not fetched. Raises ValueError if it is
    not a schema or refers to something outside it.
    """

    name = "json_schema"

    def __init__(self, schema: Any, file: str | None = None) -> None:
        self.setting = file or "a schema"
        if not isinstance(schema, Mapping | bool):
            raise ValueError("a schema is a JSON object")
        kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        try:
            kind.check_schema(schema)
            _check_references(schema, specification_with(str(kind.META_SCHEMA["$schema"])))
        except jsonschema.SchemaError as error:
            raise ValueError(f"it is not a JSON schema: {error.json_path}: {_short(error.message)}") from None
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        own = jsonschema.validators.extend(kind, {"uniqueItems": _unique_items})
        self._validator = own(schema, registry=referencing.Registry())

    async def find_problem(self, subject: Subject) -> str | None:
        """The problem with the draft, or None. Runs in a thread, because a schema may take long."""
        return await asyncio.to_thread(self.problem, subject)

    def problem(self, subject: Subject) -> str | None:
        """The problem with the draft, or None."""
        try:
            value = json.loads(subject.body, parse_constant=_refuse)
        except json.JSONDecodeError as error:
            return (
                f"it is not JSON: {error.msg} at line {error.lineno}, column {error.colno}; answer with JSON alone"
            )
        except (ValueError, RecursionError) as error:
            said = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
            return f"it is not JSON: {_short(said)}; answer with JSON alone"
        try:
            problems = list(islice(self._validator.iter_errors(value), _SHOWN + 1))
        except RecursionError:
            return "the JSON is nested too deeply for its schema"
        except OverflowError:  # as 1e400 divided by multipleOf
            return "the JSON has a number that is too large for its schema; write a smaller one"
        if not problems:
            return None
        shown = "; ".join(f"{problem.json_path}: {_short(problem.message)}" for problem in problems[:_SHOWN])
        return f"the JSON does not fit its schema: {shown}" + ("; and more" if len(problems) > _SHOWN else "")


def _check_references(schema: Any, specification: referencing.Specification[Any]) -> None:
    """Checks each reference that a validator may follow. Raises ValueError for a missing target."""
    whole = specification.create_resource(schema)
    waiting = [(schema, referencing.Registry().resolver_with_root(whole))]
    seen: set[int] = set()
    while waiting:
        part, resolver = waiting.pop()
        if not isinstance(part, Mapping) or id(part) in seen:
            continue
        seen.add(id(part))
        if part is not schema:
            resolver = resolver.in_subresource(specification.create_resource(part))
        waiting += [(inner, resolver) for inner in specification.subresources_of(part)]
        for reference in (part.get("$ref"), part.get("$dynamicRef")):
            if not isinstance(reference, str):
                continue
            named = repr(_short(reference))
            if not reference.startswith("#"):
                raise ValueError(f"it refers to {named}; references are not fetched, so put it into this file")
            try:
                found = resolver.lookup(reference)
            except (referencing.exceptions.Unresolvable, TypeError, ValueError):
                raise ValueError(f"it refers to {named}, which this file does not define") from None
            waiting.append((found.contents, found.resolver))


def _unique_items(validator: Any, unique: Any, value: Any, _schema: Any) -> Iterator[jsonschema.ValidationError]:
    """The keyword uniqueItems in linear time; the package compares each pair."""
    if unique and validator.is_type(value, "array"):
        texts = {json.dumps(_with_whole_numbers(item), sort_keys=True) for item in value}
        if len(texts) < len(value):
            yield jsonschema.ValidationError(f"{value!r} has non-unique elements")


def _with_whole_numbers(value: Any) -> Any:
    """The same JSON value, with 1 for 1.0, which JSON does not distinguish."""
    if isinstance(value, dict):
        return {name: _with_whole_numbers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON number")


def _short(text: str) -> str:
    said = " ".join(text[: 2 * _LONGEST].split())
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"
