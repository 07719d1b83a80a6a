"""Every link in the documents has a target."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, anchor, documents, headings, prose

_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")


def _name(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", documents(), ids=_name)
def test_links_within_the_project_lead_to_files_and_headings(document: Path) -> None:
    for target in _LINK.findall(prose(document)):
        if target.startswith("https://"):
            continue
        path, _, fragment = target.partition("#")
        linked = (document.parent / path) if path else document
        assert linked.exists(), f"{_name(document)} links to {target}, which does not exist"
        if fragment:
            assert fragment in map(anchor, headings(linked)), (
                f"{_name(document)} links to {target}: no such heading"
            )


@pytest.mark.parametrize("document", documents(), ids=_name)
def test_files_that_a_document_names_exist(document: Path) -> None:
    for name in re.findall(r"`((?:sql|docs|worker|alembic|tests)/[\w./-]*)`", prose(document)):
        assert "NNNN" in name or (ROOT / name).exists(), f"{_name(document)} names {name}, which does not exist"
