"""Prints the difference of two texts as [-removed-] and {+added+}, coloured on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from contentq import escaping
from contentq.cli.output import console, escape, print_as_it_is
from contentq.difference import Piece

if TYPE_CHECKING:
    from rich.text import Text

CONTEXT = 1
"""Unchanged lines that are shown before and after changed ones."""

_MARKS = {"same": ("", ""), "removed": ("[-", "-]"), "added": ("{+", "+}")}
_STYLES = {"same": "", "removed": "red", "added": "green"}


def print_difference(pieces: Sequence[Piece]) -> None:
    """Prints the changed lines with their context; a line with `…` stands for omitted lines."""
    screen = console()
    lines = _lines(pieces)
    changed = [number for number, line in enumerate(lines) if any(kind != "same" for kind, _ in line)]
    shown = sorted(
        {near for number in changed for near in range(number - CONTEXT, number + CONTEXT + 1)}
        & {*range(len(lines))}
    )
    last = -1
    for number in shown:
        if number > last + 1:
            print_as_it_is("…\n")
        if screen.is_terminal:
            screen.print(_styled(lines[number]), soft_wrap=True)
        else:
            print_as_it_is("".join(map(_marked, lines[number])) + "\n")
        last = number
    if shown and last < len(lines) - 1:
        print_as_it_is("…\n")


def _lines(pieces: Sequence[Piece]) -> list[list[tuple[str, str]]]:
    """Splits the pieces into lines of (kind, escaped text)."""
    lines: list[list[tuple[str, str]]] = [[]]
    for piece in pieces:
        first, *others = escape(piece.text, escaping.PROSE).split("\n")
        lines[-1].append((piece.kind, first))
        lines += [[(piece.kind, text)] for text in others]
    # A line break at the very end starts no new line.
    kept = [[(kind, text) for kind, text in line if text or kind != "same"] for line in lines]
    return kept[:-1] if kept and not any(text for _, text in kept[-1]) else kept


def _marked(part: tuple[str, str]) -> str:
    kind, text = part
    before, after = _MARKS[kind]
    return f"{before}{text}{after}" if text else ""


def _styled(line: list[tuple[str, str]]) -> Text:
    from rich.text import Text

    return Text.assemble(*((_marked(part), _STYLES[part[0]]) for part in line))
