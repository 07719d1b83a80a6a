"""A page with generated parts, each between two comments: `<!-- generated: name -->` and `<!-- end: name -->`.

The text outside them is written by hand. So is the last cell of a row if the table has a column for it; it is kept
as long as the first cell exists.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.docs.markdown import ROOT

FOLDER = ROOT / "docs/reference"

TO_WRITE = "TO BE WRITTEN"
"""The placeholder in a new row for handwritten text."""

_PART = re.compile(r"(<!-- generated: (\S+) -->\n)(.*?)(<!-- end: \2 -->)", re.DOTALL)
_ROW = re.compile(r"^\| (.+?) \| (?:.+ \| )?(.*?) \|$", re.MULTILINE)
_NAME = re.compile(
    r"(?<![\w-])--[a-z][a-z-]+"
    r"|\bcontentq\.\w+\([^()]+\)|\{[^{}`]+\}"
    r"|(?<![\w./-])(?:[A-Za-z]\w*_\w+(?:\.\w+)*|[a-z]\w*\.[a-z]\w+|[a-z]\w*(?=\(\)))(?:\(\))?(?![\w/(])"
)
"""Options, calls, objects, and names with an underscore, a dot or parentheses."""

_CODE = re.compile(r"(`[^`]*`)")


def names(path: Path) -> list[str]:
    """The generated parts of a page."""
    return [found[2] for found in _PART.finditer(path.read_text(encoding="utf-8"))]


def part(path: Path, name: str) -> str:
    """One generated part, as it is on the page."""
    return next(found[3] for found in _PART.finditer(path.read_text(encoding="utf-8")) if found[2] == name)


def filled(path: Path, parts: Mapping[str, str]) -> str:
    """The page with these parts."""

    def replaced(found: re.Match[str]) -> str:
        return f"{found[1]}\n{parts[found[2]].strip()}\n\n{found[4]}"

    return _PART.sub(replaced, path.read_text(encoding="utf-8"))


def by_hand(path: Path, name: str) -> dict[str, str]:
    """The last cell of each table row in a part, by the first cell."""
    return dict(_ROW.findall(part(path, name)))


def lost(path: Path, parts: Mapping[str, str]) -> dict[str, str]:
    """The handwritten cells whose rows are gone, in parts with cells to fill in."""
    return {
        key: cell
        for name, text in parts.items()
        for key, cell in by_hand(path, name).items()
        if TO_WRITE in text and cell != TO_WRITE and f"| {key} |" not in text
    }


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines) + "\n"


def code(text: str) -> str:
    """The text as code."""
    return f"`{text}`"


def prose(text: str) -> str:
    """A text of the program for a page: options and names become code; there is no other markup."""
    parts = _CODE.split(" ".join(text.split()))
    return "".join(each if number % 2 else _marked(each) for number, each in enumerate(parts))


def with_names(text: str, names: Iterable[str]) -> str:
    """The text with these names as code if a sentence explains them, as in `name: …`."""
    return re.sub(rf"(?:^|(?<=[.;] ))({'|'.join(map(re.escape, names)) or '(?!)'})(?=:)", r"`\1`", text)


def wrapped(text: str) -> str:
    """A paragraph in lines of at most 120 characters."""
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False) + "\n"


def _marked(text: str) -> str:
    parts = _CODE.split(_NAME.sub(r"`\g<0>`", text))
    return "".join(
        each if number % 2 else re.sub(r"([*\[|])", r"\\\1", each).replace("<", "&lt;")
        for number, each in enumerate(parts)
    )
