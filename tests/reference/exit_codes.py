"""docs/reference/exit-codes.md: the exit codes as `contentq --help` lists them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from contentq.cli.main import EXIT_CODES

from tests.reference.page import TO_WRITE, code, prose, table


def meanings() -> dict[int, str]:
    """The meaning of each code."""
    return {int(number): text for number, text in re.findall(r"^ +(\d+)  (.+)$", EXIT_CODES, re.MULTILINE)}


def codes(by_hand: Mapping[str, str]) -> str:
    """A row for each code; the actions are written by hand."""
    return table(
        ["code", "meaning", "what to do"],
        [
            [code(str(number)), prose(text), by_hand.get(code(str(number)), TO_WRITE)]
            for number, text in meanings().items()
        ],
    )
