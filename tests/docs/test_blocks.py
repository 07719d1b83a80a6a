"""Every block in README.md and docs/ runs, and prints what the document says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docs.markdown import BLOCK_OPTIONS, ROOT, SECTION_OPTIONS, Block, Section, sections
from tests.docs.outputs import is_output
from tests.docs.running import LANGUAGES, Run

ALL = list(sections())


def _to_run() -> Iterator[object]:
    for section in ALL:
        if any(block.is_run for block in section.blocks):
            marks = [] if section.document == "README.md" else [pytest.mark.slow]
            if section.installs:
                marks = [pytest.mark.slow, pytest.mark.xdist_group("installing")]
            yield pytest.param(section, id=str(section), marks=marks)


@pytest.mark.parametrize("section", list(_to_run()))
def test_blocks_run_and_print_what_the_document_says(section: Section, run: Callable[[Section], Run]) -> None:
    running = run(section)
    printed = ""
    for block in section.blocks:
        if block.options.keys() & {"copy of", "not run"}:
            continue
        if "file" in block.options:
            running.write(block.options["file"], block.text)
        elif block.language == "text":
            assert is_output(printed, block.text), f"{block.place} prints:\n{printed}"
        else:
            printed = running.run(block)


@pytest.mark.parametrize("section", ALL, ids=str)
def test_every_block_is_run_or_says_why_not(section: Section) -> None:
    before: Block | None = None
    for block in section.blocks:
        unknown = block.options.keys() - SECTION_OPTIONS - BLOCK_OPTIONS
        assert not unknown, f"{block.place}: no such option: {unknown}"
        if "not run" in block.options:
            assert block.options["not run"], f"{block.place} does not say why it is not run"
            continue
        if "copy of" in block.options:
            assert block.text == (ROOT / block.options["copy of"]).read_text(encoding="utf-8"), block.place
            continue
        if "file" in block.options:
            after = [each for each in section.blocks if each.line > block.line]
            users = [each for each in after if each.is_run or "file" in each.options]
            names = Path(block.options["file"].partition(".")[0]).parts
            used = any(name in each.text for each in users for name in names)
            assert used, f"{block.place}: nothing uses the file"
            continue
        if block.language == "text":
            assert before is not None, f"{block.place}: there is no block before that could have printed this"
        else:
            assert block.language in LANGUAGES, f"{block.place}: no test can run {block.language!r}"
        before = block
