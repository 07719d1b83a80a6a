"""Checks from settings, such as those of a table [checks] in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contentq.checks.check import Check
from contentq.checks.forbidden import ForbiddenWords
from contentq.checks.function import Function
from contentq.checks.headings import Headings
from contentq.checks.language import Language
from contentq.checks.leftovers import NoLeftovers
from contentq.checks.likeness import LAST, MaxLikeness
from contentq.checks.links import Links
from contentq.checks.words import MaxWords, MinWords
from contentq.errors import HandlerUnusable
from contentq.handlers.loading import find


def make_checks(settings: Mapping[str, Any], folder: Path) -> list[Check]:
    """The checks of these settings, by their names. Values must have the right types.

    folder: base of the path of a schema file. Raises HandlerUnusable, beginning with the key, for an invalid
    value.
    """
    made: list[Check] = []
    for key, value in settings.items():
        try:
            made += _make(key, value, settings, folder)
        except (ValueError, HandlerUnusable) as error:
            raise HandlerUnusable(f"{key}: {error}") from None
    least, most = settings.get("min_words"), settings.get("max_words")
    if least is not None and most is not None and least > most:
        raise HandlerUnusable(f"max_words: must be min_words, {least:,}, or more")
    return made


def _make(key: str, value: Any, settings: Mapping[str, Any], folder: Path) -> list[Check]:
    simple: dict[str, type[Check]] = {
        kind.name: kind for kind in (MinWords, MaxWords, Language, Headings, ForbiddenWords, Links)
    }
    if key in simple:
        return [simple[key](value)]  # type: ignore[call-arg]
    if key == NoLeftovers.name:
        return [NoLeftovers()] if value else []
    if key == MaxLikeness.name:
        return [MaxLikeness(value, settings.get("likeness_last", LAST))]
    if key == "json_schema":
        return [_json_schema(folder / value)]
    if key == Function.name:
        return [Function(find(value, "function"), value)]
    return []


def _json_schema(file: Path) -> Check:
    try:
        from contentq.checks.json_schema import JsonSchema
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise HandlerUnusable(
            f"it needs the package {package}, which is not installed: pip install 'contentq[schema]'"
        ) from None
    try:
        schema = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise HandlerUnusable(f"the file {str(file)!r} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise HandlerUnusable(f"the file {str(file)!r} is not JSON: {error}") from None
    try:
        return JsonSchema(schema, file.name)
    except ValueError as error:
        raise HandlerUnusable(f"the file {str(file)!r}: {error}") from None
