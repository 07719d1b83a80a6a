"""The pictures in the documents match what their programs draw from real runs."""

from __future__ import annotations

import importlib
import re
from types import ModuleType
from xml.etree import ElementTree

import pytest
from contentq.web import create_app

from tests.docs.markdown import ROOT
from tests.docs.outputs import comparable
from tests.support.databases import Connection
from tests.web.conftest import Client, serving

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def _beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs that make pictures import one another from their folder."""
    monkeypatch.syspath_prepend(ROOT / "docs/pictures")


@pytest.fixture
def fairness() -> ModuleType:
    return importlib.import_module("fairness")


def _parts(svg: str) -> tuple[list[str], int]:
    """The texts of a chart, without the axis numbers, and its number of areas."""
    root = ElementTree.fromstring(svg)
    texts = [element.text or "" for element in root.iter(f"{SVG}text")]
    return [text for text in texts if not text.split()[0].isdigit()], len(list(root.iter(f"{SVG}polygon")))


def test_fairness_shows_each_account_in_both_orders(fairness: ModuleType) -> None:
    samples = [(0.0, [0, 0, 0]), (1.0, [16, 0, 0]), (2.5, [4, 8, 4])]
    drawn = _parts(fairness.draw([("strict", samples), ("fair", samples)]))
    assert drawn[1] == 6
    assert drawn == _parts((ROOT / "docs/pictures/fairness.svg").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_fairness_is_drawn_from_a_real_run(
    fairness: ModuleType, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        fairness, "ACCOUNTS", [("import", 1, 0.0, 60), ("shop", 2, 1.0, 20), ("newsroom", 1, 1.5, 10)]
    )
    strict, fair = fairness.run(dsn, "strict"), fairness.run(dsn, "fair")
    slots = fairness.WORKERS * fairness.SLOTS

    def shops_first(samples: list[tuple[float, list[int]]]) -> float:
        return next(second for second, (_, shop, _) in samples if shop >= slots // 4)

    assert shops_first(fair) < shops_first(strict)


@pytest.fixture
def terminal() -> ModuleType:
    return importlib.import_module("terminal")


def _lines(svg: str) -> list[str]:
    """The lines of a terminal, without the parts that differ in each recording."""
    texts = ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    differs = r"worker=\d+|psql \([\d.]+\)|,\d{3}(?= level)| completed=1$"
    return re.sub(differs, "", comparable("\n".join(texts)), flags=re.MULTILINE).splitlines()


def test_the_terminal_wraps_long_lines_and_escapes_what_it_shows(terminal: ModuleType) -> None:
    shown = "contentq=# SELECT 1 < 2;\n" + "x" * 200 + "\ncontentq=# "
    drawn = terminal.draw([terminal.Piece("psql", shown), terminal.Piece("worker", "$ contentq worker\n")])
    assert _lines(drawn)[1:4] == [
        "contentq=# SELECT 1 < 2;",
        "x" * terminal.COLUMNS,
        "x" * (200 - terminal.COLUMNS),
    ]


def test_the_terminal_loads_nothing_from_elsewhere() -> None:
    svg = (ROOT / "docs/pictures/terminal.svg").read_text(encoding="utf-8")
    assert re.findall(r"https?://[^\s\"']+", svg) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"href|@import|@font-face|url\(|<script|<image", svg)


@pytest.mark.slow
def test_the_terminal_is_drawn_from_a_real_run(terminal: ModuleType) -> None:
    svg = (ROOT / "docs/pictures/terminal.svg").read_text(encoding="utf-8")
    assert _lines(terminal.draw(terminal.record())) == _lines(svg)


@pytest.mark.slow
def test_pictures_of_the_page_are_of_a_busy_queue(dsn: str, database: Connection) -> None:
    web = importlib.import_module("web")
    assert {f"{name}.png" for name in web.PICTURES} == {
        file.name for file in (ROOT / "docs/pictures").glob("web-*.png")
    }
    web.fill(database)
    with serving(create_app(dsn)) as port:
        answers = {path: Client(port).get(path) for path, _ in web.PICTURES.values()}
    assert {answer.status for answer in answers.values()} == {200}
    assert "busy slots 41 / 72 3 workers" in answers["/"].text
