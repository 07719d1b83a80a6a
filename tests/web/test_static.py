"""The static files of the page, and the charts that need none."""

from __future__ import annotations

import hashlib
import re
from xml.etree import ElementTree

import pytest
from contentq.web import charts
from contentq.web.charts import Series
from contentq.web.static import HTMX_SHA256, KINDS, content

from tests.web.conftest import Client
from tests.web.messages import WEB


def test_htmx_is_the_one_of_npm() -> None:
    assert hashlib.sha256(content("htmx.min.js")).hexdigest() == HTMX_SHA256
    assert b'version:"2.0.11"' in content("htmx.min.js")
    assert (WEB / "static/htmx.LICENSE").read_text(encoding="utf-8").startswith("Zero-Clause BSD")


@pytest.mark.parametrize("name", KINDS)
def test_file_is_served_as_what_it_is_and_kept(client: Client, name: str) -> None:
    answer = client.get(f"/static/{name}?v=1")
    assert (answer.status, answer.headers["Content-Type"]) == (200, KINDS[name])
    assert "immutable" in answer.headers["Cache-Control"]


def test_page_asks_for_its_files_by_what_is_in_them(client: Client) -> None:
    for name in re.findall(r'/static/([\w.]+)\?v=([0-9a-f]+)"', client.get("/").body):
        assert hashlib.sha256(content(name[0])).hexdigest().startswith(name[1])


@pytest.mark.parametrize("file", sorted((WEB / "templates").glob("*.html")), ids=lambda file: str(file.name))
def test_template_has_no_style_or_script_of_its_own(file: object) -> None:
    text = str(file.read_text(encoding="utf-8"))  # type: ignore[attr-defined]
    assert re.findall(r"\sstyle=|\son[a-z]+=|hx-on|<style|<script(?! src)|\|\s*safe", text) == []


@pytest.mark.parametrize("draw", [charts.columns, charts.lines])
@pytest.mark.parametrize(
    "values", [[], [0.0], [None, None], [1.0, None, 3.0], [1e-9, 2e-9], [1e12, 5.0], [0.3] * 60], ids=str
)
def test_chart_is_drawn_of_any_numbers(draw: object, values: list[float | None]) -> None:
    labels = [f"<{place}>" for place in range(len(values))]
    drawn = draw('A "chart" <b>', labels, [Series("<i>", values), Series("b", values)], " s")  # type: ignore[operator]
    root = ElementTree.fromstring(f"<div>{drawn}</div>")
    assert root[0].attrib["aria-label"] == 'A "chart" <b>'
    assert not [element for element in root.iter() if "style" in element.attrib]
    numbers = [float(number) for number in re.findall(r'(?:[xy]|cy|cx|height)="(-?[\d.e+]+)"', str(drawn))]
    assert all(0 <= number <= charts.WIDTH for number in numbers)
    assert "nan" not in drawn


def test_axis_has_numbers_that_people_read() -> None:
    for most, ticks in ((7.3, ["0", "2", "4", "6", "8"]), (0.02, ["0", "0.005", "0.01", "0.015", "0.02"])):
        drawn = charts.columns("x", ["a"], [Series("s", [most])])
        assert re.findall(r'text-anchor="end">([\d.]+)<', drawn) == ticks


def test_bar_is_a_part_of_the_whole() -> None:
    for value, most, width in ((1, 4, "25.0"), (5, 4, "100.0"), (-1, 4, "0.0"), (1, 0, "0.0")):
        assert f'class="bar-part" width="{width}"' in charts.bar(value, most)
