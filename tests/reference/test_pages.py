"""The generated parts of docs/reference/ match the program and the catalogue."""

from __future__ import annotations

import re

import pytest
from contentq import errors
from contentq.cli.main import COMMANDS
from contentq.failures import EXIT_INTERRUPTED

from tests.docs.markdown import ROOT, headings
from tests.reference import exit_codes, page, pages
from tests.support.databases import Connection


@pytest.mark.slow
def test_pages_are_what_their_generators_write(database: Connection) -> None:
    for path, parts in pages.parts(database):
        assert set(page.names(path)) == set(parts), f"{path.name} has other parts than its generator"
        assert path.read_text(encoding="utf-8") == page.filled(path, parts), "run: make reference"


@pytest.mark.slow
def test_every_part_that_a_page_marks_as_generated_has_a_generator(database: Connection) -> None:
    generated = {(path, name) for path, parts in pages.parts(database) for name in parts}
    assert generated == {(path, name) for path in page.FOLDER.glob("*.md") for name in page.names(path)}


def test_no_page_waits_for_a_person_to_write_a_cell() -> None:
    unfinished = [
        path.name for path in page.FOLDER.glob("*.md") if page.TO_WRITE in path.read_text(encoding="utf-8")
    ]
    assert unfinished == []


def test_every_command_has_a_heading() -> None:
    found = headings(page.FOLDER / "cli.md")
    assert [f"contentq {name}" for name in COMMANDS if f"contentq {name}" not in found] == []


def test_exit_codes_are_those_of_the_code() -> None:
    in_code = {error.exit_code for error in vars(errors).values() if hasattr(error, "exit_code")}
    in_code |= {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert set(exit_codes.meanings()) == in_code | {0, EXIT_INTERRUPTED}


def test_settings_lists_the_environment_variables_that_the_program_reads() -> None:
    ours = re.compile(r"\b((?:CONTENTQ|OPENAI)_[A-Z_]+|DATABASE_URL|XDG_STATE_HOME|TRACEPARENT)\b")
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "worker/contentq").rglob("*.py"))
    listed = (page.FOLDER / "settings.md").read_text(encoding="utf-8").partition("## Environment variables")[2]
    assert set(ours.findall(listed)) == set(ours.findall(source))
