"""Finds the line of a key in a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence


def line_of(text: str, path: Sequence[str]) -> int | None:
    """The line number of the key with this path, from 1; if the key is missing, that of its table.

    None if neither is found. For a key over several lines, the first line counts.
    """
    table: tuple[str, ...] = ()
    best, best_line = 0, None
    for number, line in enumerate(text.splitlines(), 1):
        said = line.strip()
        if said.startswith("["):
            found = _keys(said)
            if found is None:
                continue  # a line of an array
            table = found
        elif "=" in said and not said.startswith("#"):
            found = _keys(f"{said.partition('=')[0]}= 0")
            if found is None:
                continue
            found = (*table, *found)
        else:
            continue
        common = _common(found, path)
        if common == len(found) and common > best:
            best, best_line = common, number
    return best_line


def _keys(line: str) -> tuple[str, ...] | None:
    """The keys of a line, from the outermost; None if the line alone is not valid TOML."""
    try:
        value: object = tomllib.loads(line)
    except ValueError:
        return None
    keys = []
    while isinstance(value, dict) and len(value) == 1:
        ((key, value),) = value.items()
        keys.append(key)
    return tuple(keys) or None


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """The number of leading keys that both share."""
    number = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        number += 1
    return number
