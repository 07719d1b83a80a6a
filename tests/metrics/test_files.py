"""The dashboard and the alert rules name metrics that exist, with their labels."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from contentq.metrics.families import FLEET, WORKER
from contentq.metrics.samples import MOST_VALUES

from tests.docs.markdown import ROOT

DASHBOARD = ROOT / "docs/metrics/grafana-dashboard.json"
ALERTS = ROOT / "docs/metrics/alerts.yml"

EXPORTED = {name: family for family in (*FLEET, *WORKER) for name in family.sample_names}

ADDED = {"instance", "job", "le"}
"""Labels that Prometheus adds, and the label of buckets."""

_ALERT = re.compile(r"^      - alert: (\w+)\n        expr: (\".+\")\n((?:        .*\n)+)", re.MULTILINE)


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """(position, expression) of all panels and alerts."""
    for panel in panels():
        for target in panel.get("targets", []):
            yield f"panel {panel['title']}", target["expr"]
    for name, expression, _ in _ALERT.findall(ALERTS.read_text(encoding="utf-8")):
        yield name, json.loads(expression)


def labels_in(expression: str) -> set[str]:
    grouped = [word for group in re.findall(r"\bby \(([^)]*)\)", expression) for word in group.split(",")]
    return {word.strip() for word in grouped} | set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression))


def test_reference_names_the_limits_of_labels() -> None:
    text = " ".join((ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8").split())

    assert f"Models beyond the first {MOST_VALUES} and error classes beyond the first 100 are" in text
    assert f"At most {MOST_VALUES} gates" in text


@pytest.mark.parametrize(("place", "expression"), [*expressions()], ids=lambda value: value[:40])
def test_expression_names_metrics_and_labels_that_there_are(place: str, expression: str) -> None:
    named = set(re.findall(r"\bcontentq_\w+", expression))

    assert named, place
    assert named <= set(EXPORTED), place
    assert labels_in(expression) <= {label for name in named for label in EXPORTED[name].labels} | ADDED, place
    counted = [name for name in named if EXPORTED[name].kind != "gauge"]
    for name in counted:
        assert re.search(rf"\b(?:rate|increase)\({name}\b[^)]*\[", expression), f"{place}: {name} only grows"


def test_every_alert_says_what_it_means_and_what_to_do() -> None:
    text = ALERTS.read_text(encoding="utf-8")
    alerts = _ALERT.findall(text)

    assert len(alerts) == text.count("- alert:") > 10
    for name, written, rest in alerts:
        assert re.search(r"^          severity: (critical|warning|info)$", rest, re.MULTILINE), name
        for part in ("summary", "description"):
            assert re.search(rf'^          {part}: ".+\."$', rest, re.MULTILINE), name
        labels = set(re.findall(r"\$labels\.(\w+)", rest))
        metrics = re.findall(r"contentq_\w+", json.loads(written))
        assert labels <= {label for metric in metrics for label in EXPORTED[metric].labels}, name


def test_panels_of_the_dashboard_do_not_cover_each_other() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in panels():
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        columns, lines = range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])
        for place in ((x, y) for x in columns for y in lines):
            assert place not in taken, f"{panel['title']} covers {taken[place]}"
            taken[place] = panel["title"]


def test_every_metric_of_the_queue_is_on_the_dashboard_or_in_an_alert() -> None:
    seen = {name for _, expression in expressions() for name in re.findall(r"contentq_\w+", expression)}

    unseen = {family.name for family in FLEET if not family.on_demand and not seen & set(family.sample_names)}
    assert unseen == {"contentq_info", "contentq_charged_attempts_total", "contentq_gate_waits"}


def test_promtool_accepts_the_alert_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (of Prometheus) is not installed")
    done = subprocess.run([promtool, "check", "rules", str(ALERTS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
