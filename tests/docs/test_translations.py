"""A translation has the same blocks, headings, links, lists and tables as the original."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, TRANSLATED, anchor, headings, prose, sections_of

PAIRS = [pytest.param(ROOT / name, ROOT / of, id=name) for name, of in TRANSLATED.items()]

_TARGET = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize(("translation", "original"), PAIRS)
def test_a_translation_has_the_same_blocks_in_the_same_sections(translation: Path, original: Path) -> None:
    def blocks(path: Path) -> list[list[tuple[str, str, dict[str, str]]]]:
        return [[(each.language, each.text, each.options) for each in part.blocks] for part in sections_of(path)]

    assert blocks(translation) == blocks(original)


@pytest.mark.parametrize(("translation", "original"), PAIRS)
def test_a_translation_has_the_same_links_and_pictures_in_the_same_sections(
    translation: Path, original: Path
) -> None:
    def links(path: Path, to_the_other: Path) -> list[list[str]]:
        own = {f"#{anchor(heading)}": f"#{number}" for number, heading in enumerate(headings(path))}
        own[to_the_other.name] = "the other language"
        parts = re.split(r"^#+ ", prose(path), flags=re.MULTILINE)
        return [sorted(own.get(target, target) for target in _TARGET.findall(part)) for part in parts]

    assert links(translation, original) == links(original, translation)


@pytest.mark.parametrize(("translation", "original"), PAIRS)
def test_a_translation_has_the_same_levels_items_rows_and_names(translation: Path, original: Path) -> None:
    def shape(path: Path) -> list[tuple[list[str], list[str]]]:
        parts = re.split(r"^(?=#+ )", prose(path), flags=re.MULTILINE)
        return [
            (re.findall(r"^(#+ |- |\|)", part, re.MULTILINE), sorted(re.findall(r"`[^`]+`", part)))
            for part in parts
        ]

    assert shape(translation) == shape(original)
