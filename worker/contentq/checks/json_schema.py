"""A draft that is JSON, and fits a schema. It needs the package `jsonschema`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import jsonschema
import referencing

from contentq.checks.check import Check, Subject
from contentq.errors import PermanentError

_SHOWN = 5
"""Problems that a message names."""

_LONGEST = 200
"""Characters of each of them."""


class JsonSchema(Check):
    """The draft is one JSON value that fits this schema. file: its name, for `contentq try`.

    Nothing that the schema refers to is fetched. Raises ValueError when it is no schema.
    """

    name = "json_schema"

    def __init__(self, schema: Any, file: str | None = None) -> None:
        self.setting = file or "a schema"
        if not isinstance(schema, Mapping | bool):
            raise ValueError("a schema is a JSON object")
        kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        try:
            kind.check_schema(schema)
        except jsonschema.SchemaError as error:
            raise ValueError(f"it is no JSON schema: {error.json_path}: {_short(error.message)}") from None
        for reference in _references(schema):
            if not reference.startswith("#"):
                raise ValueError(
                    f"it refers to {_short(reference)!r}; nothing is fetched, so put it into this file"
                )
        self._validator = kind(schema, registry=referencing.Registry())

    def problem(self, subject: Subject) -> str | None:
        """What is wrong with the draft; None when nothing is."""
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
        except referencing.exceptions.Unresolvable as error:
            raise PermanentError(f"the schema {self.setting} refers to what is not in it: {error.ref}") from None
        except RecursionError:
            return "the JSON is nested too deeply for its schema"
        if not problems:
            return None
        shown = "; ".join(f"{problem.json_path}: {_short(problem.message)}" for problem in problems[:_SHOWN])
        return f"the JSON does not fit its schema: {shown}" + ("; and more" if len(problems) > _SHOWN else "")


def _references(schema: Any) -> Iterator[str]:
    """What a schema refers to."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            if isinstance(reference := part.get("$ref"), str):
                yield reference
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


def _short(text: str) -> str:
    said = " ".join(text[: 2 * _LONGEST].split())
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"
