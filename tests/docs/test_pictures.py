"""The pictures in the documents are what their programs draw from real runs."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from xml.etree import ElementTree

import pytest
from contentq.web import create_app

from tests.docs.markdown import ROOT
from tests.support.databases import Connection
from tests.web.conftest import Client, serving

SVG = "{http://www.w3.org/2000/svg}"


def _load(name: str) -> ModuleType:
    """One of the programs that make pictures."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/pictures/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fairness() -> ModuleType:
    return _load("fairness")


def _parts(svg: str) -> tuple[list[str], int]:
    """Its texts, without the numbers along the axes, and how many areas it has."""
    root = ElementTree.fromstring(svg)
    texts = [element.text or "" for element in root.iter(f"{SVG}text")]
    return [text for text in texts if not text.split()[0].isdigit()], len(list(root.iter(f"{SVG}polygon")))


def test_fairness_shows_each_account_in_both_orders(fairness: ModuleType) -> None:
    samples = [(0.0, [0, 0, 0]), (1.0, [16, 0, 0]), (2.5, [4, 8, 4])]
    drawn = _parts(fairness.draw([("strict", samples), ("fair", samples)]))
    assert drawn[1] == 6
    assert drawn == _parts((ROOT / "docs/pictures/fairness.svg").read_text(encoding="utf-8"))


@pytest.mark.thorough
def test_fairness_is_drawn_from_a_real_run(fairness: ModuleType, dsn: str) -> None:
    fairness.ACCOUNTS[:] = [("import", 1, 0.0, 60), ("shop", 2, 1.0, 20), ("newsroom", 1, 1.5, 10)]
    strict, fair = fairness.run(dsn, "strict"), fairness.run(dsn, "fair")
    slots = fairness.WORKERS * fairness.SLOTS

    def shops_first(samples: list[tuple[float, list[int]]]) -> float:
        return next(second for second, (_, shop, _) in samples if shop >= slots // 4)

    assert shops_first(fair) < shops_first(strict)


def test_pictures_of_the_page_are_of_a_busy_queue(dsn: str, database: Connection) -> None:
    web = _load("web")
    assert {f"{name}.png" for name in web.PICTURES} == {
        file.name for file in (ROOT / "docs/pictures").glob("web-*.png")
    }
    web.fill(database)
    with serving(create_app(dsn)) as port:
        answers = {path: Client(port).get(path) for path, _ in web.PICTURES.values()}
    assert {answer.status for answer in answers.values()} == {200}
    assert "busy slots 41 / 72 3 workers" in answers["/"].text
