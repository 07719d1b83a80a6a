"""The lower bounds in pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable

from tests.packaging import building

_BOUND = re.compile(r"([\w-]+)(?:\[[\w,-]+\])?>=([\d.]+)")


def oldest(requirements: Iterable[str]) -> dict[str, str]:
    """The lowest version that each of these allows, by package name; contentq itself has none."""
    found: dict[str, str] = {}
    for each in requirements:
        if each.startswith("contentq["):
            continue
        bound = _BOUND.fullmatch(each)
        assert bound is not None, f"this has no lower bound that is understood: {each}"
        found[bound[1]] = bound[2]
    return found


def needed(*extras: str) -> list[str]:
    """The requirements of an installation with these extras."""
    project = tomllib.loads((building.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [
        *project["dependencies"],
        *(each for extra in extras for each in project["optional-dependencies"][extra]),
    ]


def everything() -> list[str]:
    """The requirements of contentq, its extras, its tests and its build."""
    document = tomllib.loads((building.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [*needed(*document["project"]["optional-dependencies"]), *document["build-system"]["requires"]]
